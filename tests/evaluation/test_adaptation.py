"""Runs with batch-norm statistics of each cell: against a plain loop, and what must not change them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ppbench
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import UsageError
from ppbench.evaluation import adaptation, loop
from ppbench.evaluation.adaptation import groups
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models.card import Card
from ppbench.models.load import LoadedModel, resolve_model
from ppbench.models.weights import weights_hash
from ppbench.run import Adaptation, MeasuredRun
from tests.evaluation.models import make_settings, measured, planned, tiny_checkpoint, tiny_subject
from tests.evaluation.test_kills import without_provenance
from tests.evaluation.test_processes import processes_of
from tests.oracles.adaptation import groups_plainly, predict_adapted_plainly
from tests.trees import write_published

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

N = 130
"""Images: two groups of 65."""
CELLS = {"corruptions": ("fog",), "severities": (4,)}


def embedded(limit: int = N) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit)


@functools.cache
def embedded_network(name: str) -> LoadedModel:
    return resolve_model(f"fashion-mnist-{name}")


def run(name: str, adapt: str | None, **request: Any) -> MeasuredRun:
    workers = request.pop("workers", 0)
    settings = make_settings(**CELLS, workers=workers, adapt=adapt, **request)
    (result,), stopped_by = measured([embedded_network(name)], embedded(), settings)
    assert stopped_by is None
    return result


def same_results(one: MeasuredRun, other: MeasuredRun) -> bool:
    alike = all(np.array_equal(one.bits[cell], other.bits[cell]) for cell in other.bits)
    return one.run.cells == other.run.cells and one.run.protocol == other.run.protocol and alike


@pytest.fixture(scope="module")
def full() -> MeasuredRun:
    return run("resnet8", "batchnorm")


@pytest.mark.parametrize(
    ("name", "adapt", "source_images"), [("resnet8", "batchnorm", 0), ("resnet8-pp3", "batchnorm:60", 60)]
)
def test_counts_bits_and_predictions_equal_a_plain_loop(name: str, adapt: str, source_images: int) -> None:
    result, source, subject = run(name, adapt), embedded(), embedded_network(name)
    divided = groups_plainly(source.ids, 0, 128)
    assert [sorted(group) for group in divided] == [group.tolist() for group in groups(source, 0, 128)]
    clean = source.load("clean", 0, np.arange(N)).pixels
    for cell in result.run.cells:
        pixels = clean
        if cell.severity:
            pixels = ppbench.corrupt(clean, "fog", cell.severity, recipe="cifar-c", seed=0, ids=list(source.ids))
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - subject.card.mean[0]) / subject.card.std[0]
        predicted = predict_adapted_plainly(subject.model, x, divided, source_images).argmax(1).numpy()
        assert result.predictions is not None
        assert (result.predictions.classes[cell.key] == predicted).all()
        assert (result.bits[cell.key] == (predicted == source.labels)).all()
        assert cell.top1 == np.count_nonzero(predicted == source.labels)
    plain = run(name, None)
    assert any((plain.predictions.classes[cell] != result.predictions.classes[cell]).any() for cell in plain.bits)  # type: ignore[union-attr]
    assert result.run.protocol.adaptation == Adaptation(source_images=source_images, batch=128)


@pytest.mark.parametrize(("batch_size", "workers"), [(48, 1), (256, 0)])
def test_neither_batch_size_nor_workers_change_anything(full: MeasuredRun, batch_size: int, workers: int) -> None:
    assert same_results(run("resnet8", "batchnorm", batch_size=batch_size, workers=workers), full)


def test_rounds_and_other_models_change_nothing(full: MeasuredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "ROUND", 1)
    settings = make_settings(**CELLS, adapt="batchnorm")
    models = [embedded_network("resnet8"), embedded_network("resnet8-pp3")]
    hashes = [weights_hash(one.model) for one in models]
    (first, second), _ = measured(models, embedded(), settings)
    assert same_results(first, full)
    assert second.run.cells != first.run.cells
    assert [weights_hash(one.model) for one in models] == hashes  # the networks have their own statistics again


def test_two_processes_and_a_published_set(tmp_path: Path) -> None:
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1, 2), size=32, per_class=7)
    net = str(tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2))
    options: dict[str, Any] = {"dataset": "imagefolder", "data": str(tree), "adapt": "batchnorm:5", "severities": "1-2"}
    evaluate(net, **options, output=tmp_path / "one.json")
    given = ["-m", net, "--dataset", "imagefolder", "--data", str(tree), "--adapt", "batchnorm:5", "-s", "1-2"]
    done = processes_of(2, *given, "-o", str(tmp_path / "two.json"), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert without_provenance(tmp_path / "two.json") == without_provenance(tmp_path / "one.json")
    assert json.loads(done.stdout)["adaptation"] == {"method": "batchnorm", "source_images": 5, "batch": 128}
    assert "batchnorm:5-adapted to each cell" in done.stderr


def interrupt_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when images are scored for the ``call``-th time."""
    left, score = [call], Inference.score

    def counted(network: Inference, *given: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return score(network, *given)

    monkeypatch.setattr(Inference, "score", counted)


def test_an_interrupted_evaluation_uses_whole_cells_again(
    full: MeasuredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "ROUND", 1)
    subject = embedded_network("resnet8")
    given: dict[str, Any] = {**CELLS, "limit": N, "adapt": "batchnorm", "output": tmp_path / "run.json"}

    def go(**more: Any) -> tuple[ppbench.Run, list[str]]:
        said: list[str] = []
        request = EvalRequest.of(models=[subject], **(given | more))
        result = loop.measure(prepare(request), say=said.append)
        if result.stopped_by is not None:
            raise result.stopped_by
        return result.runs[0].run, said

    with monkeypatch.context() as patch:
        interrupt_at(4, patch)  # within the second cell of two batches
        with pytest.raises(KeyboardInterrupt):
            go(batch_size=100)
    again, said = go()
    assert again.cells == full.run.cells
    assert any(f"reused {N} of {2 * N} image evaluations, 50 % (1 of 2 cells" in line for line in said)
    # A cell of other images has other statistics, so nothing of it is used.
    with monkeypatch.context() as patch:
        interrupt_at(4, patch)
        with pytest.raises(KeyboardInterrupt):
            go(fresh=True, overwrite=True, batch_size=100)
    fewer, said = go(limit=N - 20, overwrite=True)
    assert not any("reused" in line for line in said)
    assert fewer.cells == run_of(N - 20).cells


def run_of(limit: int) -> ppbench.Run:
    settings = make_settings(**CELLS, adapt="batchnorm")
    (result,), _ = measured([embedded_network("resnet8")], embedded(limit), settings)
    return result.run


def test_a_broken_image_is_in_no_statistic_of_its_cell_and_in_no_count(tmp_path: Path) -> None:
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1,), size=32, per_class=7)
    broken = sorted((tree / "snow" / "1").rglob("*.png"))[3]
    name = broken.relative_to(tree / "snow" / "1")
    subject = tiny_subject(size=32, channels=3, classes=2)
    settings = make_settings(("fog", "snow"), (1,), adapt="batchnorm")
    broken.write_bytes(b"no image")
    plan = planned([subject], open_source("imagefolder", tree, Geometry(32, None)), settings)
    assert "the same command then measures these cells again" in (plan.remedy or "")
    scored = loop.run(plan)
    assert [plan.source.ids[one.place] for one in scored.unreadable] == [str(name)]
    (tree / "fog" / "1" / name).unlink()
    broken.unlink()
    whole = loop.run(planned([subject], open_source("imagefolder", tree, Geometry(32, None)), settings))
    # Of snow, all that could be read were the same images. Of fog, the statistics have one image more.
    assert scored.tallies[0].cell(("snow", 1)) == whole.tallies[0].cell(("snow", 1))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"adapt": "tent"}, "--adapt tent is not allowed"),
        ({"adapt": 16}, "--adapt 16 is not allowed"),
        ({"adapt": "batchnorm:0"}, "--adapt batchnorm:0 is not allowed"),
        ({"adapt": "batchnorm:"}, "--adapt batchnorm: is not allowed"),
        ({"adapt": "batchnorm", "until": 0.5}, "--until is given with --adapt, whose statistics need all images"),
        ({"adapt": "batchnorm", "until_decided": "run.json"}, "--until-decided is given with --adapt"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvalRequest.of(**given).check()


def test_predictions_and_networks_without_batch_norm_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--adapt is for networks"):
        evaluate(predictions=tmp_path / "file.npz", adapt="batchnorm")
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    card = Card(architecture="flat", num_classes=10, in_channels=1, input_size=28, mean=(0.4,), std=(0.3,))
    with pytest.raises(UsageError, match="flat has no batch norm"):
        evaluate(flat, card=card, limit=20, adapt="batchnorm")
