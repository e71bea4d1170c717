"""FFmpegArgs: what is taken, what is filled in, and which contradictions are named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from zeus_plugins.ffmpeg.arguments import FFmpegArgs


def args(**values: Any) -> FFmpegArgs:
    return msgspec.convert(values, FFmpegArgs)


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        ({}, ("mp4", "h264", "aac")),
        ({"video_codec": "hevc"}, ("mp4", "hevc", "aac")),
        ({"video_codec": "h264", "audio_codec": "vorbis"}, ("mkv", "h264", "vorbis")),
        ({"video_codec": "vp9"}, ("webm", "vp9", "opus")),
        ({"video_codec": "vp9", "audio_codec": "aac"}, ("mp4", "vp9", "aac")),
        ({"video_codec": "prores"}, ("mov", "prores", "pcm")),
        ({"video_codec": "gif"}, ("gif", "gif", "none")),
        ({"video_codec": "copy"}, ("mkv", "copy", "copy")),
        ({"video_codec": "none"}, ("m4a", "none", "aac")),
        ({"video_codec": "none", "audio_codec": "mp3"}, ("mp3", "none", "mp3")),
        ({"video_codec": "none", "audio_codec": "vorbis"}, ("ogg", "none", "vorbis")),
        ({"container": "webm"}, ("webm", "vp9", "opus")),
        ({"container": "wav"}, ("wav", "none", "pcm")),
        ({"container": "png"}, ("png", "png", "none")),
        ({"container": "mp4", "audio_codec": "none"}, ("mp4", "h264", "none")),
    ],
)
def test_what_is_left_open_is_filled_in(values: dict[str, Any], formats: tuple[str, str, str]) -> None:
    chosen = args(**values).formats
    assert (chosen.container, chosen.video, chosen.audio) == formats


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"video_codec": "prores", "container": "mp4"}, "prores cannot be in container mp4: choose mov or mkv"),
        ({"video_codec": "h264", "container": "webm"}, "video_codec h264 cannot be in container webm"),
        ({"container": "webm", "audio_codec": "aac"}, "audio_codec aac cannot be in container webm"),
        ({"container": "mp3", "video_codec": "h264"}, "video_codec h264 cannot be in container mp3"),
        ({"crf": 20, "bitrate": 2000}, "crf and bitrate exclude each other"),
        ({"crf": 52}, "crf goes from 0 to 51 with video_codec h264"),
        ({"crf": 20, "video_codec": "prores"}, "crf cannot be given with video_codec prores"),
        ({"crf": 20, "video_codec": "copy"}, "crf cannot be given with video_codec copy"),
        ({"width": 64, "video_codec": "copy"}, "width cannot be given with video_codec copy"),
        ({"fps": 25, "video_codec": "none"}, "fps cannot be given with video_codec none"),
        ({"height": 35}, "height must be even with video_codec h264"),
        ({"video_codec": "gif", "audio_codec": "aac"}, "audio_codec must be none with container gif"),
        ({"container": "png", "audio_codec": "aac"}, "audio_codec must be none with container png"),
        ({"container": "png", "video_codec": "h264"}, "video_codec cannot be given with container png"),
        ({"video_codec": "none", "audio_codec": "none"}, "video_codec and audio_codec cannot both be none"),
        ({"audio_bitrate": 128, "audio_codec": "copy"}, "audio_bitrate cannot be given with audio_codec copy"),
        ({"audio_bitrate": 512, "audio_codec": "mp3"}, "audio_bitrate goes up to 320 with audio_codec mp3"),
        ({"hardware": "nvenc", "video_codec": "vp9"}, "hardware nvenc cannot encode video_codec vp9"),
        ({"hardware": "vaapi", "video_codec": "copy"}, "hardware vaapi cannot encode video_codec copy"),
    ],
)
def test_a_contradiction_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        args(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"video_codec": "h264 -i /etc/passwd"}, {"container": "../x"}, {"crf": "20"}, {"crf": -1}, {"crf": 64},
        {"width": 0}, {"width": 1.5}, {"fps": 0}, {"fps": "25"}, {"start": -1}, {"duration": 0}, {"speed": "warp"},
        {"argv": ["-i"]}, {"hardware": "h264_nvenc -x"}, {"audio_bitrate": True},
    ],
)  # fmt: skip
def test_anything_but_typed_values_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        args(**values)


def test_the_schema_describes_every_argument() -> None:
    fields = msgspec.json.schema(FFmpegArgs)["$defs"]["FFmpegArgs"]["properties"]
    assert set(fields) == set(FFmpegArgs.__struct_fields__)
    assert all("description" in str(field) for field in fields.values())
