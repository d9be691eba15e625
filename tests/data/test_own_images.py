"""Images of the user's own code: what is taken, and one line for what is not."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from ppbench.data.from_python import as_picture, in_rows
from ppbench.data.opening import open_source
from ppbench.data.own_images import ImagesGiven, OwnImages
from ppbench.data.source import Geometry, Source
from ppbench.data.uncut import CutImages
from ppbench.errors import DataError, PpbenchError, UsageError
from tests.trees import photographs

IMAGES = np.stack(photographs(32, 4))
LABELS = [0, 1, 1, 0]
CUT = Geometry(32, None)


class Own(Dataset):  # type: ignore[type-arg]
    """A map-style Dataset of what it is given."""

    def __init__(self, given: Any, length: int | None = None, **fields: Any) -> None:
        self.given, self.length = list(given), len(given) if length is None else length
        self.__dict__.update(fields)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, row: int) -> Any:
        sample = self.given[row]
        if isinstance(sample, Exception):
            raise sample
        return sample() if callable(sample) else sample


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        yield IMAGES[0], 0


def given(images: Any, labels: Any = None, **more: Any) -> OwnImages:
    return OwnImages(ImagesGiven.of(images, labels, **more))


def pairs(labels: Any = LABELS) -> list[tuple[Image.Image, Any]]:
    return [(Image.fromarray(image), label) for image, label in zip(IMAGES, labels, strict=True)]


def cut(images: OwnImages) -> np.ndarray:
    loaded = CutImages(images, CUT).load(np.arange(len(images.ids)))
    assert not loaded.broken
    return loaded.pixels


FORMS: list[Callable[[], OwnImages]] = [
    lambda: given(IMAGES, LABELS),
    lambda: given(IMAGES.transpose(0, 3, 1, 2), np.array(LABELS, np.uint8)),
    lambda: given(torch.from_numpy(IMAGES), torch.tensor(LABELS)),
    lambda: given(torch.from_numpy(IMAGES).permute(0, 3, 1, 2), tuple(LABELS)),
    lambda: given([Image.fromarray(image) for image in IMAGES], LABELS),
    lambda: given(list(IMAGES), LABELS),
    lambda: given(pairs()),
    lambda: given(Own(pairs([np.int64(label) for label in LABELS]))),
    lambda: given(
        Own([(torch.from_numpy(i).permute(2, 0, 1), torch.tensor(n)) for i, n in zip(IMAGES, LABELS, strict=True)])
    ),
    lambda: given(Own([{"img": image, "label": label} for image, label in pairs()])),
    lambda: given(Own([image for image, _ in pairs()]), LABELS),
    lambda: given(Subset(Own([*pairs(), "not looked at"]), range(4))),
]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_images_in_every_form_have_the_same_ids_and_pixels(form: Callable[[], OwnImages]) -> None:
    images, first = form(), FORMS[0]()
    assert (images.ids, images.labels.tolist(), images.channels) == (first.ids, LABELS, 3)
    assert np.array_equal(cut(images), IMAGES)
    assert images.fingerprint() == first.fingerprint()
    assert np.array_equal(cut(pickle.loads(pickle.dumps(images))), IMAGES)


def test_grey_images_stay_grey_unless_one_has_colour() -> None:
    grey = IMAGES[..., 0]
    for form in (grey, grey[..., None], grey[:, None], [Image.fromarray(image) for image in grey]):
        assert given(form, LABELS).channels == 1
        assert np.array_equal(cut(given(form, LABELS))[..., 0], grey)
    mixed = given([Image.fromarray(grey[0]), Image.fromarray(IMAGES[1])], [0, 1])
    assert mixed.channels == 3
    assert np.array_equal(cut(mixed)[0], np.repeat(grey[0][..., None], 3, -1))


def test_a_border_is_put_around_grey_images_too() -> None:
    loaded = CutImages(given(IMAGES[:, :16, :, 0], LABELS), Geometry(32, 16, crop_mode="border", fill=(9, 9, 9)))
    pixels, broken = loaded.load(np.arange(4))
    assert not broken
    assert pixels.shape == (4, 32, 32, 1)
    assert set(pixels[:, 0].ravel()) == {9}


def test_ids_and_names_are_those_of_the_dataset_or_of_the_caller() -> None:
    files = [(f"/data/n{label}/{row}.png", label) for row, label in enumerate(LABELS)]
    named = Own(pairs(), samples=files, root="/data", classes=["cat", "dog"])
    images = given(named)
    assert images.ids == ["n0/0.png", "n1/1.png", "n1/2.png", "n0/3.png"]
    assert images.class_names == ("cat", "dog")
    part = given(Subset(named, [2, 0]))
    assert (part.ids, part.labels.tolist(), part.class_names) == (["n1/2.png", "n0/0.png"], [1, 0], ("cat", "dog"))
    # torchvision's ImageNet has lists of synonyms as classes.
    other = Own(pairs(), classes=[("tench", "a"), ("goldfish",)], wnids=["n01440764", "n01443537"])
    assert given(other).class_names == ("n01440764", "n01443537")
    mine = given(named, ids=["a", "b", "c", "d"], label_names=["x", "y", "z"])
    assert (mine.ids, mine.class_names) == (["a", "b", "c", "d"], ("x", "y", "z"))
    words = given(IMAGES, ["dog", "cat", "cat", "dog"])
    assert (words.class_names, words.labels.tolist()) == (("cat", "dog"), [1, 0, 0, 1])
    assert given(IMAGES, ["dog", "cat", "cat", "dog"], label_names=["dog", "cat"]).labels.tolist() == LABELS


def test_labels_that_are_not_needed_may_be_missing() -> None:
    for form in (IMAGES, list(IMAGES), Own([image for image, _ in pairs()]), Own(pairs([None] * 4))):
        images = OwnImages(ImagesGiven.of(form), labelled=False)
        assert (images.ids, images.labels.tolist()) == (FORMS[0]().ids, [0] * 4)
        assert np.array_equal(cut(images), IMAGES)


def test_equal_images_have_different_ids() -> None:
    ids = given(IMAGES[[0, 0, 1, 0]], LABELS).ids
    assert ids[1:] == [f"{ids[0]}#2", ids[2], f"{ids[0]}#3"]


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: given(IMAGES / 255, LABELS), r"own-images: pixels are float64, not uint8\n.*leave out ToTensor"),
    (lambda: given(torch.zeros(4, 3, 8, 8), LABELS), "pixels are float32, not uint8"),
    (lambda: given(IMAGES.astype(np.int64), LABELS), r"pixels are int64, not uint8\n.*Convert them: 0 to 255"),
    (lambda: given(np.zeros((4, 3, 8, 3), np.uint8), LABELS), r"the shape \(4, 3, 8, 3\) fits both orders of axes"),
    (lambda: given(np.zeros((4, 8, 8, 4), np.uint8), LABELS), r"pixels have the shape \(4, 8, 8, 4\)\n.*no alpha"),
    (lambda: given(np.zeros((4, 8), np.uint8), LABELS), r"pixels have the shape \(4, 8\)"),
    (lambda: given(np.zeros((0, 8, 8, 3), np.uint8), []), "has no images"),
    (lambda: given(IMAGES), r"own-images: 4 images without labels\n.*evaluate\(model, images, labels\)"),
    (lambda: given(IMAGES, [0, 1]), "2 labels for 4 images"),
    (lambda: given(IMAGES, np.eye(4)), r"labels have the shape \(4, 4\)\n.*argmax"),
    (lambda: given(IMAGES, [0.0, 1.0, 0.0, 1.0]), "labels are float64"),
    (lambda: given(IMAGES, [[0], [1, 2], [0], [0]]), r"labels cannot be turned into an array"),
    (lambda: given(IMAGES, LABELS, ids=["a"]), "ids are 1, for 4 images"),
    (lambda: given(IMAGES, LABELS, ids=list("abca")), "the id 'a' occurs twice"),
    (lambda: given(IMAGES, LABELS, label_names=["x", "x"]), "label_names are not different texts"),
    (lambda: given(IMAGES, list("xyxy"), label_names=["x"]), "the label 'y' is not among the 1 label_names"),
    (lambda: CutImages(given(IMAGES, [0, 1, 2, -1]), CUT), r"has the label -1; allowed are 0 to 2"),
    (lambda: CutImages(given(IMAGES, [0, 1, 2, 3]), CUT, "xyz"), r"has the label 3; allowed are 0 to 2, the 3 outputs"),
    (lambda: given(Own([(torch.zeros(3, 8, 8), 0)])), r"Own: image 0: pixels are float32, not uint8\n.*v2.PILToTensor"),
    (lambda: given(Own(pairs(), 6)), r"Own: image 4 cannot be had: its length says 6 \(IndexError"),
    (lambda: given(Own([*pairs(), ValueError("no\nfile")])), r"Own: image 4 cannot be had \(ValueError: no file\)"),
    (lambda: given(Own([image for image, _ in pairs()])), r"Own: image 0 is a Image, not a pair"),
    (lambda: given(Own([(IMAGES[0], 0, "x")])), "Own: image 0 is 3 values, not a pair"),
    (lambda: given(Own([{"pixels": IMAGES[0]}])), r"image 0 has no image; it has pixels\n.*image, img"),
    (lambda: given(Own([{"image": IMAGES[0], "id": 3}])), "image 0 has no label; it has image, id"),
    (lambda: given(Own([("a.png", 0)])), "Own: image 0 is a str, not an image"),
    (lambda: given(Own([(IMAGES[0], 0.5)])), "Own: image 0 has the label '0.5', a float"),
    (lambda: given(Own([(IMAGES[0], None)])), "Own: image 0 has no label"),
    (lambda: given(Own([(IMAGES[0], 0), (IMAGES[1], "cat")])), "some labels are numbers, and some names"),
    (lambda: given(Own([(Image.new("I;16", (8, 8)), 0)])), r"has more than 8 bits per channel \(I;16\)"),
    (
        lambda: given(Own([lambda: (np.random.default_rng().integers(0, 256, (8, 8, 3), np.uint8), 0)])),
        r"image 0 is another image each time it is asked for\n.*random",
    ),
    (lambda: given(Stream()), r"Stream is iterable only \(Stream\)"),
    (lambda: given(iter(pairs())), "is iterable only"),
    (lambda: given(3), "is no set of images"),
    (
        lambda: given(torch.empty(4, 3, 8, 8, dtype=torch.uint8, device="meta"), LABELS),
        "cannot be turned into an array",
    ),
    (lambda: given(IMAGES, torch.zeros(4, dtype=torch.bfloat16)), "labels cannot be turned into an array"),
    (lambda: given(IMAGES, np.full(4, 2**63, np.uint64)), "a label is larger than any class number"),
    (lambda: given(IMAGES, LABELS, ids=5), "ids are no list of texts, for 4 images"),
    (lambda: given(IMAGES, LABELS, ids="abcd"), "ids are no list of texts"),
    (lambda: given(IMAGES, LABELS, label_names="ab"), "label_names are not different texts"),
    (lambda: given(IMAGES, LABELS, label_names=[["a"], ["b"]]), "label_names are not different texts"),
    (lambda: CutImages(given(IMAGES, ["a", "\udc80"] * 2), CUT), r"the class name '\\udc80' is not UTF-8"),
    (lambda: given(Own(pairs(), -1)), r"the length of Own cannot be had \(ValueError"),
    (lambda: given(Own([lambda: sys.exit(0)])), r"Own: image 0 cannot be had \(SystemExit: 0\)"),
    (lambda: given(DataLoader(Own(pairs()))), r"a DataLoader was given instead of a Dataset\n.*loader\.dataset"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_one_line_says_what_is_wrong(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(PpbenchError, match=message) as caught:
        make()
    assert "\n" not in caught.value.message


def test_an_image_that_changes_later_is_reported(tmp_path: Path) -> None:
    dataset = Own(pairs())
    images = given(dataset)
    dataset.given[2] = (Image.new("RGB", (32, 32)), 1)
    read = list(images.read(np.array([1, 2])))
    assert isinstance(read[0], Image.Image)
    assert isinstance(read[1], DataError)
    assert "Own: image 2 is another image than before" in read[1].message


def test_a_dataset_that_cannot_be_sent_says_so() -> None:
    images = given(Own(pairs(), transform=lambda image: image))
    with pytest.raises(UsageError, match=r"Own cannot be sent to processes that read images: .*\n.*--workers 0"):
        pickle.dumps(images)


def test_small_shapes() -> None:
    assert in_rows(np.zeros((2, 1, 8, 8), np.uint8), "x").shape == (2, 8, 8, 1)
    assert as_picture(np.zeros((3, 8, 9), np.uint8), "x").size == (9, 8)
    assert as_picture(Image.new("RGBA", (2, 2)), "x").mode == "RGB"


CODE = """
import numpy as np
from ppbench.errors import DataError
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
def pair(): return IMAGES, [0, 1, 1, 0]
def named(): return IMAGES, [0, 1, 1, 0], ["cat", "dog"]
def all_of_it(): return {"images": IMAGES, "labels": [0, 1, 1, 0], "ids": list("abcd"), "label_names": ["cat", "dog"]}
def odd(): return {"images": IMAGES, "lables": []}
def nothing(): pass
def unlabelled(): return IMAGES
def broken(): raise ValueError("no\\ndisk")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "images_of_mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("images_of_mine", None)


def opened(function: str) -> Source:
    return open_source(f"images_of_mine:{function}", None, CUT)


def test_a_factory_gives_images(code: None) -> None:
    assert opened("pair").class_names == ("0", "1")
    assert opened("named").class_names == ("cat", "dog")
    assert (opened("all_of_it").ids, opened("all_of_it").dataset) == (list("abcd"), "images_of_mine:all_of_it")
    assert opened("pair").ids == opened("named").ids


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("odd", "images_of_mine:odd returns 'lables', which is not known"),
        ("nothing", "images_of_mine:nothing returns None, which is no set of images"),
        ("unlabelled", r"images_of_mine:unlabelled: 4 images without labels"),
        ("broken", r"images_of_mine:broken raised ValueError: no disk"),
        ("piar", r"--dataset images_of_mine:piar: images_of_mine has no piar\ndid you mean 'pair'"),
        ("IMAGES", "images_of_mine:IMAGES is a ndarray, not a function"),
    ],
)
def test_a_factory_that_gives_none(code: None, function: str, message: str) -> None:
    with pytest.raises(PpbenchError, match=message):
        opened(function)


def test_names_that_are_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown dataset 'C:\\\\photos'"):
        open_source("C:\\photos", None, CUT)
    with pytest.raises(UsageError, match="--dataset no_such:thing: there is no module no_such"):
        open_source("no_such:thing", None, CUT)
    with pytest.raises(UsageError, match="--dataset a:b takes no --data"):
        open_source("a:b", tmp_path, CUT)
