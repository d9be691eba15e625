"""C-bar made from clean images: the labels of the published sets, and never mixed with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.copies.api import corrupt_folder
from ppbench.evaluation.api import evaluate
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.comparable import require_same_pixels
from ppbench.metrics.metric import Unavailable
from ppbench.vocabulary import C_BAR_CIFAR, set_label
from tests.copies.trees import write_photos
from tests.evaluation.models import tiny_checkpoint
from tests.trees import write_cifar_binary, write_cifar_c

pytestmark = pytest.mark.usefixtures("_small_forwards")


def test_cbar_of_cifar_10_made_and_published_have_one_label_and_are_not_compared(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=10))
    clean = write_cifar_binary(tmp_path / "cifar-10-batches-bin" / "test_batch.bin").parent
    published = write_cifar_c(tmp_path / "published", C_BAR_CIFAR, count=12)
    runs = []
    for dataset, data in (("cifar10-c", clean), ("cifar10-c-bar", clean), ("cifar10-c-bar", published)):
        run = evaluate(net, dataset=dataset, data=data, corruptions="cbar", severities=3, device="cpu")
        assert set(run.protocol.corruptions) == set(C_BAR_CIFAR)
        runs.append(run)
    assert [run.protocol.source for run in runs] == ["generated", "generated", "published"]
    assert {run.protocol.recipe for run in runs} == {"cifar-c-bar"}
    assert {set_label(run.protocol.corruptions) for run in runs} == {"cifar-cbar"}
    made, given = (CellErrors.from_run(run) for run in runs[1:])
    with pytest.raises(Unavailable, match="was measured on other images"):
        require_same_pixels(made, given, C_BAR_CIFAR)


def test_copies_have_the_c_bar_of_their_size(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    report = corrupt_folder(photos, tmp_path / "out", corruptions="cbar", severities=1, size=32)
    assert not report.failures
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == set(C_BAR_CIFAR)
