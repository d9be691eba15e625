"""Published sets in miniature, in folders and in tars: counts equal to those of a plain loop over the files."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ppbench.data.catalog import default_corruptions
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.models.load import LoadedModel
from tests.evaluation.models import make_settings, measured, tiny_card
from tests.oracles.evaluation import evaluate_plainly
from tests.trees import (
    class_names,
    pack,
    pack_groups,
    write_3dcc,
    write_c_bar,
    write_cifar_c,
    write_class_folders,
    write_imagenet_c,
    write_tiny_imagenet_c,
)

pytestmark = pytest.mark.usefixtures("_small_forwards")

FEW = ("gaussian_noise", "glass_blur", "frost", "contrast")
BAR = ("perlin_noise", "single_frequency_greyscale")
THREE_D = ("near_focus", "z_motion_blur", "fog_3d")


class Set(NamedTuple):
    """A dataset and how to write it."""

    dataset: str
    write: Callable[[Path], Path]
    size: int
    corruptions: tuple[str, ...]
    folders: tuple[str, ...] = ("1", "2", "3", "4", "5")
    """Of the severities."""


SETS = [
    Set("imagenet-c", lambda root: write_imagenet_c(root, FEW, (1, 5), size=224), 224, FEW),
    Set("imagenet-c", lambda root: write_imagenet_c(root, FEW[:3], (1, 5), size=224, groups=True), 224, FEW[:3]),
    Set("tiny-imagenet-c", lambda root: write_tiny_imagenet_c(root, FEW, (1, 5)), 64, FEW),
    Set(
        "imagenet-c-bar",
        lambda root: write_c_bar(root, BAR, size=224, strengths=("1", "2", "3", "4", "5")), 224, BAR,
    ),
    Set("imagenet-3dcc", lambda root: write_3dcc(root, THREE_D, (1, 5), size=224), 224, THREE_D),
    Set("imagefolder", lambda root: write_imagenet_c(root, FEW, (1, 5), size=32), 32, FEW),
]  # fmt: skip


def coarse_subject(size: int, classes: int = 3) -> LoadedModel:
    """A network that looks at patches of 8 px: at 224 px a hundred times faster than a residual one."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.Conv2d(8, 16, 4, 4), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * (size // 32) ** 2, classes),
    )  # fmt: skip
    return LoadedModel("coarse", net.eval(), tiny_card(size=size, channels=3, classes=classes))


def plainly(tree: Path, corruption: str, severity: int, size: int, classes: int) -> list[bool]:
    """Every file of a cell, one after another, read by Pillow alone."""
    (folder,) = tree.rglob(f"{corruption}/{severity}")
    files = sorted(folder.rglob("*.JPEG"), key=lambda path: (path.parent.name, path.name))
    names = sorted({path.parent.name for path in files})
    subject = coarse_subject(size, classes)
    return evaluate_plainly(
        copy.deepcopy(subject.model),
        [np.asarray(Image.open(path)) for path in files],
        [names.index(path.parent.name) for path in files],
        subject.card.mean,
        subject.card.std,
        lambda image, place: image,
    )


class Written(NamedTuple):
    """A set on the disk."""

    which: Set
    tree: Path
    right: dict[tuple[str, int], list[bool]]
    """By cell: what `plainly` finds."""


@pytest.fixture(scope="module", params=SETS, ids=lambda which: which.dataset)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    which: Set = request.param
    tree = which.write(tmp_path_factory.mktemp("set") / "tree")
    cells = [(corruption, severity) for corruption in which.corruptions for severity in (1, 5)]
    return Written(which, tree, {cell: plainly(tree, *cell, which.size, 3) for cell in cells})


@pytest.mark.parametrize("form", ["folders", "tar", "tars"])
def test_trees_of_images(tmp_path: Path, written: Written, form: str) -> None:
    which, tree, right = written
    data = tree
    if form == "tar":
        data = pack(tree, tmp_path / "all.tar", prefix="./Set/")
    elif form == "tars":
        data = pack_groups(tree, tmp_path / "tars")
    source = open_source(which.dataset, data, Geometry(which.size, None))
    settings = make_settings(which.corruptions, (1, 5), batch_size=4, workers=0, force=True)
    subject = coarse_subject(which.size)
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    assert [cell.key for cell in result.run.cells] == list(right)
    for cell in result.run.cells:
        expected = right[cell.key]
        assert result.bits[cell.key].tolist() == expected, cell.key
        assert (cell.n, cell.top1) == (len(expected), sum(expected))
    assert result.run.protocol.source == "published"
    assert len({tuple(bits) for bits in result.bits.values()}) > 1  # the cells differ, so none was read twice


@pytest.mark.parametrize("form", ["folder", "tar"])
@pytest.mark.parametrize(("dataset", "classes"), [("cifar10-c", 10), ("cifar100-c", 100)])
def test_arrays(tmp_path: Path, dataset: str, classes: int, form: str) -> None:
    folder = data = write_cifar_c(tmp_path / "CIFAR-C", FEW, classes=classes, count=24)
    if form == "tar":
        data = pack(tmp_path, tmp_path / "CIFAR-C.tar", ["CIFAR-C"])
    source = open_source(dataset, data, Geometry(32, None))
    subject = coarse_subject(32, classes)
    (result,), stopped_by = measured([subject], source, make_settings(FEW, (1, 2, 5), batch_size=7, force=True))
    assert stopped_by is None
    labels = np.load(folder / "labels.npy")
    for cell in result.run.cells:
        rows = slice(24 * (cell.severity - 1), 24 * cell.severity)
        images = np.load(folder / f"{cell.corruption}.npy")[rows]
        plain = copy.deepcopy(subject.model)
        right = evaluate_plainly(
            plain, images, labels[rows].tolist(), subject.card.mean, subject.card.std, lambda image, place: image
        )
        assert result.bits[cell.key].tolist() == right, cell.key


def test_imagenet_c_made_on_the_fly_is_resized_cropped_corrupted_and_saved_as_jpeg(tmp_path: Path) -> None:
    import ppbench

    folder = write_class_folders(tmp_path / "val", size=300)
    source = open_source("imagenet-c", folder, Geometry(224, 232, "bicubic"))
    assert (source.kind, source.cut, source.recipe) == ("generated-jpeg85", "resize 256, crop 224", "imagenet-c")
    subject = coarse_subject(224, 2)
    settings = make_settings(("fog", "shot_noise"), (3,), force=True)
    (result,), _ = measured([subject], source, settings)

    def cut(name: str) -> np.ndarray:
        image = Image.open(folder / name).convert("RGB").resize((256, 256), Image.Resampling.BILINEAR)
        return np.asarray(image.crop((16, 16, 240, 240)))

    for cell in result.run.cells:

        def corruption(image: np.ndarray, place: int, cell=cell) -> np.ndarray:  # type: ignore[no-untyped-def]
            if cell.severity == 0:
                return image
            made = ppbench.corrupt(image, cell.corruption, cell.severity, recipe="imagenet-c", ids=[source.ids[place]])
            file = io.BytesIO()
            Image.fromarray(made).save(file, "JPEG", quality=85, optimize=True)
            return np.asarray(Image.open(file))

        expected = evaluate_plainly(
            copy.deepcopy(subject.model), [cut(name) for name in source.ids], source.labels.tolist(),
            subject.card.mean, subject.card.std, corruption,
        )  # fmt: skip
        assert result.bits[cell.key].tolist() == expected, cell.key
    bare = open_source("imagenet-c", folder, Geometry(224, None), jpeg=False)
    assert bare.kind == "generated"


def test_eleven_of_twelve_are_evaluated_and_labelled(tmp_path: Path) -> None:
    from ppbench.metrics.cell_errors import CellErrors
    from ppbench.vocabulary import C_3D, set_label

    tree = write_3dcc(tmp_path, C_3D[:11], (1,), size=224)
    source = open_source("imagenet-3dcc", tree, Geometry(224, None))
    corruptions = default_corruptions("imagenet-3dcc", source)
    label = set_label(corruptions)
    assert label.startswith("11/12#")
    subject = coarse_subject(224)
    (result,), _ = measured([subject], source, make_settings(corruptions, (1,), force=True))
    assert all(cell.top5 is None for cell in result.run.cells), (
        "of three classes, every label is among the five highest"
    )
    accuracies = CellErrors.from_run(result.run)
    assert accuracies.label("mean_error", corruptions=accuracies.headline, severities=accuracies.severities) == (
        f"mean_error[{label},s1]"
    )


def test_subsets_are_nested_stratified_and_the_same_in_every_cell(tmp_path: Path) -> None:
    tree = write_imagenet_c(tmp_path, FEW, (1, 5), size=224, names=class_names(5), per_class=4)
    chosen = {}
    for limit in (5, 10, 15):
        source = open_source("imagenet-c", tree, Geometry(224, None), limit=limit, seed=3)
        assert np.bincount(source.labels).tolist() == [limit // 5] * 5
        chosen[limit] = set(source.ids)
    assert chosen[5] < chosen[10] < chosen[15]
    other = open_source("imagenet-c", tree, Geometry(224, None), limit=10, seed=4)
    assert set(other.ids) != chosen[10]
