"""Headers of encoded video, which parts that other machines have made may have different ones of. Pure."""

from __future__ import annotations

from collections.abc import Iterator

INBAND = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
"""The filters that put a stream's headers before each of its key frames."""
TAGS = {"hevc": "hev1"}
"""What mp4 calls a stream whose headers are there; hvc1 says that they are not."""
_ARRAYS = 22
"""Where the number of arrays stands in an hvcC record."""
_PARAMETERS = range(32, 35)
"""The kinds of HEVC's VPS, SPS and PPS; beside these an encoder may say how many threads it had."""


def headers(codec: str, extradata: bytes) -> bytes:
    """What of a stream's extradata a decoder needs."""
    if codec == "hevc" and len(extradata) > _ARRAYS and extradata[0] == 1:
        return b"".join(unit for kind, unit in _units(extradata) if kind in _PARAMETERS)
    return extradata


def _units(record: bytes) -> Iterator[tuple[int, bytes]]:
    at = _ARRAYS + 1
    for _ in range(record[_ARRAYS]):
        kind, count, at = record[at] & 0x3F, int.from_bytes(record[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            yield kind, record[at + 2 : at + 2 + size]
            at += 2 + size
