"""Videos from outside: only whole H.264 videos of a bounded size become frames."""

from __future__ import annotations

import io
import re
from pathlib import Path

import av
import numpy as np
import pytest

from ppbench.copies.video import encode_video
from ppbench.data import video
from ppbench.data.video import decode_video, read_video
from ppbench.errors import DataError
from tests.trees import photographs

CUT_OFF = "it is no MP4 file, or it was cut off"


@pytest.fixture(scope="module")
def content() -> bytes:
    return encode_video(np.stack(photographs(32, 4)), is_noise=False)


def written(frames: list[np.ndarray], codec: str = "libx264", form: str = "mp4", path: Path | None = None) -> bytes:
    """A video as another program may write it: in a file, its table is at the beginning."""
    file = io.BytesIO()
    with av.open(path or file, "w", format=form, options={"movflags": "faststart"} if path else {}) as container:
        stream = container.add_stream(codec, rate=1)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes() if path else file.getvalue()


def test_what_is_no_video_is_one_line(content: bytes) -> None:
    for other, message in (
        (b"", CUT_OFF),
        (b"<html>", CUT_OFF),
        (content[: len(content) // 2], CUT_OFF),
        (written(list(photographs(32, 2)), "mpeg4"), "its video is mpeg4, not H.264"),
        (written(list(photographs(32, 2)), form="matroska"), CUT_OFF),
    ):
        with pytest.raises(DataError, match=message) as caught:
            decode_video(other)
        assert "\n" not in caught.value.message
        assert caught.value.hint == "Unpack its archive again, or remove the file."


def test_a_video_that_is_cut_off_gives_no_frames(tmp_path: Path) -> None:
    # With its table at the beginning, a video that ends early still opens.
    frames = [np.roll(photographs(64, 1)[0], 9 * step, axis=0) for step in range(9)]
    content = written(frames, path=tmp_path / "a.mp4")
    assert len(decode_video(content)) == 9
    for part in (0.5, 0.7, 0.95):
        with pytest.raises(DataError, match=r"it ends early: \d of 9 frames|are damaged and cannot|is damaged"):
            decode_video(content[: int(len(content) * part)])


def test_damage_is_found_or_changes_nothing(content: bytes) -> None:
    frames = decode_video(content)
    start, random = content.index(b"mdat") + 4, np.random.default_rng(0)
    refused: set[str] = set()
    for place in random.integers(start + 700, len(content), 30):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        try:
            back = decode_video(bytes(damaged))
        except DataError as error:
            refused.add(error.message)
        else:
            assert back.shape == frames.shape
    own = r"frame \d is damaged|its frames are damaged and cannot be decoded|it .*"
    assert refused
    assert all(re.fullmatch(own, message) for message in refused)


def test_sizes_are_bounded_before_anything_is_decoded(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, message in (
        ("LARGEST_VIDEO", 100, "it has more than 100 bytes"),
        ("MOST_FRAMES", 3, "it has more than 3 frames"),
        ("MOST_PIXELS", 1000, "its frames have 32 x 32 pixels, more than 1,000"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(video, name, value)
            with pytest.raises(DataError, match=message):
                decode_video(content)


def test_errors_name_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    assert read_video(tmp_path / "a.mp4").shape == (4, 32, 32, 3)
    with pytest.raises(DataError, match=r"cannot read the video .*none\.mp4: No such file"):
        read_video(tmp_path / "none.mp4")
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    with pytest.raises(DataError, match=rf"cannot read the video .*b\.mp4: {CUT_OFF}"):
        read_video(tmp_path / "b.mp4")
