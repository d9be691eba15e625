"""The evaluation loop against a plain one, and what must not change its result."""

from __future__ import annotations

import copy
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError
from ppbench.evaluation.settings import Settings
from ppbench.models.load import LoadedModel
from ppbench.models.weights import weights_hash
from ppbench.run import MeasuredRun
from tests.evaluation.models import make_settings, measured, planned, tiny_subject
from tests.oracles.evaluation import evaluate_plainly
from tests.trees import write_class_folders, write_published

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

SETTINGS = make_settings(corruptions=("gaussian_noise", "fog"), severities=(1, 4))


def embedded(limit: int = 30) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit)


def run(subject: LoadedModel, source: Source, settings: Settings = SETTINGS) -> MeasuredRun:
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    return result


def test_counts_and_bits_equal_a_plain_loop_over_images() -> None:
    subject, source = tiny_subject(), embedded()
    result = run(subject, source)
    for cell in result.run.cells:

        def corruption(image: np.ndarray, place: int, cell=cell) -> np.ndarray:  # type: ignore[no-untyped-def]
            if cell.severity == 0:
                return image
            return ppbench.corrupt(
                image, cell.corruption, cell.severity, recipe="cifar-c", seed=0, ids=[source.ids[place]]
            )

        images = source.load("clean", 0, np.arange(30)).pixels
        expected = evaluate_plainly(
            copy.deepcopy(subject.model), images, source.labels, subject.card.mean, subject.card.std, corruption
        )
        assert result.bits[cell.key].tolist() == expected, cell.key
        assert cell.top1 == sum(expected)
    assert [cell.key for cell in result.run.cells][:2] == [("clean", 0), ("gaussian_noise", 1)]
    assert len(result.run.cells) == 5


def test_a_published_set_gives_the_counts_of_its_files(tmp_path: Path) -> None:
    tree = write_published(tmp_path, ("fog", "snow"), (1, 2))
    source = open_source("imagenet-c", tree, Geometry(32, None))
    subject = tiny_subject(size=32, channels=3, classes=2)
    result = run(subject, source, make_settings(corruptions=("fog", "snow"), severities=(1, 2)))
    for cell in result.run.cells:
        folder = tree / cell.corruption / str(cell.severity)
        files = sorted(folder.rglob("*.png"))
        images = [np.asarray(Image.open(path)) for path in files]
        labels = [int(path.parent.name[1:]) for path in files]
        plain = evaluate_plainly(
            copy.deepcopy(subject.model), images, labels, subject.card.mean, subject.card.std, lambda image, _: image
        )
        assert result.bits[cell.key].tolist() == plain
    assert ("clean", 0) not in result.bits
    assert result.run.protocol.source == "published"


@pytest.fixture(scope="module")
def usual() -> MeasuredRun:
    """The run of 17 images, with the batch it has by itself."""
    return run(tiny_subject(), embedded(17))


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (7, 1), (16, 0), (64, 2), (256, 4)])
def test_batch_size_and_workers_do_not_change_the_run(usual: MeasuredRun, batch_size: int, workers: int) -> None:
    expected = usual
    settings = make_settings(("gaussian_noise", "fog"), (1, 4), batch_size=batch_size, workers=workers)
    got = run(tiny_subject(), embedded(17), settings)
    assert got.run.protocol == expected.run.protocol
    assert got.run.cells == expected.run.cells
    assert all(np.array_equal(got.bits[key], bits) for key, bits in expected.bits.items())


def test_several_models_share_the_images_and_keep_their_own_counts() -> None:
    one, other = tiny_subject("one", 0), tiny_subject("other", 1, architecture="resnet8-pp3")
    together, _ = measured([one, other], embedded(), SETTINGS)
    apart = [run(one, embedded()), run(other, embedded())]
    assert [r.run.cells for r in together] == [r.run.cells for r in apart]
    assert [r.run.model for r in together] == [r.run.model for r in apart]


def test_the_model_is_put_into_eval_mode_and_left_unchanged() -> None:
    subject = tiny_subject()
    subject.model.train()
    before = weights_hash(subject.model)
    first = run(subject, embedded())
    assert not subject.model.training
    assert weights_hash(subject.model) == before == first.run.model.weights_sha256
    assert run(subject, embedded()).run.cells == first.run.cells


def test_a_grey_set_is_shown_to_a_colour_model_as_three_equal_channels() -> None:
    subject, source = tiny_subject(channels=3), embedded(12)
    images = np.repeat(source.load("clean", 0, np.arange(12)).pixels, 3, axis=3)
    plain = evaluate_plainly(
        copy.deepcopy(subject.model), images, source.labels, subject.card.mean, subject.card.std, lambda image, _: image
    )
    assert run(subject, source).bits["clean", 0].tolist() == plain


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"classes": 7}, "tiny has 7 outputs, but fashion-mnist-2k has 10 classes"),
        ({"size": 32}, "tiny takes images of 32 px, but fashion-mnist-2k has 28 px"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_it_runs(card: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        planned([tiny_subject(**card)], embedded(), SETTINGS)


def test_a_grey_model_is_refused_for_colour_images(tmp_path: Path) -> None:
    source = open_source("imagefolder", write_class_folders(tmp_path, size=32), Geometry(32, None))
    with pytest.raises(DataError, match="takes grey images, but imagefolder has colour"):
        planned([tiny_subject(size=32, classes=2)], source, SETTINGS)


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_keeps_the_finished_cells_and_ends_the_workers(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)  # after every batch
    tree = write_published(tmp_path, ("snow", "fog"), (1, 2))
    subject = tiny_subject(size=32, channels=3, classes=2)
    seen = 0

    def interrupt(cell: tuple[str, int], images: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 6:  # two batches a cell: at the end of the third
            raise KeyboardInterrupt

    settings = make_settings(("snow", "fog"), (1, 2), batch_size=4, workers=workers)
    source = open_source("imagefolder", tree, Geometry(32, None))
    (result,), stopped_by = measured([subject], source, settings, interrupt)
    assert isinstance(stopped_by, KeyboardInterrupt)
    assert result.run.status == "interrupted"
    whole = run(subject, source, settings)
    assert result.run.cells == whole.run.cells[:3]
    assert not multiprocessing.active_children()


def test_damaged_weights_are_an_error_not_a_result() -> None:
    subject = tiny_subject()
    with torch.no_grad():
        subject.model.fc.weight.fill_(float("nan"))  # type: ignore[union-attr,operator]
    results, stopped_by = measured([subject], embedded(), SETTINGS)
    assert isinstance(stopped_by, DataError)
    assert "30 outputs that are not finite at clean/0" in stopped_by.message
    assert not results[0].run.cells


def test_float32_is_float32_on_every_device() -> None:
    """The protocol says fp32: TF32 must be off while the network runs, and as before afterwards."""
    seen: list[tuple[bool, bool]] = []

    class Spy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
            return x.flatten(1)[:, :10]

    before = torch.backends.cudnn.allow_tf32
    run(LoadedModel("spy", Spy(), tiny_subject().card), embedded(10), make_settings(("fog",), (1,)))
    assert set(seen) == {(False, False)}
    assert torch.backends.cudnn.allow_tf32 == before
