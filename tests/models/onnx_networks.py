"""Tiny ONNX networks, written node by node: a linear classifier of flattened images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CLASSES = 10


def weights(values: int = 784, classes: int = CLASSES, seed: int = 0) -> NDArray[np.float32]:
    """``(values, classes)``, always the same."""
    return np.random.default_rng(seed).normal(size=(values, classes)).astype(np.float32) / 28


def write_linear(
    path: Path,
    shape: Sequence[int | str] = ("N", 1, 28, 28),
    *,
    values: int = 784,
    dtype: int = TensorProto.FLOAT,
    nhwc: bool = False,
    softmax: bool = False,
    outputs: Sequence[str] = ("logits",),
    inputs: Sequence[str] = ("images",),
    last: Sequence[Any] = (),
    metadata: dict[str, str] | None = None,
    external: str | None = None,
    seed: int = 0,
) -> Path:
    """Write a network that multiplies flattened images (N, C, H, W), and of uint8 images these over 255, by weights.

    Args:
        path: The file.
        shape: Shape of the input.
        values: Numbers of an image.
        dtype: Type of the input.
        nhwc: Whether the input's channels come last.
        softmax: Whether probabilities come out.
        outputs: Names of the outputs; the first has the logits, the others twice these.
        inputs: Names of the inputs; only the first is used.
        last: Further nodes.
        metadata: Metadata of the file.
        external: File beside it that holds the weights.
        seed: Of the weights.
    """
    nodes, now = [], inputs[0]
    if nhwc:
        nodes.append(helper.make_node("Transpose", [now], ["turned"], perm=[0, 3, 1, 2]))
        now = "turned"
    if dtype != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [now], ["cast"], to=TensorProto.FLOAT))
        now = "cast"
    held = [numpy_helper.from_array(weights(values, seed=seed), "weights")]
    if dtype == TensorProto.UINT8:
        held.append(numpy_helper.from_array(np.float32(255), "white"))
        nodes.append(helper.make_node("Div", [now, "white"], ["scaled"]))
        now = "scaled"
    product = "product" if softmax else outputs[0]
    nodes += [
        helper.make_node("Flatten", [now], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [product]),
        *([helper.make_node("Softmax", [product], [outputs[0]], axis=1)] if softmax else []),
        *(helper.make_node("Add", [outputs[0], outputs[0]], [name]) for name in outputs[1:]),
        *last,
    ]
    out = [shape[0] if shape else "N", CLASSES]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(name, dtype, list(shape)) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, out) for name in outputs],
        held,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    more = {"save_as_external_data": True, "location": external, "size_threshold": 0} if external else {}
    onnx.save_model(model, str(path), **more)
    return path
