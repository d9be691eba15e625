"""Read what an ONNX file says of itself: its input, outputs, weights and metadata. Nothing is run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ppbench.errors import DataError, UsageError, in_one_line
from ppbench.extras import import_extra
from ppbench.files import check_regular
from ppbench.lookup import counted, unknown_name
from ppbench.models.statedict import why_no_weights

_TYPES = {1: "float32", 2: "uint8", 10: "float16"}
"""Types of an input that images can be given as, by their numbers in ``TensorProto.DataType``."""

_NO_WEIGHTS = (6, 7, 9)
"""int32, int64 and bool: initialisers of these types are shapes, indices, and biases of quantised layers."""

_NHWC, _NCHW = "NHWC", "NCHW"


@dataclass(frozen=True)
class OnnxFile:
    """The description of an ONNX network that takes images and gives logits."""

    path: Path
    input: str
    """Name of the input."""
    dtype: str
    """Type of the input: "float32", "float16" or "uint8"."""
    layout: str
    """Order of the input's axes: "NCHW" or "NHWC"."""
    batch: int | None
    """Number of images that it takes at once; None: any."""
    channels: int | None
    """1 or 3; None if the file leaves it open."""
    size: int | None
    """Side of the images in pixels; None if the file leaves it open."""
    output: str
    """Name of the chosen output."""
    gives_probabilities: bool
    """Whether the output is that of a softmax, whose logarithm stands for the logits."""
    mixes_images: bool
    """Whether images that are given together change each other's outputs: dynamic quantisation scales by the largest
    value among all of them."""
    weights_files: tuple[Path, ...]
    """The file itself, then the files that hold its weights, sorted."""
    parameters: int
    """Numbers in its weights."""
    metadata: Mapping[str, str]


def read_onnx_file(path: Path, output: str | None = None) -> OnnxFile:
    """Read the description of an ONNX network.

    Args:
        path: The file.
        output: Name of the output to take; None: the only one.

    Raises:
        DataError: If the file is missing or damaged, its external data are missing, or it does not take images.
        UsageError: If the package onnx is missing, or there is no such output, or several and none is named.
    """
    model = _parsed(path)
    try:
        return _described(path, model, output)
    except (TypeError, AttributeError, ValueError, OSError) as error:  # texts in it may be no texts
        raise DataError(f"{path} is damaged: {in_one_line(error)}", "Download, copy or export it again.") from error


def _described(path: Path, model: Any, output: str | None) -> OnnxFile:
    graph = model.graph
    outputs = [value.name for value in graph.output]
    chosen = _choose_output(path, outputs, output)
    given = _only_input(path, graph)
    tensors = list(_tensors(graph, model.functions))
    layout, batch, channels, size = _read_shape(path, given)
    return OnnxFile(
        path=path,
        input=given.name,
        dtype=_read_type(path, given),
        layout=layout,
        batch=batch,
        channels=channels,
        size=size,
        output=chosen,
        gives_probabilities=_is_softmax(graph, chosen),
        mixes_images=any(node.op_type.startswith("DynamicQuantize") for node in _nodes(graph, model.functions)),
        weights_files=(path, *_external_files(path, tensors)),
        parameters=sum(math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type not in _NO_WEIGHTS),
        metadata={entry.key: entry.value for entry in model.metadata_props},
    )


def _parsed(path: Path) -> Any:
    onnx = import_extra("onnx", "onnx", "an ONNX network")
    check_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "Give the path of an existing .onnx file.") from error
    if reason := why_no_weights(head):
        raise DataError(f"{path} is not an ONNX file: {reason}", "Delete it and download the file again.")
    try:
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # classes of the protobuf library
        raise DataError(
            f"{path} is not a readable ONNX file: it is cut off, or of another kind ({type(error).__name__})",
            "Download, copy or export it again.",
        ) from error
    # Many texts can be read as a message without any known field.
    if not model.graph.output:
        raise DataError(f"{path} is not a readable ONNX file: it holds no network", "Give an exported .onnx file.")
    return model


def _choose_output(path: Path, outputs: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in outputs:
            raise unknown_name(f"output of {path}", wanted, outputs, f"--model onnx:{path}@{outputs[0]}")
        return wanted
    if len(outputs) > 1:
        raise UsageError(
            f"{path} has {len(outputs)} outputs: {', '.join(outputs[:12])}",
            f"Name the one with the logits: `--model onnx:{path}@{outputs[0]}`.",
        )
    return outputs[0]


_PASSES = frozenset({"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "QuantizeLinear", "DequantizeLinear"})
"""Operators after which probabilities are still probabilities."""


def _is_softmax(graph: Any, output: str) -> bool:
    """Whether an output is that of a softmax, perhaps in another type or shape."""
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(output)
    for _ in range(len(graph.node)):  # a damaged file may have a circle
        if node is None or node.op_type not in _PASSES or not node.input:
            break
        node = makers.get(node.input[0])
    return node is not None and node.op_type in ("Softmax", "QLinearSoftmax")


def _only_input(path: Path, graph: Any) -> Any:
    # Files of ONNX before version 4 list the weights among the inputs.
    held = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in held]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs[:12]) or "none"
        raise DataError(
            f"{path} takes {counted(len(inputs), 'input')} ({names}), but ppbench gives it images alone",
            "Export a network that maps images to logits, or wrap this one in a function: `--model mine:factory`.",
        )
    return inputs[0]


def _read_type(path: Path, value: Any) -> str:
    number = value.type.tensor_type.elem_type
    if number not in _TYPES:
        raise DataError(
            f"the input {value.name} of {path} is of type {_type_name(number)}",
            f"Images can be given as {', '.join(_TYPES.values())}: export it with one of these.",
        )
    return _TYPES[number]


def _type_name(number: int) -> str:
    from onnx import TensorProto

    known = number in TensorProto.DataType.values()
    return TensorProto.DataType.Name(number).lower() if known else f"number {number}"


def _read_shape(path: Path, value: Any) -> tuple[str, int | None, int | None, int | None]:
    """Return layout, batch, channels and size; a size that the file leaves open is None."""
    tensor = value.type.tensor_type
    axes = [axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None for axis in tensor.shape.dim]
    if not tensor.HasField("shape"):
        return _NCHW, None, None, None
    if len(axes) != 4:
        raise DataError(
            f"the input {value.name} of {path} has {counted(len(axes), 'axis', 'axes')}, {_in_words(tensor.shape)}, "
            "not 4 as images have",
            "It has to take images (N, C, H, W) or (N, H, W, C).",
        )
    layout = _NHWC if axes[1] not in (1, 3) and axes[3] in (1, 3) else _NCHW
    batch, channels, height, width = axes if layout == _NCHW else (axes[0], axes[3], axes[1], axes[2])
    if channels not in (None, 1, 3) or (height is not None and width is not None and height != width):
        raise DataError(
            f"the input {value.name} of {path} has the shape {_in_words(tensor.shape)}",
            "ppbench gives square images of 1 or 3 channels: (N, C, H, H) or (N, H, H, C).",
        )
    return layout, batch, channels, height or width


def _in_words(shape: Any) -> str:
    return f"({', '.join(str(axis.dim_value or axis.dim_param or '?') for axis in shape.dim)})"


def _nodes(graph: Any, functions: Any = ()) -> Iterator[Any]:
    """Yield all nodes of a graph, of its inner graphs and of functions."""
    for node in (*graph.node, *(node for function in functions for node in function.node)):
        yield node
        for inner in _inner_graphs(node):
            yield from _nodes(inner)


def _inner_graphs(node: Any) -> Iterator[Any]:
    """Yield the graphs of a node, such as the branches of an ``If``."""
    for attribute in node.attribute:
        yield from ((attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs)


def _tensors(graph: Any, functions: Any = ()) -> Iterator[Any]:
    """Yield all tensors that a graph, its inner graphs and functions hold."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in (*graph.node, *(node for function in functions for node in function.node)):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
        for inner in _inner_graphs(node):
            yield from _tensors(inner)


def _external_files(path: Path, tensors: list[Any]) -> list[Path]:
    """Return the files beside ``path`` that hold weights, and check that they are there."""
    external = 1  # TensorProto.EXTERNAL
    entries = [tensor.external_data for tensor in tensors if tensor.data_location == external]
    names = {entry.value for data in entries for entry in data if entry.key == "location"}
    files = []
    for name in sorted(names):
        place = PurePosixPath(name)
        if not name or place.is_absolute() or ".." in place.parts:
            raise DataError(
                f"{path} keeps weights in {name!r}, which is not below its own folder", "Export or save it again."
            )
        file = path.parent / name
        if not file.is_file():
            raise DataError(
                f"{path} keeps weights in {name}, which is missing", f"Copy that file too, to {file.parent}."
            )
        files.append(file)
    return files


def describe_error(error: BaseException) -> str:
    """Return an error of ONNX Runtime in one line, without its code."""
    return in_one_line(error).removeprefix(f"{type(error).__name__}: ").removeprefix("[ONNXRuntimeError] : ")
