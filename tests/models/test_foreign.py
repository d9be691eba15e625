"""Commands that need torch's layers refuse networks without, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppbench.errors import UsageError
from ppbench.inspection.request import InspectionRequest, inspect_networks
from ppbench.models.card import METADATA_KEY
from ppbench.models.export import ExportRequest, export_network
from ppbench.train.conversion import ConvertRequest, plan_conversion
from tests.evaluation.models import tiny_card
from tests.models.onnx_networks import write_linear


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    write_linear(Path("net.onnx"), metadata={METADATA_KEY: tiny_card().model_dump_json(exclude_none=True)})
    return "net.onnx"


def test_inspect(net: str) -> None:
    reason = "`ppbench inspect` is not for net.onnx, an ONNX network: it reads the first convolution of a torch network"
    for request in (InspectionRequest(net), InspectionRequest("fashion-mnist-resnet8", against=net, draws=16)):
        with pytest.raises(UsageError) as caught:
            inspect_networks(request)
        assert caught.value.message == reason


def test_convert(net: str) -> None:
    with pytest.raises(UsageError, match=r"`ppbench convert` is not for net.onnx, an ONNX network") as caught:
        plan_conversion(ConvertRequest(net), lambda line: None)
    assert "then `ppbench export` the result" in caught.value.hint


def test_export(net: str) -> None:
    with pytest.raises(UsageError, match=r"`ppbench export` is not for net.onnx, an ONNX network"):
        export_network(ExportRequest(net, Path("other.onnx")))
    assert not Path("other.onnx").exists()
