"""Perturbation sequences as H.264 videos, with the settings of the published ImageNet-P.

The frames lose by it: by 4 grey levels on average for noise, by about one for the others. That is part of the published
benchmark. The bytes of a video depend on the version of the encoder, x264; its frames hardly do.
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError, UsageError
from ppbench.extras import how_to_install, import_extra
from ppbench.versions import version_of

ENCODING = (
    "libx264, preset veryslow, yuv444p, 1 frame/s, crf 20; noise: crf 23, tune grain; "
    "the bytes depend on the version of x264"
)
"""The settings, for the record of a folder."""

_X264 = re.compile(rb"x264 - core (\d+(?: r\d+)?)")
"""What the encoder says of itself in a stream."""


def encode_video(frames: NDArray[np.uint8], *, is_noise: bool) -> bytes:
    """Encode a sequence as H.264 in an MP4 file. With one version of the encoder, the bytes are always the same.

    Args:
        frames: ``(frames, H, W, 3)`` uint8, RGB.
        is_noise: Whether the perturbation is a noise, which the published scripts encode with other settings.

    Raises:
        UsageError: If the extra `video` is not installed, or its libraries lack the encoder.
        DataError: If the encoder does not take the frames.
    """
    av = _av()
    try:
        return _encoded(av, frames, is_noise)
    except av.error.FFmpegError as error:
        height, width = frames.shape[1:3]
        raise DataError(
            f"its frames of {width} x {height} pixels cannot be encoded as H.264", "Write frames: `--format png`."
        ) from error


def _encoded(av: Any, frames: NDArray[np.uint8], is_noise: bool) -> bytes:
    quality = {"crf": "23", "tune": "grain"} if is_noise else {"crf": "20"}
    # With several threads the bytes would depend on their number.
    options = {"preset": "veryslow", "threads": "1", **quality}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1, options=options)
        stream.height, stream.width = frames.shape[1:3]
        # RGB frames given to ffmpeg without a pixel format become this one: no channel loses resolution.
        stream.pix_fmt = "yuv444p"
        stream.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def encoder_versions() -> dict[str, str]:
    """Versions of everything that the bytes of a video depend on.

    Raises:
        UsageError: As `encode_video`.
    """
    found = _X264.search(encode_video(np.zeros((1, 16, 16, 3), np.uint8), is_noise=False))
    versions = vars(_av())["library_versions"]
    codec = ".".join(map(str, versions["libavcodec"]))
    return {"av": version_of("av"), "libavcodec": codec, "x264": found[1].decode() if found else "unknown"}


def _av() -> Any:
    av = import_extra("av", "video", "`--format mp4`")
    if "libx264" not in av.codecs_available:
        raise UsageError("this build of PyAV lacks the encoder libx264", f"Install another. {how_to_install('video')}")
    return av
