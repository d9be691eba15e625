"""What an ONNX file says of itself, and what is no network of images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from ppbench.errors import DataError, UsageError
from ppbench.models.onnx_file import read_onnx_file
from tests.models.onnx_networks import write_linear


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        ({}, ("NCHW", None, 1, 28, "float32")),
        ({"shape": (1, 3, 16, 16), "values": 768}, ("NCHW", 1, 3, 16, "float32")),
        ({"shape": (4, 16, 16, 3), "values": 768, "nhwc": True}, ("NHWC", 4, 3, 16, "float32")),
        ({"shape": ("N", "H", "W", 3), "values": 768, "nhwc": True}, ("NHWC", None, 3, None, "float32")),
        ({"shape": ("N", "C", "H", "W"), "values": 768}, ("NCHW", None, None, None, "float32")),
        ({"shape": ("N", 3, 3, 3), "values": 27}, ("NCHW", None, 3, 3, "float32")),
        ({"shape": ("N", 28, 28, 1), "nhwc": True, "dtype": TensorProto.UINT8}, ("NHWC", None, 1, 28, "uint8")),
        ({"dtype": TensorProto.FLOAT16}, ("NCHW", None, 1, 28, "float16")),
    ],
)
def test_the_input(tmp_path: Path, made: dict[str, Any], wanted: tuple[object, ...]) -> None:
    file = read_onnx_file(write_linear(tmp_path / "net.onnx", **made))
    assert (file.layout, file.batch, file.channels, file.size, file.dtype) == wanted
    assert (file.input, file.output, file.gives_probabilities, file.mixes_images) == ("images", "logits", False, False)
    assert file.weights_files == (tmp_path / "net.onnx",)
    assert file.parameters == made.get("values", 784) * 10 + (made.get("dtype") == TensorProto.UINT8)


def test_one_of_several_outputs(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx", outputs=("logits", "twice"), metadata={"made by": "hand"})
    assert read_onnx_file(path, "twice").output == "twice"
    assert read_onnx_file(path, "logits").metadata == {"made by": "hand"}
    with pytest.raises(UsageError, match="has 2 outputs: logits, twice") as caught:
        read_onnx_file(path)
    assert f"`--model onnx:{path}@logits`" in caught.value.hint
    with pytest.raises(UsageError, match=r"unknown output of .* 'twise'") as caught:
        read_onnx_file(path, "twise")
    assert "did you mean 'twice'" in caught.value.hint


def test_a_softmax_and_a_dynamic_quantisation_are_seen(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "p.onnx", softmax=True)
    assert read_onnx_file(path).gives_probabilities
    model = onnx.load_model(str(path))
    for operator, name in (("Cast", "cast"), ("Identity", "out"), ("Relu", "other")):
        end = model.graph.output[0].name
        model.graph.node.append(helper.make_node(operator, [end], [name], **({"to": 1} if name == "cast" else {})))
        model.graph.output[0].name = name
        onnx.save_model(model, str(path))
        assert read_onnx_file(path).gives_probabilities == (name != "other")
    nodes = [helper.make_node("DynamicQuantizeLinear", ["logits"], ["q", "scale", "zero"])]
    assert read_onnx_file(write_linear(tmp_path / "d.onnx", last=nodes)).mixes_images
    branch = helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("q", TensorProto.UINT8, None)])
    inner = [helper.make_node("If", ["flag"], ["out"], then_branch=branch, else_branch=branch)]
    assert read_onnx_file(write_linear(tmp_path / "i.onnx", last=inner)).mixes_images


def test_weights_in_files_beside_it(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx", external="net.data")
    assert read_onnx_file(path).weights_files == (path, tmp_path / "net.data")
    (tmp_path / "net.data").unlink()
    with pytest.raises(DataError, match=r"keeps weights in net.data, which is missing"):
        read_onnx_file(path)
    model = onnx.load_model(str(path), load_external_data=False)
    for outside in ("../net.data", "/etc/passwd"):
        model.graph.initializer[0].external_data[0].value = outside
        onnx.save_model(model, str(path))
        with pytest.raises(DataError, match="which is not below its own folder"):
            read_onnx_file(path)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "rank 2": ({"shape": ("N", 784)}, r"has 2 axes, \(N, 784\), not 4 as images have"),
    "channels": ({"shape": ("N", 4, 14, 14)}, r"has the shape \(N, 4, 14, 14\)"),
    "oblong": ({"shape": ("N", 1, 28, 14)}, r"has the shape \(N, 1, 28, 14\)"),
    "two inputs": ({"inputs": ("images", "mask")}, r"takes 2 inputs \(images, mask\), but ppbench gives it images"),
    "type": ({"dtype": TensorProto.INT64}, r"the input images of .* is of type int64"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_take_images(tmp_path: Path, name: str) -> None:
    made, message = BAD[name]
    with pytest.raises(DataError, match=message) as caught:
        read_onnx_file(write_linear(tmp_path / "net.onnx", **made))
    assert "\n" not in caught.value.message


def test_what_is_no_onnx_file(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx")
    whole = path.read_bytes()
    cases = {
        b"": "holds no network",
        b"plain text": "is not a readable ONNX file",
        whole[: len(whole) // 2]: "it is cut off, or of another kind",
        b"<!DOCTYPE html>": "it begins like a web page",
        b"version https://git-lfs.github.com/spec/v1": "Git LFS pointer",
    }
    for content, message in cases.items():
        path.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            read_onnx_file(path)
        assert "\n" not in caught.value.message
    with pytest.raises(DataError, match="No such file"):
        read_onnx_file(tmp_path / "none.onnx")


def test_texts_that_are_no_texts(tmp_path: Path) -> None:
    path = write_linear(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes().replace(b"MatMul", b"\xffatMul"))
    with pytest.raises(DataError, match=r"net\.onnx is damaged"):
        read_onnx_file(path)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match="an ONNX network needs onnx, which is not installed") as caught:
        read_onnx_file(tmp_path / "net.onnx")
    assert "uv sync --extra onnx" in caught.value.hint
