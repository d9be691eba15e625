"""Read the tensors of a file of weights safely, whatever wrote it, and load them into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
from torch import Tensor, nn

from ppbench.errors import DataError
from ppbench.files import check_regular, is_special
from ppbench.models.header import check_header
from ppbench.models.other_kinds import error_of_kind
from ppbench.models.states import NoWeightsError, choose_weights, has_averaged
from ppbench.models.unpickle import read_torch_file

_ENDINGS = {".safetensors", ".ckpt", ".pth", ".pt", ".bin"}
"""The usual suffixes of such files. A file with another suffix is read as well."""

_COUNTER = "num_batches_tracked"

_NOT_WEIGHTS = {
    b"<": "it begins like a web page: the download returned HTML, not weights",
    b"version https://git-lfs": "it is a Git LFS pointer (`git lfs pull` fetches the weights themselves)",
}


class StateFile(NamedTuple):
    """The content of a file of weights, under the names in the file."""

    tensors: dict[str, Tensor]
    metadata: Mapping[str, str]
    """Metadata of a safetensors file."""
    hyper_parameters: Mapping[str, Any] | None
    """Settings in a Lightning checkpoint; values other than text and numbers are None."""
    choice: str | None = None
    """For people: which weights were chosen, and which others the file has; None: it has one set."""
    is_averaged: bool = False
    """Whether the chosen weights were averaged over the training, as their key or their names say."""


def names_file(text: str) -> bool:
    """Whether ``text`` is meant as a path: it has a suffix of weights, has a folder in it, or exists."""
    path = Path(text)
    return path.suffix.lower() in _ENDINGS or len(path.parts) > 1 or path.is_file() or is_special(path)


def why_no_weights(head: bytes) -> str | None:
    """Return what a file is if its first bytes, 64 or so, show that it is not a file of weights; otherwise None."""
    # Only texts are meant: the length at the start of a safetensors file may begin with "<", but has zero bytes.
    text = b"" if b"\0" in head else head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((meaning for start, meaning in _NOT_WEIGHTS.items() if text.startswith(start)), None)


def read_state_file(path: Path, *, ema: bool = False) -> StateFile:
    """Read the tensors of a safetensors or ``torch.save`` file. Nothing that the file names is imported or run.

    Args:
        path: The file.
        ema: Whether to take the weights that were averaged over the training, if the file has both kinds.

    Raises:
        DataError: If the file is missing or damaged, or does not hold the wanted state dict.
    """
    _check_readable(path)
    try:
        file = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path, ema)
    except DataError as error:
        # What the file is says more than what is wrong with its bytes.
        raise error_of_kind(path) or error from error
    if has_averaged(file.tensors):
        return file._replace(
            choice="the averaged copy, not the network" if ema else "the network, not its averaged copy"
        )
    if ema and file.choice is None and not file.is_averaged:
        raise DataError(f"{path} holds one set of weights, without an averaged copy", "Leave out --ema.")
    return file


def load_state(path: Path, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load ``state``, which came from ``path``, into ``model``; batch counters, which old files lack, start from 0.

    Raises:
        DataError: If anything in it does not fit; the message lists all of it.
    """
    check_state_fits(path, model, state)
    fill(model, state)


def check_state_fits(path: Path, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise one `DataError` that lists everything in ``state`` that does not fit ``model``."""
    own = model.state_dict()
    # torch before 0.4.1 did not count batches, and the count changes no output.
    missing = [name for name in own if name not in state and not name.endswith(_COUNTER)]
    unexpected = [name for name in state if name not in own]
    differing = [
        f"{name} {_kind(state[name])} instead of {_kind(own[name])}"
        for name in own
        if name in state and _kind(state[name]) != _kind(own[name])
    ]
    problems = [
        f"{label}: {', '.join(names[:8])}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        for label, names in (("missing", missing), ("unexpected", unexpected), ("differing", differing))
        if names
    ]
    if problems:
        raise DataError(f"the weights in {path} do not fit the network", "\n".join(problems))


def fill(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a ``state`` that fits; batch counters, which old files lack, start from 0.

    A model on the meta device takes the copies as its parameters: ``to_empty`` would make torch load its compiler.
    """
    own = model.state_dict()
    assign = any(tensor.is_meta for tensor in own.values())
    complete = {
        name: torch.zeros(tensor.shape, dtype=tensor.dtype)
        if name not in state
        else state[name].to(tensor.dtype, copy=True).contiguous()
        if assign
        else state[name]
        for name, tensor in own.items()
    }
    model.load_state_dict(complete, assign=assign)


def _check_readable(path: Path) -> None:
    try:
        check_regular(path)
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(
            f"cannot read the checkpoint {path}: {error.strerror}", "Give the path of an existing file."
        ) from error
    if not head:
        raise DataError(f"{path} is empty", "Delete it and download the file again.")
    if reason := why_no_weights(head):
        raise DataError(f"{path} is not a checkpoint: {reason}", "Delete it and download the file again.")


def _is_safetensors(path: Path) -> bool:
    """Whether it is a safetensors file: by suffix, or by the "{" of the JSON header after eight bytes of length."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:9] == b"{"


def _read_safetensors(path: Path) -> StateFile:
    try:
        check_header(path)
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return StateFile(tensors, file.metadata() or {}, None)
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is a damaged safetensors file ({' '.join(str(error).split())[:160]})",
            "Download or copy it again, and compare its size and hash.",
        ) from error


def _read_torch(path: Path, ema: bool) -> StateFile:
    content = read_torch_file(path)
    if not isinstance(content, Mapping):
        raise DataError(f"{path} holds a {type(content).__name__}, not a state dict", "Save `model.state_dict()`.")
    if not isinstance(inner := content.get("state_dict", {}), Mapping):
        raise DataError(
            f"the state_dict in {path} is a {type(inner).__name__}, not a mapping", "Save `model.state_dict()`."
        )
    try:
        weights = choose_weights(content, ema=ema)
    except NoWeightsError as error:
        raise DataError(f"{path} {error}", "Save `model.state_dict()`, not the whole model.") from error
    choice = None if weights.averaged is None else f"{weights.key or 'the top'}, not {weights.averaged or 'the top'}"
    settings = content.get("hyper_parameters")
    if not isinstance(settings, Mapping):
        return StateFile(weights.tensors, {}, None, choice, weights.are_averaged)
    # Other values, such as paths and optimisers, may be objects of any class: only that they are there is kept.
    plain = {key: value if isinstance(value, str | int | float) else None for key, value in settings.items()}
    return StateFile(weights.tensors, {}, plain, choice, weights.are_averaged)


def _kind(tensor: Tensor) -> str:
    """Describe what two tensors must share for one to be loaded into the other; the number of bits may differ."""
    kind = "complex" if tensor.is_complex() else "float" if tensor.is_floating_point() else "integer"
    return f"{kind} {tuple(tensor.shape)}"
