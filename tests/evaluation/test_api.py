"""The Python entry point, model names, and devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.devices import available_devices, choose_device
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.models.load import resolve_model
from ppbench.run import read_bits, read_predictions, read_run
from ppbench.vocabulary import Cell
from tests.evaluation.models import tiny_checkpoint, tiny_subject
from tests.trees import write_class_folders

pytestmark = pytest.mark.usefixtures("_small_forwards")

FEW: dict[str, Any] = {"corruptions": "fog", "severities": 1, "limit": 20}


def test_files_modules_and_checkpoints_give_the_same_run(tmp_path: Path) -> None:
    path = tiny_checkpoint(tmp_path / "net.safetensors")
    _, model, card = tiny_subject()
    runs = [
        evaluate(str(path), **FEW),
        evaluate(model, card=card, **FEW),
        evaluate(ppbench.load_checkpoint(path), **FEW),
    ]
    assert runs[0].cells == runs[1].cells == runs[2].cells
    assert runs[0].model.name == "net"


def test_the_run_is_written_with_its_bits(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "run.json"
    run = evaluate(str(tiny_checkpoint(tmp_path / "net.safetensors")), output=output, **FEW)
    assert read_run(output) == run
    bits = read_bits(output, run)
    assert [int(np.count_nonzero(bits[cell.key])) for cell in run.cells] == [cell.top1 for cell in run.cells]


def test_the_predictions_are_those_of_the_network(tmp_path: Path) -> None:
    _, model, card = tiny_subject()
    output = tmp_path / "run.json"
    run = evaluate(model, card=card, output=output, **FEW)
    predictions = read_predictions(output, run)
    source = prepare(EvalRequest.of(models=["fashion-mnist-resnet8"], **FEW)).source
    with torch.inference_mode():
        images = torch.from_numpy(source.load("clean", 0, np.arange(20)).pixels).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (card.mean, card.std))
        found = model((images - mean) / std).softmax(1).max(1)
    assert predictions.labels.tolist() == source.labels.tolist()
    assert predictions.class_names == source.class_names
    assert predictions.classes["clean", 0].tolist() == found.indices.tolist()
    assert predictions.confidences is not None
    assert np.abs(predictions.confidences["clean", 0] / 255 - found.values.numpy()).max() < 0.51 / 255


def test_predictions_are_kept_unless_they_are_not_wanted(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    run = evaluate(net, output=tmp_path / "run.json", **FEW)
    bare = evaluate(net, output=tmp_path / "bare.json", keep_predictions=False, **FEW)
    assert run.predictions is not None
    assert bare.predictions is None
    assert bare.cells == run.cells
    assert sorted(path.name for path in tmp_path.glob("*.npy*")) == [
        "bare.bits.npy",
        "run.bits.npy",
        "run.predictions.npy.gz",
    ]


def test_measure_does_what_was_planned_and_reports_on_the_way(tmp_path: Path) -> None:
    path, output = tiny_checkpoint(tmp_path / "net.safetensors"), tmp_path / "run.json"
    said: list[str] = []
    advanced: list[tuple[Cell | None, int]] = []
    plan = prepare(EvalRequest.of(models=str(path), output=output, **FEW))
    result = measure(plan, say=said.append, advance=lambda cell, images: advanced.append((cell, images)))
    (measured,) = result.runs
    assert (result.stopped_by, result.unreadable) == (None, None)
    assert measured.run == read_run(output)
    assert measured.run.cells == evaluate(str(path), **FEW).cells
    assert {cell: len(bits) for cell, bits in measured.bits.items()} == {("clean", 0): 20, ("fog", 1): 20}
    assert {cell for cell, _ in advanced} == {("clean", 0), ("fog", 1)}
    assert sum(images for _, images in advanced) == 40
    assert said[0].startswith("net: resnet8, weights ")
    assert f"wrote {output}" in said


def test_predictions_take_the_place_of_a_model(tmp_path: Path) -> None:
    path, output = tmp_path / "jax.npz", tmp_path / "run.json"
    np.savez(path, **{"clean": np.zeros(20, int), "fog/1": np.ones(20, int)})
    run = evaluate(predictions=path, output=output, force=True, **FEW)
    # With equal shares of ten classes, a single class is right for a tenth of the images.
    assert [(cell.key, cell.n, cell.top1) for cell in run.cells] == [(("clean", 0), 20, 2), (("fog", 1), 20, 2)]
    assert (run.model.name, run.cells[0].nll_micronats) == ("jax", None)
    assert read_run(output) == run
    predictions = read_predictions(output, run)
    assert predictions.classes["fog", 1].tolist() == [1] * 20
    assert predictions.confidences is None
    with pytest.raises(UsageError, match="model and predictions are given"):
        evaluate("fashion-mnist-resnet8", predictions=path, **FEW)


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        evaluate("no such model", output=tmp_path / "file" / "run.json")


def test_corruptions_and_severities_may_be_single_values_or_lists() -> None:
    subject = tiny_subject()
    one = evaluate(subject.model, card=subject.card, corruptions="fog", severities=3, limit=10)
    other = evaluate(subject.model, card=subject.card, corruptions=["fog"], severities=["3"], limit=10)
    several = evaluate(subject.model, card=subject.card, corruptions=["fog"], severities=[1, "2-3"], limit=10)
    assert one.cells == other.cells
    assert several.protocol.severities == (1, 2, 3)


def test_a_module_needs_a_card() -> None:
    with pytest.raises(UsageError, match="a module needs its card"):
        evaluate(tiny_subject().model)


@pytest.mark.parametrize("name", list(EMBEDDED_MODELS))
def test_embedded_models_are_good_on_clean_images_as_their_cards_say(name: str) -> None:
    subject = resolve_model(name)
    assert subject.card.clean_accuracy is not None
    assert subject.card.clean_accuracy >= 0.92
    run = evaluate(name, limit=1000, corruptions=["pixelate"], severities=["1"])
    clean = run.cells[0]
    margin = 4 * (0.92 * 0.08 / 1000) ** 0.5
    assert clean.top1 / clean.n == pytest.approx(subject.card.clean_accuracy, abs=margin)


def test_embedded_models_share_recipe_and_seed_but_the_stem() -> None:
    plain, push_pull = (resolve_model(name).card for name in EMBEDDED_MODELS)
    assert plain.recipe is not None
    assert push_pull.recipe is not None
    assert (plain.architecture, push_pull.architecture) == ("resnet8", "resnet8-pp3")
    assert plain.recipe | {"model": ""} == push_pull.recipe | {"model": ""}
    assert plain.seed == push_pull.seed


def test_a_network_without_weights_says_where_to_get_them() -> None:
    with pytest.raises(DataError, match="--model resnet50-pp is a network without weights") as caught:
        resolve_model("resnet50-pp")
    assert "git clone https://github.com/bgswaroop/pushpull-conv" in caught.value.hint
    assert "--avg_kernel_size 3" in caught.value.hint
    with pytest.raises(DataError) as caught:
        resolve_model("resnet50")
    assert "wget https://download.pytorch.org/models/resnet50-0676ba61.pth" in caught.value.hint
    with pytest.raises(DataError) as caught:
        resolve_model("resnet20-pp")
    assert "ppbench train --model resnet20-pp" in caught.value.hint


def test_an_unknown_model_has_suggestions() -> None:
    with pytest.raises(UsageError, match="unknown model 'resnet5'") as caught:
        resolve_model("resnet5")
    assert "did you mean" in caught.value.hint


def test_the_same_model_twice_is_refused() -> None:
    request = EvalRequest((tiny_subject(), tiny_subject()), limit=20, corruptions=["fog"], severities=["1"])
    with pytest.raises(UsageError, match="the same model is given twice"):
        measure(prepare(request))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_where_there_is_none_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="--device cuda cannot be used here") as caught:
        choose_device("cuda")
    assert "cpu" in caught.value.hint
    assert available_devices()[0] == "cpu"
    assert choose_device("auto").type == "cpu"


def test_what_is_left_out_and_not_applied_is_said_before_the_start(tmp_path: Path) -> None:
    root = write_class_folders(tmp_path, classes=2, per_class=2, size=32)
    (root / "n00000000" / "a.gif").touch()
    (root / "n00000002").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = next(root.rglob("*.png"))
    Image.open(path).save(path, exif=exif)
    subject = tiny_subject(channels=3, size=32, classes=3)
    request = EvalRequest(
        (subject,), dataset="imagefolder", data=root, corruptions=("contrast",), severities=("1",), force=True
    )
    said: list[str] = []
    measure(prepare(request), say=said.append)
    assert f"left out in {root}: 1 .gif" in said
    assert "1 class folder without images, which count as classes: n00000002" in said
    assert any("of 4 images checked, 1 stored turned or mirrored: not applied" in line for line in said)


@pytest.mark.parametrize(
    ("model", "card", "message"),
    [
        (torch.nn.Identity(), "imagenet", "card is 'imagenet', of type str; it must be a ppbench.Card"),
        (torch.nn.Identity(), {"mean": 0.5}, "of type dict"),
        ("fashion-mnist-resnet8", "imagenet", "of type str"),
        (3, None, "model is of type int"),
        (Path("net.pth"), None, "model is of type"),
    ],
)
def test_a_wrong_card_or_model_is_named(model: Any, card: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(model, card=card)
