"""Decode videos of perturbation sequences to frames. They come from outside, and are bounded before they are decoded.

Only MP4 files with one H.264 video are read: the demuxer and the decoder are named, so that no content chooses another
one, such as a playlist that names further files.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import DataError
from ppbench.extras import import_extra
from ppbench.files import open_regular

LARGEST_VIDEO = 2**26
"""Bytes of a file. Those of the published sets have less than a million."""

MOST_FRAMES = 256
MOST_PIXELS = 2**20
"""Of a frame. Those of the published sets have at most 299 x 299."""

MOST_IN_ALL = 2**25
"""Pixels of all frames of a sequence, which are 100 MB; the published ones have at most 4 million."""

_HINT = "Unpack its archive again, or remove the file."


def check_can_decode() -> None:
    """Raise `UsageError` if the extra `video` is not installed."""
    _av()


def read_video(path: Path) -> NDArray[np.uint8]:
    """Read the frames of a video file, in order, not resized: ``(frames, H, W, 3)`` uint8, RGB.

    Raises:
        DataError: If it is missing, too large, damaged or cut off, or not an H.264 video; the message names the file.
        UsageError: If the extra `video` is not installed.
    """
    try:
        with open_regular(path) as file:
            return named_video(file.read(LARGEST_VIDEO + 1), str(path))
    except OSError as error:
        return named_video(error, str(path))


def named_video(content: bytes | OSError, name: str) -> NDArray[np.uint8]:
    """Decode what was read of a video file, or raise why it could not be; as `read_video`."""
    if isinstance(content, OSError):
        raise DataError(f"cannot read the video {name}: {content.strerror or content}", _HINT) from content
    try:
        return decode_video(content)
    except DataError as error:
        raise DataError(f"cannot read the video {name}: {error.message}", error.hint) from error


def decode_video(content: bytes) -> NDArray[np.uint8]:
    """Decode the content of an MP4 file, as `read_video`. Messages do not name the file."""
    if len(content) > LARGEST_VIDEO:
        raise DataError(f"it has more than {LARGEST_VIDEO:,} bytes", _HINT)
    av, is_open = _av(), False
    try:
        with av.open(io.BytesIO(content), format="mp4") as container:
            is_open = True
            frames = _frames(container)
    except DataError:
        raise
    except Exception as error:  # a decoder can raise anything on damaged content, in words of its own
        words = "its frames are damaged and cannot be decoded" if is_open else "it is no MP4 file, or it was cut off"
        raise DataError(words, _HINT) from error
    return frames


def _frames(container: Any) -> NDArray[np.uint8]:
    streams = container.streams.video
    if len(streams) != 1:
        raise DataError(f"it has {len(streams)} videos instead of one", _HINT)
    stream, codec = streams[0], streams[0].codec_context
    if codec.name != "h264":
        raise DataError(f"its video is {codec.name}, not H.264", _HINT)
    size = _checked(codec.height, codec.width)
    # Without these, damaged parts would be covered by what is around them, and nobody would know.
    codec.options = {"err_detect": "explode", "max_pixels": str(MOST_PIXELS)}
    codec.thread_count = 1
    frames: list[NDArray[np.uint8]] = []
    for frame in container.decode(stream):
        if _checked(frame.height, frame.width) != size:
            raise DataError("its frames have several sizes", _HINT)
        if frame.is_corrupt:
            raise DataError(f"frame {len(frames)} is damaged", _HINT)
        if len(frames) == MOST_FRAMES:
            raise DataError(f"it has more than {MOST_FRAMES} frames", _HINT)
        if (len(frames) + 1) * frame.height * frame.width > MOST_IN_ALL:
            raise DataError(f"its frames have more than {MOST_IN_ALL:,} pixels together", _HINT)
        frames.append(frame.to_ndarray(format="rgb24"))
    if not frames or len(frames) < stream.frames:
        raise DataError(f"it ends early: {len(frames)} of {stream.frames} frames", _HINT)
    return np.stack(frames)


def _checked(height: int, width: int) -> tuple[int, int]:
    if not 0 < height * width <= MOST_PIXELS:
        raise DataError(f"its frames have {width} x {height} pixels, more than {MOST_PIXELS:,} or none", _HINT)
    return height, width


def _av() -> Any:
    return import_extra("av", "video", "reading videos of frames")
