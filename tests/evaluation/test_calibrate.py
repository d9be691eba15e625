"""Calibrations made with a tiny network: against a plain loop, and after an interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ppbench.corruptions.fractions import corrupt_at
from ppbench.data.generated import GeneratedImages, saved_as_jpeg
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, stratified_subset
from ppbench.errors import UsageError
from ppbench.evaluation import calibrate as module
from ppbench.evaluation.calibrate import CalibrationRequest, calibrate, rows_of
from ppbench.evaluation.request import EvalRequest
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.embedded import embedded_path
from ppbench.streams.calibration import read_calibration
from ppbench.streams.crops import RandomCrops
from ppbench.streams.walk import STREAM_LEVELS
from tests.evaluation.models import tiny_checkpoint
from tests.trees import write_class_folders

pytestmark = pytest.mark.usefixtures("_small_forwards")

HARD = STREAM_LEVELS["hard"].corruptions
N = 8


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> CalibrationRequest:
    folder = tmp_path_factory.mktemp("calibrate")
    images = write_class_folders(folder / "images", classes=2, per_class=4, size=20)
    net = tiny_checkpoint(folder / "net.safetensors", size=16, channels=3, classes=2)
    evaluation = EvalRequest.of(models=str(net), data=images, recipe="cifar-c", limit=N, seed=5)
    return CalibrationRequest(evaluation, folder / "out.csv", "ccc:hard")


def test_accuracies_are_those_of_a_plain_loop(request_: CalibrationRequest) -> None:
    made = calibrate(request_)
    assert (made.measured, made.reused) == (81, 0)
    known = read_calibration(request_.output)
    assert set(known.singles) == set(HARD)
    assert known.sha256(HARD) == made.calibration.sha256(HARD)
    assert not request_.output.with_name("out.csv.part").exists()
    model, card = load_checkpoint(Path(str(request_.evaluation.models[0])))
    source = open_source("imagefolder", request_.evaluation.data, Geometry.of(card), recipe="cifar-c", seed=5, limit=N)
    assert isinstance(source, GeneratedImages)
    crops, ids = RandomCrops(source, 5), [f"calibration/{frame}" for frame in range(N)]
    for name, severity in (("contrast", 0.0), ("contrast", 1.75), ("shot_noise", 5.0)):
        x = corrupt_at(crops.load(np.arange(N)).pixels, name, severity, recipe="cifar-c", seed=5, ids=ids)
        pixels = torch.from_numpy(saved_as_jpeg(x)).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            answers = model.eval()((pixels / 255 - 0.4) / 0.3).argmax(1).numpy()
        right = np.mean(answers == crops.labels(np.arange(N)))
        assert known.singles[name][int(4 * severity)] == pytest.approx(right)


def test_an_interruption_costs_one_accuracy(
    request_: CalibrationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUARTERS", 7)  # fewer severities
    calibrate(replace(request_, output=tmp_path / "whole.csv"))
    torn = replace(request_, output=tmp_path / "torn.csv")
    original, calls = module.corrupt_at, 0

    def interrupted(*args: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise KeyboardInterrupt
        return original(*args, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(module, "corrupt_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate(torn)
    part = tmp_path / "torn.csv.part"
    part.write_text(part.read_text() + "contrast,,2")  # cut off by a kill
    made = calibrate(torn)
    assert made.reused == 20
    assert (tmp_path / "torn.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_another_network_or_seed_starts_over(
    request_: CalibrationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUARTERS", 2)
    other = replace(request_, output=tmp_path / "out.csv", evaluation=replace(request_.evaluation, seed=6))
    (tmp_path / "out.csv.part").write_text('# {"model": "another"}\n,,0,0,0.5\n')
    assert calibrate(other).reused == 0


def test_pairs_are_measured_one_after_the_other(
    request_: CalibrationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = ("contrast", "gaussian_noise")
    monkeypatch.setitem(STREAM_LEVELS, "hard", STREAM_LEVELS["hard"]._replace(corruptions=two))
    monkeypatch.setattr(module, "QUARTERS", 4)  # fewer severities
    made = calibrate(replace(request_, output=tmp_path / "pairs.csv", pairs=True))
    assert made.measured == 1 + 2 * 3 + 2 * 9
    table, singles = made.calibration.pairs["contrast", "gaussian_noise"], made.calibration.singles
    assert (table[:, 0] == singles["contrast"]).all()
    assert (table[0] == singles["gaussian_noise"]).all()
    assert not made.calibration.is_of_products(two)


def test_what_is_needed() -> None:
    assert sum(1 for _ in rows_of(STREAM_LEVELS["easy"].corruptions, pairs=False)) == 1 + 14 * 20
    assert sum(1 for _ in rows_of(STREAM_LEVELS["easy"].corruptions, pairs=True)) == 1 + 14 * 20 + 14 * 13 * 400


@pytest.mark.parametrize(
    ("master", "message"), [({}, "MASTER_ADDR and MASTER_PORT not"), ({"MASTER_ADDR": "h"}, "has started 2 processes")]
)
def test_several_processes_are_refused(
    request_: CalibrationRequest, monkeypatch: pytest.MonkeyPatch, master: dict[str, str], message: str
) -> None:
    """Each would measure everything, and they would write to one file of accuracies so far."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", **master, **({"MASTER_PORT": "1"} if master else {})}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        calibrate(request_)


def test_damaged_lines_are_measured_again(
    request_: CalibrationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUARTERS", 2)
    whole = replace(request_, output=tmp_path / "whole.csv")
    monkeypatch.setattr(Path, "unlink", lambda path, **_: None)  # its part stays
    calibrate(whole)
    head, *lines = (tmp_path / "whole.csv.part").read_text().splitlines(keepends=True)
    lines[1:] = ["contrast,,one,0,0.5\n", "contrast,,1,0,half\n", "contrast,,1,0,1.5\n", "contrast,,1\n"]
    (tmp_path / "torn.csv.part").write_text("".join([head, *lines]))
    made = calibrate(replace(request_, output=tmp_path / "torn.csv"))
    assert (made.measured, made.reused) == (4, 1)
    assert (tmp_path / "torn.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_an_existing_output_is_kept_unless_it_may_be_replaced(
    request_: CalibrationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUARTERS", 2)
    there = replace(request_, output=tmp_path / "there.csv")
    there.output.write_text("hours of work")
    with pytest.raises(UsageError, match="exists"):
        calibrate(there)
    assert there.output.read_text() == "hours of work"
    calibrate(replace(there, overwrite=True))
    assert read_calibration(there.output).singles


def test_some_classes_are_calibrated_among_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUARTERS", 2)
    monkeypatch.setitem(STREAM_LEVELS, "hard", STREAM_LEVELS["hard"]._replace(corruptions=("contrast",)))
    (tmp_path / "classes.txt").write_text("Coat\nBag\nShirt\n")
    evaluation = EvalRequest.of(models="fashion-mnist-resnet8", classes=tmp_path / "classes.txt", limit=60, seed=5)
    made = calibrate(CalibrationRequest(evaluation, tmp_path / "c.csv", "ccc:hard")).calibration
    model, card = load_checkpoint(embedded_path("fashion-mnist-resnet8"))
    source = open_source("fashion-mnist-2k", None, Geometry.of(card))
    assert isinstance(source, GeneratedImages)
    names = source.class_names
    source.keep_classes(["Coat", "Bag", "Shirt"])
    columns = [names.index(name) for name in source.class_names]
    source.limit(stratified_subset(source.ids, source.labels, 60, 5))
    crops = RandomCrops(source, 5)
    pixels = torch.from_numpy(saved_as_jpeg(crops.load(np.arange(60)).pixels)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (card.mean, card.std))
    with torch.inference_mode():
        answers = model.eval()((pixels - mean) / std)[:, columns].argmax(1).numpy()
    assert made.singles["contrast"][0] == pytest.approx(np.mean(answers == crops.labels(np.arange(60))))
