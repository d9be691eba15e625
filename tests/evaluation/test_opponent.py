"""The run that an evaluation is decided against: which images both have, and whether these were made alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from ppbench.compare.comparability import FIELDS
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, NotComparableError
from ppbench.evaluation.opponent import Opponent
from ppbench.run import Adaptation, ClassSubset, read_bits, read_run, write_run
from tests.evaluation.models import make_settings, measured, tiny_subject
from tests.trees import class_names, write_cifar_c, write_imagenet_c

pytestmark = pytest.mark.usefixtures("_small_forwards")

FEW = ("gaussian_noise", "glass_blur", "fog")
SETTINGS = make_settings(FEW, (1, 5), batch_size=8, force=True)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published set of 12 images."""
    return write_imagenet_c(tmp_path_factory.mktemp("set") / "c", FEW, (1, 5), size=32, per_class=4)


@pytest.fixture(scope="module")
def old(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over all of them."""
    return run_of(opened(tree), tmp_path_factory.mktemp("runs") / "old.json")


def opened(tree: Path, limit: int | None = None) -> Source:
    return open_source("imagefolder", tree, Geometry(32, None), limit=limit)


def run_of(source: Source, target: Path) -> Path:
    (result,), stopped_by = measured([tiny_subject(size=32, channels=3, classes=3)], source, SETTINGS)
    assert stopped_by is None
    result.write(target)
    return target


def wrong_by_id(path: Path, ids: list[str]) -> dict[tuple[str, int], dict[str, bool]]:
    run = read_run(path)
    return {cell: dict(zip(ids, ~right, strict=True)) for cell, right in read_bits(path, run).items()}


@pytest.mark.parametrize(("of_baseline", "of_evaluation"), [(None, None), (None, 5), (6, None), (9, 4), (4, 9)])
def test_the_images_of_both_are_found_whichever_has_more(
    tmp_path: Path, tree: Path, of_baseline: int | None, of_evaluation: int | None
) -> None:
    source, there = opened(tree, of_evaluation), opened(tree, of_baseline)
    path = run_of(there, tmp_path / "old.json")
    found = Opponent.read(path, source, replace(SETTINGS, corruptions=FEW[:2]))
    both = [name for name in source.ids if name in there.ids]
    assert [source.ids[place] for place in found.seen] == both
    assert found.errors.n == len(both) == min(of_baseline or 12, of_evaluation or 12)
    wrong = wrong_by_id(path, there.ids)
    for cell, row in found.errors.cells.items():
        assert found.errors.errors[row].tolist() == [wrong[cell][name] for name in both]
    assert found.weights_sha256 == read_run(path).model.weights_sha256


def test_without_keys_only_the_very_same_images_will_do(tmp_path: Path, tree: Path, old: Path) -> None:
    path, run = tmp_path / "old.json", read_run(old)
    write_run(path, run, read_bits(old, run))
    assert Opponent.read(path, opened(tree), SETTINGS).errors.n == 12
    with pytest.raises(
        NotComparableError, match=r"is of 12 images, this evaluation of 5, and without .* keys"
    ) as caught:
        Opponent.read(path, opened(tree, 5), SETTINGS)
    assert caught.value.exit_code == 4
    assert "Evaluate the baseline again" in caught.value.hint


def test_one_image_in_common_is_too_few(tmp_path: Path, tree: Path) -> None:
    there, source = opened(tree), opened(tree)
    there.limit(np.arange(4))
    source.limit(np.arange(3, 9))
    path = run_of(there, tmp_path / "old.json")
    with pytest.raises(NotComparableError, match="1 of its 4 images is among the 6 of this evaluation"):
        Opponent.read(path, source, SETTINGS)
    source.limit(np.arange(1, 6))
    with pytest.raises(NotComparableError, match="0 of its 4 images are among the 5 of this evaluation"):
        Opponent.read(path, source, SETTINGS)


def test_what_is_in_the_cells_is_told_by_the_fingerprint(tmp_path: Path, old: Path) -> None:
    other = write_imagenet_c(tmp_path / "other", FEW, (1, 5), size=32, per_class=4)
    (cell,) = other.rglob("gaussian_noise/1")
    for file in cell.rglob("*.JPEG"):
        file.write_bytes(file.read_bytes() + b"\0" * 7)
    with pytest.raises(NotComparableError, match="measured in another way: fingerprint differs"):
        Opponent.read(old, opened(other), SETTINGS)


def test_cells_of_the_baseline_that_are_not_at_hand_cannot_be_the_same(tmp_path: Path) -> None:
    all_there = open_source("cifar10-c", write_cifar_c(tmp_path / "CIFAR-10-C", FEW, count=24), Geometry(32, None))
    settings = replace(SETTINGS, severities=(1,))
    (result,), _ = measured([tiny_subject(size=32, channels=3)], all_there, settings)
    result.write(tmp_path / "old.json")
    (tmp_path / "CIFAR-10-C" / "fog.npy").unlink()
    left = open_source("cifar10-c", tmp_path / "CIFAR-10-C", Geometry(32, None))
    with pytest.raises(NotComparableError, match="fingerprint differs"):
        Opponent.read(tmp_path / "old.json", left, replace(settings, corruptions=FEW[:2]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "was measured in another way: seed differs"),
        ({"precision": "bf16"}, "was measured in another way: precision differs"),
        ({"seed": 1, "precision": "bf16"}, "was measured in another way: seed and precision differ"),
        ({"severities": (1, 2)}, "lacks cells of this evaluation: severity 2"),
    ],
)
def test_images_made_in_another_way_are_refused(tree: Path, old: Path, change: dict[str, object], words: str) -> None:
    own = {name: value for name, value in change.items() if hasattr(SETTINGS, name)}
    asked = {name: value for name, value in change.items() if name not in own}
    settings = replace(SETTINGS, request=replace(SETTINGS.request, **asked), **own)  # type: ignore[arg-type]
    with pytest.raises(NotComparableError, match=words):
        Opponent.read(old, opened(tree), settings)


OTHERS: dict[str, object] = {
    "dataset": "other", "source": "generated", "recipe": "cifar-c", "engine": "other 1", "seed": 1, "total": 99,
    "precision": "bf16", "fingerprint": "f" * 64, "adaptation": Adaptation(), "labels": "predicted",
    "head_precision": "fp32", "decoder": "nvjpeg", "passes": 3, "own_corruptions": {"fog": "0" * 64},
    "classes": ClassSubset(n=3, outputs=1000, names_sha256="0" * 64, logits="all"),
}  # fmt: skip
"""Other values of the protocol."""
ASKED_ELSEWHERE = {"n", "ids_sha256", "corruptions", "severities", "normalizer", "sequences", "stream"}
"""Fields with tests of their own, those that no evaluation with a baseline has, and a custom that changes nothing."""


@pytest.mark.parametrize("field", sorted(OTHERS))
def test_every_field_that_must_agree_is_looked_at(tmp_path: Path, tree: Path, old: Path, field: str) -> None:
    assert set(FIELDS) == OTHERS.keys() | ASKED_ELSEWHERE
    path, run = tmp_path / "old.json", read_run(old)
    there = run.protocol.model_copy(update={field: OTHERS[field]})
    without_cells = {"cells": (), "status": "interrupted"} if field == "passes" else {}  # cells have no trials
    write_run(path, run.model_copy(update={"protocol": there, **without_cells}))
    with pytest.raises(NotComparableError):
        Opponent.read(path, opened(tree), SETTINGS, [None], [None])


def test_images_of_some_classes_alone_are_another_task(tree: Path, old: Path) -> None:
    few = opened(tree)
    few.keep_classes(class_names(3)[:2])
    with pytest.raises(NotComparableError, match="total differs"):
        Opponent.read(old, few, SETTINGS)


def test_other_outputs_that_compete_make_another_task(tree: Path, old: Path) -> None:
    def read(logits: Literal["own", "masked", "all"], outputs: int = 1000) -> Opponent:
        subset = ClassSubset(n=3, outputs=outputs, names_sha256="0" * 64, logits=logits)
        return Opponent.read(old, opened(tree), SETTINGS, [None, subset])

    for same in (read("masked"), read("own", 3)):
        assert same.errors.n == 12
    with pytest.raises(NotComparableError, match="measured in another way: logits differ") as caught:
        read("all")
    assert "--logits" in caught.value.hint


def test_a_baseline_without_bits_is_told(tmp_path: Path, tree: Path, old: Path) -> None:
    path = tmp_path / "old.json"
    write_run(path, read_run(old).model_copy(update={"bits": None}))
    with pytest.raises(DataError, match="has no correctness bits"):
        Opponent.read(path, opened(tree), SETTINGS)
