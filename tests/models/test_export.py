"""Exported networks count as torch does, and no file is kept that does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from ppbench.compare.comparison import compare
from ppbench.compare.measured import read_compared
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models import export
from ppbench.models.card import METADATA_KEY
from ppbench.models.export import ExportReport, ExportRequest, export_network
from ppbench.models.load import resolve_model
from ppbench.run import read_run
from tests.conftest import forwards_of

NAME = "fashion-mnist-resnet8-pp3"
FUNCTION = f"""
import torch
from ppbench.models.load import resolve_model

def make():
    network, card = resolve_model({NAME!r})[1:]
    return lambda images: network(torch.from_numpy(images)), card
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded push-pull network as float32, as pixels in fives, and with dynamic int8."""
    folder = tmp_path_factory.mktemp("exported")
    export_network(ExportRequest(NAME, folder / "float.onnx"))
    export_network(ExportRequest(NAME, folder / "pixels.onnx", pixels=True, batch_size=5, opset=18))
    quantize_dynamic(folder / "float.onnx", folder / "int8.onnx", weight_type=QuantType.QUInt8)
    (folder / "function_of_pp3.py").write_text(FUNCTION)
    return folder


@pytest.fixture
def _forwards_of_ten() -> Iterator[None]:
    yield from forwards_of(10, 4)


@pytest.mark.usefixtures("_forwards_of_ten")
def test_the_counts_of_all_cells_are_those_of_torch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also that dynamic int8 costs less than a point of mean error, and that `compare` says how much."""
    monkeypatch.chdir(folder)
    models = (NAME, "float.onnx", "pixels.onnx", "function_of_pp3:make", "int8.onnx")
    request = EvalRequest(models, limit=10, severities=("1", "3", "5"), output=folder / "runs")
    said: list[str] = []
    runs = [run.run for run in measure(prepare(request), say=said.append).runs]
    sys.modules.pop("function_of_pp3")
    wanted, *same, int8 = [[cell.top1 for cell in run.cells] for run in runs]
    assert len(wanted) == 46
    assert same == 3 * [wanted]
    assert wanted[0] >= 8  # it is the trained network
    assert [run.protocol.preprocessing for run in runs] == 5 * [runs[0].protocol.preprocessing]
    paths = [Path(line.removeprefix("wrote ")) for line in said if line.startswith("wrote ")]
    assert len(paths) == 5
    assert [read_run(path).model.runtime for path in paths] == [run.model.runtime for run in runs]
    assert '"runtime"' not in paths[0].read_text()  # of torch, as before
    lost = compare(*read_compared([paths[0], paths[4]]), None).metric("mean_error").points
    assert lost is not None
    assert lost.value == pytest.approx(100 * (sum(wanted[1:]) - sum(int8[1:])) / (45 * 10))
    assert abs(lost.value) < 1
    assert lost.low <= lost.value <= lost.high


def test_the_card_and_the_shape_are_in_the_file(folder: Path) -> None:
    card = resolve_model(NAME).card
    for name, shape, opset in (("float", ["N", 1, 28, 28], 20), ("pixels", [5, 28, 28, 1], 18)):
        model = onnx.load_model(str(folder / f"{name}.onnx"))
        (given,) = model.graph.input
        assert [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim] == shape
        assert (given.name, model.graph.output[0].name) == ("images", "logits")
        assert {entry.version for entry in model.opset_import if not entry.domain} == {opset}
        assert resolve_model(str(folder / f"{name}.onnx")).card == card
        (text,) = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
        assert json.loads(text)["architecture"] == "resnet8-pp3"


class TestRefusals:
    """Nothing is written."""

    @pytest.fixture(autouse=True)
    def _exported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

        def exported(subject: Any, request: ExportRequest) -> tuple[bytes, int]:
            return (Path("made.onnx").read_bytes(), 20)

        monkeypatch.setattr(export, "_exported", exported)

    def make(self, folder: Path, change: float) -> None:
        model = onnx.load_model(str(folder / "float.onnx"))
        bias = next(one for one in model.graph.initializer if list(one.dims) == [10])
        values = onnx.numpy_helper.to_array(bias) + np.float32(change)
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        onnx.save_model(model, "made.onnx")

    @pytest.mark.parametrize("change", [0.5, np.nan])
    def test_a_file_that_gives_something_else(self, folder: Path, change: float) -> None:
        self.make(folder, change)
        with pytest.raises(DataError, match="does not give torch's logits for 16 images"):
            export_network(ExportRequest(NAME, Path("net.onnx")))
        assert not Path("net.onnx").exists()

    def test_a_file_that_exists(self, folder: Path) -> None:
        self.make(folder, 0)
        Path("net.onnx").write_text("mine")
        with pytest.raises(UsageError, match=r"net.onnx exists"):
            export_network(ExportRequest(NAME, Path("net.onnx")))
        assert Path("net.onnx").read_text() == "mine"
        report = export_network(ExportRequest(NAME, Path("net.onnx"), overwrite=True))
        assert isinstance(report, ExportReport)
        assert report.text().startswith("net.onnx: resnet8-pp3, opset 20, equals torch within ")
        assert export_network(ExportRequest(NAME)).path == Path(f"{NAME}.onnx")

    @pytest.mark.parametrize(
        ("given", "message"),
        [({"opset": 9}, "--opset 9 is not allowed"), ({"batch_size": 0}, "--batch-size 0 is not allowed")],
    )
    def test_values(self, given: dict[str, int], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            export_network(ExportRequest(NAME, Path("net.onnx"), **given))  # type: ignore[arg-type]

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        with pytest.raises(UsageError, match="`ppbench export` needs onnxscript, which is not installed"):
            export_network(ExportRequest(NAME, Path("net.onnx")))


class Branches(nn.Module):
    """What cannot be exported: what it computes depends on the values of the images."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10] if x.sum() > 0 else x.flatten(1)[:, 10:20]


def test_a_network_that_torch_cannot_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = resolve_model(NAME)._replace(model=Branches())
    monkeypatch.setattr(export, "resolve_model", lambda *given: subject)
    with pytest.raises(DataError, match=f"torch cannot export {NAME}: ") as caught:
        export_network(ExportRequest(NAME, tmp_path / "net.onnx"))
    assert "\n" not in caught.value.message
    assert not (tmp_path / "net.onnx").exists()


def test_more_than_one_file_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(export, "_LARGEST", 1000)
    with pytest.raises(DataError, match=r"has 0\.0 GB of weights; one ONNX file holds 2 GB"):
        export_network(ExportRequest(NAME, tmp_path / "net.onnx"))


def test_the_images_of_the_check_are_always_the_same() -> None:
    card = resolve_model(NAME).card
    before = torch.random.get_rng_state()
    one, other = (export._images(card, 4) for _ in range(2))
    assert torch.equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())
