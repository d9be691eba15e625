"""Frames made from clean images of any size, as the recipe takes them."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.data.cut import AsIs
from ppbench.data.decode import FolderImages
from ppbench.data.labels import list_photographs
from ppbench.data.sequences import MadeSequences, SequenceSource
from ppbench.errors import DataError
from ppbench.vocabulary import CLEAN, Cell
from tests.trees import photographs

CPU = torch.device("cpu")
SIZES = [(300, 270), (320, 280), (300, 270)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    for number, (image, size) in enumerate(zip(photographs(128, 3), SIZES, strict=True)):
        Image.fromarray(image).resize(size).save(root / f"{number}.png")
    return root


def source_of(folder: Path, recipe: str) -> MadeSequences:
    images = FolderImages(folder, AsIs(0), list_photographs(folder))
    return MadeSequences("any", images, recipe, seed=3)


def frames_of(source: SequenceSource, name: str, places: Sequence[int]) -> dict[int, np.ndarray]:
    read = source.read(source.reading(name, 1), np.array(places))
    return {
        int(place): np.asarray(frames[row])
        for at, frames in source.frames(read, name, 1, CPU)
        for row, place in enumerate(at)
    }


def shorter_side(image: Image.Image, side: int) -> np.ndarray:
    width, height = image.size
    short = min(width, height)
    return np.asarray(image.resize((side * width // short, side * height // short), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(
    ("recipe", "names", "side"),
    [
        ("imagenet-p", ("translate", "motion_blur"), 256),
        ("imagenet-p-299", ("translate", "motion_blur"), None),
        ("tiny-imagenet-p", ("tilt", "brightness", "motion_blur"), 64),
    ],
)
def test_frames_are_those_of_perturb_for_images_before_the_crop(
    folder: Path, recipe: str, names: tuple[str, ...], side: int | None
) -> None:
    source = source_of(folder, recipe)
    for name in names:
        found = frames_of(source, name, [1, 0])
        assert sorted(found) == [0, 1]
        for place, frames in found.items():
            image = Image.open(folder / f"{place}.png").convert("RGB")
            is_whole = side is None or (recipe, name) == ("tiny-imagenet-p", "motion_blur")
            whole = np.asarray(image) if is_whole else shorter_side(image, side)
            expected = ppbench.perturb(whole[None], name, recipe=recipe, seed=3, ids=[f"{place}.png"])[0]
            assert (frames == expected).all()
            assert len(frames) == source.frames_of(name)
    assert source.size == frames.shape[1]


def test_motion_blur_of_tiny_imagenet_reads_whole_images_and_gives_frames_of_several_sizes(folder: Path) -> None:
    source = source_of(folder, "tiny-imagenet-p")
    assert source.reading("motion_blur", 1) != source.reading("tilt", 1) == (CLEAN, 0)
    found = frames_of(source, "motion_blur", [0, 1, 2])
    assert {place: frames.shape[1:3] for place, frames in found.items()} == {0: (64, 71), 1: (64, 73), 2: (64, 71)}


def test_cuts_in_words_and_a_source_that_travels(folder: Path) -> None:
    sources = [source_of(folder, name) for name in ("imagenet-p", "imagenet-p-299", "tiny-imagenet-p")]
    assert [source.cut for source in sources] == [
        "resize 256, crop 224", "crop 87.5 %, resize 299 x 299", "resize 64, crop 64",
    ]  # fmt: skip
    first = sources[0]
    stamps = first.stamps(("tilt", 1))
    there = pickle.loads(pickle.dumps(first))
    assert (there.stamps(("tilt", 1)) == stamps).all()
    first.limit(np.array([2, 0]))
    assert first.ids == ["2", "0"]
    assert (first.stamps(("tilt", 1)) == stamps[[2, 0]]).all()
    assert (frames_of(first, "translate", [1])[1] == frames_of(there, "translate", [0])[0]).all()


def test_an_image_that_is_too_small_is_broken_and_named(tmp_path: Path) -> None:
    Image.new("RGB", (300, 7)).save(tmp_path / "thin.png")
    source = source_of(tmp_path, "imagenet-p")
    read = source.read((CLEAN, 0), np.array([0]))
    assert not read.arrays
    assert read.broken[0].reason == "thin.png has 300 x 7 pixels"
    with pytest.raises(DataError, match=r"thin\.png"):
        source.read_one(0, (CLEAN, 0))


class Published(SequenceSource):
    """Three sequences of noise, of which one cannot be read."""

    corruptions = ("shot_noise", "tilt")
    image_major = False

    def __init__(self) -> None:
        self.dataset = "published"
        self._set(["a", "b", "c"], np.zeros(3, np.int64), ())

    def frames_of(self, perturbation: str) -> int:
        return 4

    def read_one(self, place: int, reading: Cell) -> np.ndarray:
        if place == 1:
            raise DataError("b is broken", "Replace it.")
        return np.full((4, 8, 8, 3), 10 * place + reading[1], np.uint8)

    def fingerprint(self) -> str:
        return ""

    def stamps(self, cell: Cell) -> np.ndarray:
        return np.zeros(3, np.uint64)

    def mean_bytes(self) -> float:
        return 0.0


def test_published_frames_come_as_they_were_read() -> None:
    source = Published()
    assert source.reading("shot_noise", 2) == ("shot_noise", 2)
    assert source.reading("tilt", 2) == source.reading("tilt", 3) == ("tilt", 1)
    read = source.sequence_reader()(source.reading("shot_noise", 2), np.array([2, 1, 0]))
    assert [one.place for one in read.broken] == [1]
    found = {int(places[0]): frames for places, frames in source.frames(read, "shot_noise", 2, CPU)}
    assert {place: (frames.shape, frames.max()) for place, frames in found.items()} == {
        2: ((1, 4, 8, 8, 3), 22), 0: ((1, 4, 8, 8, 3), 2),
    }  # fmt: skip
    source.check(("tilt",), (1,))
    with pytest.raises(DataError, match="published has no sequences of scale here"):
        source.check(("tilt", "scale"), (1,))
    with pytest.raises(NotImplementedError):
        source.load("tilt", 1, np.array([0]))
