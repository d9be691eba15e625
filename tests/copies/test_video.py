"""Videos are encoded as the published ones, and give back their frames."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from ppbench.copies.api import corrupt_folder
from ppbench.copies.video import encode_video, encoder_versions
from ppbench.data.video import decode_video, read_video
from ppbench.errors import UsageError
from tests.copies.trees import tree
from tests.trees import photographs

pytestmark = pytest.mark.usefixtures("_workers_of_one_server")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.stack([np.roll(photographs(32, 1)[0], step, axis=1) for step in range(6)])


def settings_of(content: bytes) -> dict[str, str]:
    """What x264 writes of its settings into a stream."""
    found = re.search(rb"options: ([^\0]*)", content)
    assert found is not None
    return dict(part.split("=", 1) for part in found[1].decode().split() if "=" in part)


@pytest.mark.parametrize(("is_noise", "crf", "deadzone"), [(False, "20.0", "21,11"), (True, "23.0", "6,6")])
def test_a_video_has_the_published_settings(frames: np.ndarray, is_noise: bool, crf: str, deadzone: str) -> None:
    content = encode_video(frames, is_noise=is_noise)
    assert content == encode_video(frames, is_noise=is_noise)
    settings = settings_of(content)
    # The preset veryslow has 16 reference frames and 8 B-frames; tune grain has the small dead zones.
    assert {name: settings[name] for name in ("crf", "deadzone", "ref", "bframes", "subme", "rc_lookahead")} == {
        "crf": crf, "deadzone": deadzone, "ref": "16", "bframes": "8", "subme": "10", "rc_lookahead": "60",
    }  # fmt: skip
    assert settings["threads"] == "1", "the bytes depend on the number of threads"
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate) == ("h264", "yuv444p", 1)
        assert next(container.decode(stream)).color_range in (0, 1), "limited range"


def test_frames_come_back_in_order_and_nearly_the_same(frames: np.ndarray) -> None:
    for is_noise in (False, True):
        back = decode_video(encode_video(frames, is_noise=is_noise))
        assert (back.shape, back.dtype) == (frames.shape, np.uint8)
        distances = np.abs(back[:, None].astype(int) - frames[None]).mean(axis=(2, 3, 4))
        assert (distances.argmin(axis=1) == np.arange(len(frames))).all()
        assert distances.diagonal().max() < 6


def test_colours_come_back_as_they_were() -> None:
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)):
        flat = np.full((3, 32, 48, 3), colour, np.uint8)
        assert np.abs(decode_video(encode_video(flat, is_noise=False)).astype(int) - flat).max() <= 3, colour


def test_a_job_writes_a_video_of_each_image_as_published(tmp_path: Path) -> None:
    for name, image in zip(("n01/a.JPEG", "n02/b.png"), photographs(16, 2), strict=True):
        (tmp_path / "src" / name).parent.mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / "src" / name)
    options = {"perturbations": ["translate", "shot_noise"], "difficulties": [2], "format": "mp4"}
    report = corrupt_folder(tmp_path / "src", tmp_path / "c", **options)
    assert (report.written, report.sequences) == (4, True)
    files = {"translate/n01/a.mp4", "translate/n02/b.mp4", "shot_noise_2/n01/a.mp4", "shot_noise_2/n02/b.mp4"}
    made = tree(tmp_path / "c")
    assert set(made) == {*files, "manifest.json"}
    assert len(read_video(tmp_path / "c" / "translate/n01/a.mp4")) == 16
    assert settings_of(made["translate/n01/a.mp4"])["crf"] == "20.0"
    assert settings_of(made["shot_noise_2/n02/b.mp4"])["crf"] == "23.0"
    corrupt_folder(tmp_path / "src", tmp_path / "d", **options, workers=1, batch_size=1)
    assert tree(tmp_path / "d") == made
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert "libx264, preset veryslow, yuv444p" in manifest["settings"]["encoding"]
    versions = encoder_versions()
    assert versions["x264"] != "unknown"
    assert versions.items() <= manifest["made_with"].items()


def test_a_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(photographs(16, 1)[0]).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match="`--format mp4` needs av, which is not installed") as caught:
        corrupt_folder(tmp_path / "a.png", tmp_path / "c", perturbations="snow", format="mp4")
    assert "--extra video" in caught.value.hint
    assert not (tmp_path / "c").exists()
