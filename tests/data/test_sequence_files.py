"""Sequences as folders of frames and as arrays, as `ppbench corrupt` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ppbench
from ppbench.copies.api import corrupt_folder
from ppbench.data import sequence_files
from ppbench.data.published_sequences import PublishedFiles
from ppbench.data.sequence_files import SEQUENCE_FORMS
from ppbench.data.sequence_layout import look_for_sequences
from ppbench.errors import DataError
from tests.trees import photographs

FRAMES = SEQUENCE_FORMS[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sequence of 101 frames: in the order of texts, the last would come third."""
    (tmp_path / "a").mkdir()
    for number in range(101):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "a" / f"{number:02}.png")
    (tmp_path / "a" / "notes.txt").touch()
    return tmp_path / "a"


def test_frames_are_in_the_order_of_their_numbers(folder: Path) -> None:
    frames = FRAMES.read(folder)
    assert (frames.shape, frames.dtype) == ((101, 8, 8, 3), np.uint8)
    assert frames[:, 0, 0, 0].tolist() == list(range(101))
    assert len(FRAMES.files(folder)) == 101
    assert list(FRAMES.below(folder.parent)) == ["a"]
    assert FRAMES.encoding == "lossless"


def test_a_folder_that_is_wrong_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most, message in (("MOST_PIXELS", 63, "has 8 x 8 pixels"), ("MOST_FRAMES", 100, "has 101 frames, or")):
        with monkeypatch.context() as patch:
            patch.setattr(sequence_files, name, most)
            with pytest.raises(DataError, match=message):
                FRAMES.read(folder)
    Image.new("RGB", (8, 9)).save(folder / "50.png")
    with pytest.raises(DataError, match=r"50\.png has 8 x 9 pixels"):
        FRAMES.read(folder)
    (folder / "50.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"cannot read the image .*50\.png: it is not a supported image"):
        FRAMES.read(folder)
    (folder / "50.png").unlink()
    with pytest.raises(DataError, match="has 100 frames, or lacks one among them"):
        FRAMES.read(folder)
    with pytest.raises(DataError, match="has 0 frames"):
        FRAMES.read(folder / "none")


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    for name, image in zip(("n01/a.png", "n02/b.jpg"), photographs(16, 2), strict=True):
        (tmp_path / "src" / name).parent.mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / "src" / name)
    corrupt_folder(tmp_path / "src", tmp_path / "out", perturbations=["brightness", "shot_noise"], difficulties=2)
    found = look_for_sequences(tmp_path / "out")
    assert found is not None
    assert found.form is FRAMES
    source = PublishedFiles(found.root, "imagenet-p", "imagenet-p", found.form, found.folders)
    assert (source.ids, source.encoding, source.frames_of("brightness")) == (["n01/a", "n02/b"], "lossless", 31)
    source.check(["brightness", "shot_noise"], (2,))
    image = np.asarray(Image.open(tmp_path / "src" / "n01" / "a.png"))
    expected = ppbench.perturb(image[None], "brightness", recipe="cifar-p")[0]
    assert np.array_equal(source.read_one(0, ("brightness", 1)), expected)
    before = source.stamps(("brightness", 1)).tolist()
    frame = tmp_path / "out" / "brightness" / "n02" / "b" / "07.png"
    frame.write_bytes(frame.read_bytes() + b"longer")
    after = source.stamps(("brightness", 1)).tolist()
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False]


def test_arrays_of_each_image_are_read_again_or_named(tmp_path: Path) -> None:
    image = photographs(16, 1)[0]
    (tmp_path / "src").mkdir()
    Image.fromarray(image).save(tmp_path / "src" / "a.png")
    corrupt_folder(tmp_path / "src", tmp_path / "out", perturbations=["brightness"], format="npy")
    found = look_for_sequences(tmp_path / "out")
    assert found is not None
    assert found.form is SEQUENCE_FORMS[2]
    source = PublishedFiles(found.root, "imagenet-p", "imagenet-p", found.form, found.folders)
    assert (source.ids, source.encoding, source.frames_of("brightness")) == (["a"], "lossless", 31)
    expected = ppbench.perturb(image[None], "brightness", recipe="cifar-p")[0]
    assert np.array_equal(source.read_one(0, ("brightness", 1)), expected)
    path = tmp_path / "out" / "brightness" / "a.npy"
    for wrong in (expected[0], expected.astype(np.float32), expected[:0], expected[..., :1]):
        np.save(path, wrong)
        with pytest.raises(DataError, match=r"a\.npy has the shape .*"):
            found.form.read(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"a\.npy ends early"):
        found.form.read(path)
    with pytest.raises(DataError, match=r"cannot read the array .*b\.npy"):
        found.form.read(path.with_name("b.npy"))
    # Without the record beside them, arrays may be anything.
    (tmp_path / "out" / "manifest.json").unlink()
    assert look_for_sequences(tmp_path / "out") is None
