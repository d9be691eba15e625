"""ONNX networks of every kind of input give what their weights say, in one process and in others."""

from __future__ import annotations

import copy
import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from torch import Tensor

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models.card import METADATA_KEY, Card
from ppbench.models.card_options import CardOptions
from ppbench.models.from_onnx import OnnxNetwork, load_onnx, open_session
from ppbench.models.load import resolve_model
from ppbench.models.weights import identify_weights
from ppbench.run import Run
from tests.evaluation.models import tiny_card, with_own_head
from tests.models.onnx_networks import weights, write_linear

pytestmark = pytest.mark.usefixtures("_small_forwards")

OPTIONS = CardOptions(mean=(0.4,), std=(0.3,))
CPU = torch.device("cpu")
FEW: dict[str, Any] = {"corruptions": ["fog"], "severities": ["1-2"], "limit": 30, "force": True}

KINDS: dict[str, dict[str, Any]] = {
    "free": {},
    "one at a time": {"shape": (1, 1, 28, 28)},
    "seven at a time": {"shape": (7, 1, 28, 28)},
    "all axes open": {"shape": ("N", "C", "H", "W")},
    "channels last": {"shape": ("N", 28, 28, 1), "nhwc": True},
    "external": {"external": "weights.bin"},
}


def images(count: int = 20) -> Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_those_of_the_weights(tmp_path: Path, kind: str) -> None:
    write_linear(tmp_path / "net.onnx", **KINDS[kind])
    name, (network, card) = load_onnx(str(tmp_path / "net.onnx"), CardOptions(mean=(0.4,), std=(0.3,), input_size=28))
    assert (name, card.num_classes, card.architecture) == ("net", 10, "onnx:net.onnx")
    assert (card.input_size, card.in_channels, card.mean, card.resize) == (28, 1, (0.4,), None)
    for count in (1, 20):
        x = images(count)
        assert torch.allclose(network(x), x.flatten(1) @ torch.from_numpy(weights()), atol=1e-5)


@pytest.mark.parametrize("nhwc", [False, True])
def test_uint8_goes_in_as_it_is(tmp_path: Path, nhwc: bool) -> None:
    shape = (3, 28, 28, 1) if nhwc else ("N", 1, 28, 28)
    path = write_linear(tmp_path / "net.onnx", shape, dtype=TensorProto.UINT8, nhwc=nhwc)
    found = resolve_model(str(path))
    assert (found.card.mean, found.card.std) == ((0.0,), (1 / 255,))
    pixels = torch.arange(20 * 784).remainder(256).to(torch.uint8).view(20, 1, 28, 28)
    inference = Inference(with_own_head(found), CPU)
    assert inference.preprocess(pixels) is pixels
    assert torch.allclose(found.model(pixels), pixels.flatten(1) / 255 @ torch.from_numpy(weights()), atol=1e-5)
    with pytest.raises(UsageError, match="which takes uint8 pixels as they are"):
        load_onnx(str(path), OPTIONS)
    assert load_onnx(str(path), CardOptions(preset="unit"))[1].card.std == (1 / 255,)


def test_float16_is_near(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx", dtype=TensorProto.FLOAT16)
    x = images()
    assert torch.allclose(
        load_onnx(str(path), OPTIONS)[1].model(x), x.flatten(1) @ torch.from_numpy(weights()), atol=5e-3
    )


def test_probabilities_become_logits(tmp_path: Path) -> None:
    path, x = write_linear(tmp_path / "net.onnx", softmax=True), images()
    wanted = (x.flatten(1) @ torch.from_numpy(weights())).log_softmax(1)
    network = load_onnx(str(path), OPTIONS)[1].model
    assert torch.allclose(network(x), wanted, atol=1e-5)
    assert network(1e6 * x).isfinite().all()


def test_an_output_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_linear(Path("net.onnx"), outputs=("logits", "out/twice"))
    for spec in ("net.onnx@out/twice", "onnx:net.onnx@out/twice"):
        found = resolve_model(spec, OPTIONS)
        assert found.name == "net@out/twice"
        assert torch.allclose(found.model(images()), 2 * images().flatten(1) @ torch.from_numpy(weights()), atol=1e-5)
    write_linear(Path("a@b"))
    assert resolve_model("onnx:a@b", OPTIONS).name == "a@b"


def test_the_card_in_the_metadata(tmp_path: Path) -> None:
    card = tiny_card().model_copy(update={"class_names": tuple("abcdefghij")})
    path = tmp_path / "net.onnx"

    def write(card: Card | str) -> None:
        text = card if isinstance(card, str) else card.model_dump_json(exclude_none=True)
        write_linear(path, metadata={METADATA_KEY: text})

    write(card)
    assert load_onnx(str(path), CardOptions())[1].card == card
    assert load_onnx(str(path), OPTIONS)[1].card.mean == (0.4,)
    assert load_onnx(str(path), CardOptions(architecture="mine"))[1].card.architecture == "mine"
    write(tiny_card(classes=7))
    with pytest.raises(DataError, match=r"net.onnx has 10 classes, but its card says 7"):
        load_onnx(str(path), CardOptions())
    write(tiny_card(size=32))
    with pytest.raises(UsageError, match="takes images of 1 x 28 x 28 values, but its card says 1 x 32 x 32"):
        load_onnx(str(path), CardOptions())
    write('{"architecture": 3}')
    with pytest.raises(DataError, match=r"the card in .*net.onnx is not valid: architecture"):
        load_onnx(str(path), CardOptions())


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_linear(path, last=[helper.make_node("Frobnicate", ["logits"], ["out"])])
    with pytest.raises(DataError, match=r"onnxruntime [\d.]+ cannot run .*net.onnx: .*Frobnicate") as caught:
        load_onnx(str(path), OPTIONS)
    assert "\n" not in caught.value.message
    write_linear(path, values=999, shape=("N", "C", "H", "W"))
    with pytest.raises(DataError, match=r"net.onnx cannot be run on images \(2, 1, 28, 28\): "):
        load_onnx(str(path), CardOptions(mean=(0.4,), std=(0.3,), input_size=28))
    with pytest.raises(UsageError, match=r"the preprocessing of .*net.onnx is not known: --mean, --std missing"):
        load_onnx(str(write_linear(path)), CardOptions())
    with pytest.raises(UsageError, match="--ema cannot be used"):
        load_onnx(str(path), CardOptions(ema=True))
    with pytest.raises(DataError, match="No such file"):
        resolve_model("missing.onnx")


def test_an_output_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_linear(path, outputs=("logits",))
    model = onnx.load_model(str(path))
    model.graph.node.append(helper.make_node("ReduceSum", ["logits"], ["sum"], keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, []))
    onnx.save_model(model, str(path))
    with pytest.raises(DataError, match=r"the output sum of .*net.onnx is \(\) float32 for 2 images"):
        load_onnx(f"{path}@sum", OPTIONS)


def test_without_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_linear(tmp_path / "net.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match="an ONNX network needs onnxruntime, which is not installed"):
        load_onnx(str(path), OPTIONS)


def test_copies_open_the_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_onnx(str(write_linear(tmp_path / "net.onnx")), OPTIONS)[1].model
    assert isinstance(network, OnnxNetwork)
    wanted = network(images())
    for copied in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(copied(images()), wanted)
    # In a forked process the session's threads are gone.
    opened = network._opened
    assert opened is not None
    monkeypatch.setattr("os.getpid", lambda: opened[0][0] + 1)
    assert torch.equal(network(images()), wanted)
    assert network._opened is not None
    assert network._opened[1] is not opened[1]


def test_onnxruntime_has_as_many_threads_as_torch_and_they_sleep(tmp_path: Path) -> None:
    session = open_session(str(write_linear(tmp_path / "net.onnx")), torch.device("cuda"), "it")
    options = session.get_session_options()
    assert options.intra_op_num_threads == torch.get_num_threads()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    # A GPU is used if onnxruntime can; here it says what it uses instead.
    assert session.get_providers()[-1] == "CPUExecutionProvider"


def test_dynamic_quantisation_gets_images_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_linear(path)
    quantize_dynamic(path, tmp_path / "int8.onnx")
    network = load_onnx(str(tmp_path / "int8.onnx"), OPTIONS)[1].model
    x = images()
    x[3] *= 100  # the scale of all, if they went in together
    assert isinstance(network, OnnxNetwork)
    assert network.runtime_on(CPU).endswith("CPUExecutionProvider, one image at a time")
    assert torch.equal(network(x), torch.cat([network(one[None]) for one in x]))
    assert torch.allclose(network(x[:3]), x[:3].flatten(1) @ torch.from_numpy(weights()), atol=0.05)


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Images whose values set the scales of a static quantisation."""

    def __init__(self) -> None:
        self.left = iter(images())

    def get_next(self) -> dict[str, Any] | None:
        image = next(self.left, None)
        return None if image is None else {"images": image[None].numpy()}


def test_static_quantisation_is_near_and_gets_images_together(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx")
    quantize_static(path, tmp_path / "int8.onnx", Calibration())
    network = load_onnx(str(tmp_path / "int8.onnx"), OPTIONS)[1].model
    x = images()
    assert isinstance(network, OnnxNetwork)
    assert network.runtime_on(CPU).endswith("CPUExecutionProvider")
    assert torch.equal(network(x), torch.cat([network(one[None]) for one in x]))
    exact = x.flatten(1) @ torch.from_numpy(weights())
    assert torch.allclose(network(x), exact, atol=0.05)
    assert not torch.allclose(network(x), exact, atol=1e-5)  # it does compute with 8 bits


def test_the_weights_are_the_content_of_the_files(tmp_path: Path) -> None:
    def hash_now() -> str | None:
        return identify_weights(load_onnx(str(tmp_path / "net.onnx"), OPTIONS)[1].model).sha256

    path = write_linear(tmp_path / "net.onnx")
    assert hash_now() == hashlib.sha256(path.read_bytes()).hexdigest()
    seen = {hash_now()}
    for more in ({"seed": 1}, {"external": "w.bin"}, {"external": "w.bin", "seed": 1}):
        (tmp_path / "w.bin").unlink(missing_ok=True)
        write_linear(path, **more)  # type: ignore[arg-type]
        seen.add(hash_now())
    assert len(seen) == 4


def measured(spec: str, stop_after: int | None = None, **more: Any) -> tuple[Run, list[str]]:
    """The run, and what was said; stopped like by Ctrl-C after so many batches."""
    said: list[str] = []
    batches = 0

    def advance(cell: tuple[str, int], count: int) -> None:
        nonlocal batches
        batches += 1
        if stop_after is not None and batches > stop_after:
            raise KeyboardInterrupt

    request = EvalRequest((spec,), **{**FEW, "card_options": OPTIONS, **more})
    return measure(prepare(request), say=said.append, advance=advance).runs[0].run, said


def test_an_evaluation_resumes_and_its_run_says_what_ran_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)  # every batch is written down at once
    write_linear(Path("net.onnx"))
    whole, said = measured("net.onnx")
    assert whole.model.runtime == f"onnxruntime {onnxruntime.__version__}, CPUExecutionProvider"
    assert whole.model.runtime in said[0]
    assert whole.model.parameters == 7840
    measured("net.onnx", stop_after=1, output=Path("run.json"))
    again, said = measured("net.onnx", output=Path("run.json"))
    assert any("reused" in line for line in said)
    assert again.cells == whole.cells
    # Other weights: nothing is reused.
    measured("net.onnx", stop_after=1, output=Path("other.json"))
    write_linear(Path("net.onnx"), seed=1)
    other, said = measured("net.onnx", output=Path("other.json"))
    assert not any("reused" in line for line in said)
    assert other.cells != whole.cells


def test_outputs_that_are_not_numbers_end_it(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_linear(path, outputs=("logits", "root"))
    model = onnx.load_model(str(path))
    model.graph.node[-1].CopyFrom(helper.make_node("Sqrt", ["logits"], ["root"]))  # of negative numbers
    onnx.save_model(model, str(path))
    request = EvalRequest((f"{path}@root",), **FEW, card_options=OPTIONS)
    reason = measure(prepare(request)).stopped_by
    assert isinstance(reason, DataError)
    assert "not finite" in reason.message
    assert "\n" not in reason.message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "bf16"}, "--precision bf16 is not for .*net.onnx, an ONNX network"),
        ({"compiled": True}, "--compile is not for .*net.onnx, an ONNX network"),
        ({"weights_files": (Path("w.bin"),)}, "--weights-file is not for --model .*net.onnx, whose weights are known"),
    ],
)
def test_settings_that_only_torch_follows(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    write_linear(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=message):
        measured(str(tmp_path / "net.onnx"), **given)


def test_numbers_of_any_type_become_float32(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx", outputs=("logits", "whole"))
    model = onnx.load_model(str(path))
    model.graph.node[-1].CopyFrom(helper.make_node("Cast", ["logits"], ["whole"], to=TensorProto.INT32))
    model.graph.output[-1].CopyFrom(helper.make_tensor_value_info("whole", TensorProto.INT32, ["N", 10]))
    onnx.save_model(model, str(path))
    found = load_onnx(f"{path}@whole", OPTIONS)[1].model(images())
    assert found.dtype == torch.float32
    assert np.array_equal(found.numpy(), found.numpy().round())


def test_an_output_of_texts_and_what_onnxruntime_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_linear(tmp_path / "net.onnx", outputs=("logits", "words"))
    model = onnx.load_model(str(path))
    model.graph.node[-1].CopyFrom(helper.make_node("Cast", ["logits"], ["words"], to=TensorProto.STRING))
    model.graph.output[-1].CopyFrom(helper.make_tensor_value_info("words", TensorProto.STRING, ["N", 10]))
    onnx.save_model(model, str(path))
    with pytest.raises(DataError, match=r"the output words of .*net\.onnx is \(2, 10\) object for 2 images"):
        load_onnx(f"{path}@words", OPTIONS)
    session = pytest.importorskip("onnxruntime").InferenceSession

    def chatty(*given: Any, **options: Any) -> Any:
        print("EP Error: falling back")
        return session(*given, **options)

    monkeypatch.setattr("onnxruntime.InferenceSession", chatty)
    load_onnx(f"{path}@logits", OPTIONS)
    assert capsys.readouterr().out == ""
