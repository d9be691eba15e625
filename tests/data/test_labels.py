"""Photographs without class folders, and labels in a CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.data.labels import list_labelled, list_photographs
from ppbench.data.layout import FolderFound, look
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.subject import choose_head
from tests.evaluation.models import tiny_card
from tests.trees import write_class_folders, write_published

NAMES = ("IMG_1.png", "cats/a.png", "cats/more/b.png", "dogs/a.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photographs of different sizes at three depths."""
    for place, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40 + 9 * place, 60, 3), 40 * place, np.uint8)).save(path)
    return tmp_path / "photos"


def labelled(root: Path, text: str | bytes) -> tuple[list[str], list[str], bool]:
    """The images and their class names."""
    file = root.parent / "labels.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = list_labelled(root, file)
    return found.ids, [found.class_names[label] for label in found.labels], found.are_numbered


def test_photographs_at_any_depth(photos: Path) -> None:
    (photos / "notes.txt").write_text("no image")
    found = list_photographs(photos)
    assert found.ids == list(NAMES)
    assert found.class_names == ()
    assert not found.labels.any()
    assert found.notes == (f"left out in {photos}: 1 .txt",)


def test_a_folder_of_photographs_is_opened_by_the_way(photos: Path) -> None:
    source = open_source("imagefolder", photos, Geometry(32, 36), labels="predicted")
    assert source.ids == list(NAMES)
    assert source.load("clean", 0, np.arange(4)).pixels.shape == (4, 32, 32, 3)


def test_photographs_on_their_side_are_turned_if_that_is_wanted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    ramp = np.linspace(0, 255, 40 * 60).astype(np.uint8).reshape(40, 60, 1).repeat(3, 2)
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=exif)
    lying, upright = (
        open_source("imagefolder", tmp_path, Geometry(32, 36), labels="predicted", exif=wanted)
        for wanted in (False, True)
    )
    assert any("--exif" in note for note in lying.notes)
    assert not any("--exif" in note for note in upright.notes)
    before, after = (source.load("clean", 0, np.array([0])).pixels[0].astype(int) for source in (lying, upright))
    assert np.abs(np.rot90(before, -1) - after).max() <= 1
    assert np.abs(before - after).max() > 50


def test_class_folders_have_the_same_images_with_and_without_labels(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, classes=3)
    with_labels = open_source("imagefolder", root, Geometry(32, None), limit=4)
    without = open_source("imagefolder", root, Geometry(32, None), labels="predicted")
    assert set(with_labels.ids) < set(without.ids)
    assert without.ids == open_source("imagefolder", root, Geometry(32, None)).ids


def test_folders_by_year_month_and_day_are_no_corrupted_set(tmp_path: Path) -> None:
    path = tmp_path / "2024" / "3" / "17" / "a.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path)
    assert look(tmp_path, any_folders=True) == FolderFound(tmp_path, annotated=False)
    assert open_source("imagefolder", tmp_path, Geometry(32, None), labels="predicted").ids == ["2024/3/17/a.png"]


def test_a_flat_folder_names_the_ways_out(photos: Path) -> None:
    with pytest.raises(DataError, match="contains 1 image without class folders") as found:
        open_source("imagefolder", photos / "cats" / "more", Geometry(32, None))
    assert "`--labels FILE.csv`" in found.value.hint
    assert "`--labels predicted`" in found.value.hint


def test_nothing_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "photo.txt").write_text("no image")
    with pytest.raises(DataError, match=r"no images in .*: it has 1 \.txt"):
        list_photographs(tmp_path)


@pytest.mark.parametrize("text", [
    "path,label\nIMG_1.png,cat\ncats/a.png,cat\ncats/more/b.png,cat\ndogs/a.png,dog\n",
    "\ufeffFile,class\r\n./cats/a.png , cat\r\n\r\ncats\\more\\b.png,cat\r\ndogs/a.png,dog\r\nIMG_1.png,cat",
    '"dogs/a.png","dog"\n"cats/a.png","cat"\nIMG_1.png,cat\ncats/more/b.png,cat\n',
])  # fmt: skip
def test_a_csv_in_several_forms(photos: Path, text: str) -> None:
    assert labelled(photos, text) == (list(NAMES), ["cat", "cat", "cat", "dog"], False)


def test_numbers_are_places_among_the_outputs(photos: Path) -> None:
    text = "IMG_1.png,5\ncats/a.png,10\ncats/more/b.png,5\ndogs/a.png,007\n"
    assert labelled(photos, text) == (list(NAMES), ["5", "10", "5", "7"], True)
    source = open_source("imagefolder", photos, Geometry(32, None), labels=str(photos.parent / "labels.csv"))
    head = choose_head("net", tiny_card(32, 3, 12), source)
    assert head.columns is not None
    assert head.columns.tolist() == [5, 7, 10]
    assert head.logits == "masked"
    with pytest.raises(DataError, match=r"--labels has the class 10, but the model's outputs are 0 to 9"):
        choose_head("net", tiny_card(32, 3, 10), source)


def test_images_without_a_line_are_left_out(photos: Path) -> None:
    (photos.parent / "few.csv").write_text("dogs/a.png,dog\ncats/a.png,cat\n")
    found = list_labelled(photos, photos.parent / "few.csv")
    assert found.ids == ["cats/a.png", "dogs/a.png"]
    assert found.notes == (f"left out: 2 images without a line in {photos.parent / 'few.csv'}, IMG_1.png first",)


@pytest.mark.parametrize(("text", "message"), [
    ("cats/a.png,cat\ncats/c.png,cat\nd.png,dog\n", r"line 2: there is no image cats/c\.png in .* \(1 other neither\)"),
    ("cats/a.png,cat\ndogs/a.png,dog\ncats/a.png,dog\n", r"line 3: cats/a\.png is in line 1 already"),
    ("cats/a.png,cat\ndogs/a.png\n", "line 2: it has 1 cell, not two values"),
    ("cats/a.png,cat\ndogs/a.png,\n", r"line 2: it has 2 cells \(1 empty\), not two values"),
    ("cats/a.png,cat,brown\n", "line 1: it has 3 cells, not two values"),
    ("path,label\n", "has no labels"),
    ("", "has no labels"),
    (b"cats/a.png,\xe9\n", r"is not a table of labels: it is not UTF-8 \(byte 11\)"),
    ('"cats/a.png,cat\n', "is not a table of labels: unexpected end of data"),
    ('"cats/\na.png",cat\n', r"line 2: there is no image 'cats/"),
    ("cats/a.png,cat\u2028dogs/a.png,dog\n", "line 1: it has 3 cells"),
])  # fmt: skip
def test_a_csv_that_cannot_be_used(photos: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as found:
        labelled(photos, text)
    assert "\n" not in found.value.message


def test_a_csv_that_is_not_there(photos: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the labels .*none\.csv: No such file"):
        open_source("imagefolder", photos, Geometry(32, None), labels=str(photos / "none.csv"))


def test_labels_for_other_images_are_refused(tmp_path: Path) -> None:
    tree = write_published(tmp_path, ("fog", "snow"), (1, 2))
    with pytest.raises(UsageError, match=r"--labels FILE\.csv is for clean images in files"):
        open_source("imagefolder", tree, Geometry(32, None), labels="labels.csv")
    with pytest.raises(UsageError, match=r"--labels FILE\.csv is for clean images in files"):
        open_source("fashion-mnist-2k", None, Geometry(28, None), labels="labels.csv")
    with pytest.raises(UsageError, match="--classes is for images with labels"):
        open_source("fashion-mnist-2k", None, Geometry(28, None), labels="predicted", classes=["Bag"])
