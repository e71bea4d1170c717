"""Opens a media file that a stranger sent: this one file alone is read, and by a demuxer that we chose.

Playlists and lists of files make a demuxer open what they name: another file of this host, or an address in the
owner's network. So demuxers are allowed by name, nothing but `file:` and `pipe:` may be opened, and a file that is
recognisably a playlist is refused before libav sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

from zeus.errors import BadInput

MOVIES = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,mxf,ivf,obu,h264,hevc,m4v,dv,nut,"
    "yuv4mpegpipe,gif,apng"
)
SOUNDS = "ogg,wav,w64,mp3,flac,aac,ac3,eac3,dts,aiff,caf,au,amr,wv,tta,ape"
STILLS = (
    "png_pipe,jpeg_pipe,webp_pipe,tiff_pipe,bmp_pipe,exr_pipe,dpx_pipe,hdr_pipe,qoi_pipe,psd_pipe,j2k_pipe,"
    "jpegxl_pipe,pam_pipe,pbm_pipe,pgm_pipe,ppm_pipe,pfm_pipe,sgi_pipe,sunrast_pipe,pcx_pipe,dds_pipe"
)
ALLOWED = f"{MOVIES},{SOUNDS},{STILLS}"

PLAYLIST = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:#EXT|ffconcat\b|<MPD\b|<smil\b|<asx\b|<playlist\b|\[playlist\]|\[reference\]|v=0\r?\n"
    rb"|rtsp://|https?://|<\?xml[^>]*>\s*(?:<!--.*?-->\s*)*<(?:MPD|smil|asx|playlist|CompositionPlaylist|AssetMap)\b)",
    re.IGNORECASE | re.DOTALL,
)
"""HLS, concat, DASH, SMIL, ASX, XSPF, PLS, SDP, IMF and plain lists of addresses."""

MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n(?!.{0,4000}acTL)", re.DOTALL), "png_pipe"),
    (re.compile(rb"\xff\xd8\xff"), "jpeg_pipe"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "webp_pipe"),
    (re.compile(rb"II\*\x00|MM\x00\*"), "tiff_pipe"),
    (re.compile(rb"BM....\x00\x00\x00\x00", re.DOTALL), "bmp_pipe"),
    (re.compile(rb"v/1\x01"), "exr_pipe"),
    (re.compile(rb"GIF8[79]a"), "gif"),
)
"""Pictures are named by their first bytes, or libav would take `a%03d.png` for the pattern of a sequence."""


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """The opened container. Raises BadInput, which names the file but not its folder."""
    head = _head(path)
    options = {"protocol_whitelist": "file,pipe", "format_whitelist": ALLOWED}
    try:
        url = f"file:{path.absolute()}"
        container = av.open(url, format=_picture(head), options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise BadInput(f"{path.name} is no media file that can be read, or it is cut off.") from error
    with container:
        yield container


def is_still(container: InputContainer) -> bool:
    """Whether the container is a picture, which has no duration and no rate of its own."""
    return container.format.name in STILLS.split(",")


def _head(path: Path) -> bytes:
    if not path.is_file():
        raise BadInput(f"{path.name} is not there, or is no ordinary file.")
    with path.open("rb") as file:
        head = file.read(8192)
    if not head:
        raise BadInput(f"{path.name} is empty.")
    if PLAYLIST.match(head):
        raise BadInput(f"{path.name} is a playlist or a list of addresses; these are refused.")
    return head


def _picture(head: bytes) -> str | None:
    return next((name for magic, name in MAGIC if magic.match(head)), None)
