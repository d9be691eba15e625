"""Clean predictions as labels: against a plain loop, and what must not change the result."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import ppbench
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, NotComparableError, UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.run import MICRO, MeasuredRun, read_bits, read_predictions, read_run
from ppbench.vocabulary import Cell
from tests.evaluation.models import make_settings, measured, tiny_checkpoint, tiny_subject
from tests.evaluation.test_kills import without_provenance
from tests.evaluation.test_processes import processes_of
from tests.trees import photographs, write_class_folders, write_published

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

FEW: dict[str, Any] = {"corruptions": ["gaussian_noise", "fog"], "severities": ["1", "4"], "labels": "predicted"}
SETTINGS = make_settings(("gaussian_noise", "fog"), (1, 4), labels="predicted")


def embedded(limit: int = 30) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit, labels="predicted")


def run(*seeds: int, source: Source | None = None, **request: Any) -> list[MeasuredRun]:
    subjects = [tiny_subject(f"net {seed}", seed=seed) for seed in seeds or (0,)]
    settings = make_settings(("gaussian_noise", "fog"), (1, 4), labels="predicted", **request)
    results, stopped_by = measured(subjects, source or embedded(), settings)
    assert stopped_by is None
    return results


@cache
def alone(seed: int) -> MeasuredRun:
    """The run of one network."""
    return run(seed)[0]


def plain_probabilities(seed: int, source: Source, cell: Cell) -> NDArray[np.float64]:
    """``(n, classes)``: image by image, without any code of the loop."""
    model = copy.deepcopy(tiny_subject(seed=seed).model)
    images = source.load("clean", 0, np.arange(len(source.ids))).pixels
    if cell[1]:
        images = np.stack(
            [
                ppbench.corrupt(image, *cell, recipe="cifar-c", seed=0, ids=[name])
                for image, name in zip(images, source.ids, strict=True)
            ]
        )
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.4) / 0.3
    with torch.no_grad():
        return torch.cat([model(one[None]) for one in x]).double().softmax(1).numpy()


def test_labels_are_the_clean_predictions_of_a_plain_loop() -> None:
    source = embedded()
    for seed, result in zip((0, 3), run(0, 3), strict=True):
        labels = plain_probabilities(seed, source, ("clean", 0)).argmax(1)
        assert result.predictions is not None
        assert result.predictions.labels.tolist() == labels.tolist()
        known = result.predictions.label_confidences
        assert known is not None
        for cell in result.run.cells:
            p = plain_probabilities(seed, source, cell.key)
            assert result.bits[cell.key].tolist() == (p.argmax(1) == labels).tolist()
            of_label = p[np.arange(len(p)), labels]
            assert known[cell.key].tolist() == pytest.approx(255 * of_label, abs=0.51)
            assert cell.label_confidence == pytest.approx(MICRO * of_label.sum(), rel=1e-4)
        assert result.run.cells[0].top1 == 30
        assert result.run.protocol.labels == "predicted"
        assert result.run.protocol.classes is None
    assert not np.array_equal(alone(0).predictions.labels, alone(3).predictions.labels)  # type: ignore[union-attr]


def same(one: MeasuredRun, other: MeasuredRun) -> bool:
    bits = all(np.array_equal(one.bits[key], other.bits[key]) for key in one.bits)
    return bits and (one.run.cells, one.run.protocol) == (other.run.cells, other.run.protocol)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (7, 1)])
def test_batch_size_and_workers_do_not_change_the_run(batch_size: int, workers: int) -> None:
    assert same(run(0, batch_size=batch_size, workers=workers)[0], alone(0))


def test_each_of_several_models_has_its_own_labels() -> None:
    together = run(0, 3)
    assert same(together[0], alone(0))
    assert same(together[1], alone(3))


def test_labels_of_folders_are_not_used(tmp_path: Path) -> None:
    folders = write_class_folders(tmp_path / "c", size=32)
    flat = tmp_path / "flat"
    flat.mkdir()
    for place, image in enumerate(photographs(32, 6)):
        Image.fromarray(image).save(flat / f"{place}.png")
    net = str(tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=7))
    for data in (folders, flat):
        found = evaluate(net, data=data, **FEW)
        assert found.protocol.dataset == "imagefolder"
        assert [cell.n for cell in found.cells] == [6] * 5
        assert found.cells[0].top1 == 6


def published(root: Path) -> Path:
    tree = write_published(root, ("fog", "snow"), (1, 2))
    write_class_folders(tree / "clean" / "0", size=32)
    return tree


def test_a_published_set_needs_its_clean_images(tmp_path: Path) -> None:
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1, 2))
    with pytest.raises(DataError, match=r"--labels predicted needs clean images, and .* has none"):
        open_source("imagefolder", tree, Geometry(32, None), labels="predicted")
    source = open_source("imagefolder", published(tmp_path / "d"), Geometry(32, None), labels="predicted")
    subject = tiny_subject(size=32, channels=3, classes=5)
    settings = make_settings(("fog", "snow"), (1, 2), labels="predicted")
    (result,), _ = measured([subject], source, settings)
    assert result.run.cells[0].top1 == 6


def test_an_image_whose_clean_version_cannot_be_read_is_in_no_cell(tmp_path: Path) -> None:
    tree = published(tmp_path)
    broken = sorted((tree / "clean").rglob("*.png"))[2]
    broken.write_bytes(broken.read_bytes()[:60])
    source = open_source("imagefolder", tree, Geometry(32, None), labels="predicted")
    settings = make_settings(("fog", "snow"), (1, 2), labels="predicted")
    (result,), _ = measured([tiny_subject(size=32, channels=3, classes=5)], source, settings)
    assert {cell.n for cell in result.run.cells} == {5}
    assert result.run.protocol.unreadable is not None
    assert [name.rpartition("/")[2] for name in result.run.protocol.unreadable] == [broken.name]


def interrupt_after(calls: int) -> Callable[[Cell | None, int], None]:
    left = [calls]

    def advance(cell: Cell | None, images: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    return advance


def request(net: Path, output: Path, **more: Any) -> EvalRequest:
    return EvalRequest.of(models=[str(net)], output=output, batch_size=4, **FEW, **more)


@pytest.mark.parametrize("calls", [1, 4, 17])
def test_an_interrupted_run_resumes(tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)
    net = tiny_checkpoint(tmp_path / "net.safetensors")
    whole, output = tmp_path / "whole.json", tmp_path / "run.json"
    measure(prepare(request(net, whole, limit=30)))
    stopped = measure(prepare(request(net, output, limit=30)), advance=interrupt_after(calls))
    assert isinstance(stopped.stopped_by, KeyboardInterrupt)
    said: list[str] = []
    measure(prepare(request(net, output, limit=30)), say=said.append)
    assert any("finished" in line for line in said), said
    assert without_provenance(output) == without_provenance(whole)


def test_a_changed_clean_file_changes_all_cells_of_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrupted image's result depends on the clean file too, whose label it is scored against."""
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)
    tree = published(tmp_path / "c")
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=5)
    wanted: dict[str, Any] = {"data": tree, "dataset": "imagefolder", "corruptions": None, "severities": ["1-2"]}
    of = lambda output: EvalRequest.of(  # noqa: E731
        models=[str(net)], output=output, batch_size=4, labels="predicted", **wanted
    )
    measure(prepare(of(tmp_path / "run.json")), advance=interrupt_after(9))
    for path in (tree / "clean").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    measure(prepare(of(tmp_path / "run.json")))
    measure(prepare(of(tmp_path / "whole.json")))
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "whole.json")


def test_two_processes_give_the_run_of_one(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    options = ["--model", net, "-c", "fog", "-s", "1,4", "--limit", "37", "--labels", "predicted", "--workers", "0"]
    done = processes_of(2, *options, "-o", str(tmp_path / "two.json"))
    assert done.returncode == 0, done.stderr
    evaluate(net, corruptions="fog", severities=[1, 4], limit=37, labels="predicted", output=tmp_path / "one.json")
    assert without_provenance(tmp_path / "two.json") == without_provenance(tmp_path / "one.json")


def test_files_keep_what_was_measured(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    evaluate(net, limit=20, output=tmp_path / "run.json", **FEW)
    found = read_run(tmp_path / "run.json")
    assert found.protocol.labels == "predicted"
    predictions, bits = read_predictions(tmp_path / "run.json", found), read_bits(tmp_path / "run.json", found)
    assert predictions.contradicted(bits) is None
    assert predictions.class_names == tuple(f"output {number}" for number in range(10))
    assert predictions.label_confidences is not None
    for cell in found.cells:
        agree = bits[cell.key]
        assert predictions.confidences is not None
        # Where the prediction is the clean one, both probabilities are of the same class.
        both = predictions.label_confidences[cell.key][agree], predictions.confidences[cell.key][agree]
        assert np.abs(both[0].astype(int) - both[1].astype(int)).max(initial=0) <= 1
    assert list(found.to_frame().columns[-2:]) == ["agreement", "flip_rate"]


def test_waiting_for_a_narrow_interval_of_the_flip_rate(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    found = evaluate(net, limit=400, until=30, **FEW)
    assert found.stopping is not None
    assert found.stopping.metric == "flip_rate[fog+gaussian_noise,s1,4]"
    assert found.stopping.reached
    assert found.protocol.n < 400
    with pytest.raises(UsageError, match="--until-metric mCE cannot be used without labels"):
        evaluate(net, limit=40, until=30, until_metric="mCE", **FEW)


def test_a_baseline_with_labels_decides_nothing(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    evaluate(net, limit=20, output=tmp_path / "labelled.json", force=True, **{**FEW, "labels": None})
    with pytest.raises(NotComparableError, match="measured in another way: labels differ"):
        evaluate(net, limit=20, until_decided=tmp_path / "labelled.json", **FEW)


def test_predictions_made_elsewhere_need_labels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--labels predicted is not for --predictions"):
        evaluate(predictions=tmp_path / "logits.npz", labels="predicted")


def test_arrays_from_python_need_no_labels() -> None:
    source = embedded(12)
    pixels = source.load("clean", 0, np.arange(12)).pixels
    _, model, card = tiny_subject()
    found = ppbench.evaluate(model, pixels, card=card, ids=source.ids, **FEW)
    expected = run(0, source=source)[0]
    assert found.protocol.labels == "predicted"
    assert [cell.top1 for cell in found.cells] == [cell.top1 for cell in expected.run.cells]
