"""Identify a network's weights by a hash, if everything that decides its outputs is visible."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ppbench.errors import DataError
from ppbench.files import check_regular
from ppbench.models.foreign import ForeignNetwork
from ppbench.models.own_state import LIBRARIES, OwnState


class WeightsIdentity(NamedTuple):
    """What is known about a network's weights."""

    sha256: str | None
    """Hash of all parameters and buffers (`weights_hash`) and of further arrays and files; None: not known."""
    unknown: str | None
    """Why they are not known, in words; None if they are known."""
    values: str
    """SHA-256 of the plain values that the user's code holds, such as a factor; empty for networks of the libraries."""


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 (hex) of all parameters and buffers: names, types, shapes and bytes, in the order of names.

    It does not depend on the file format, the device or the memory layout.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        # As bytes, because numpy has no bfloat16.
        digest.update(plain.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def identify_weights(model: nn.Module, files: Sequence[Path] = ()) -> WeightsIdentity:
    """Identify the weights of a network.

    They are known if the network computes only with its state dict and with arrays that its code holds. They are not
    known if it has neither, or holds an object of compiled code, such as a session of ONNX Runtime. Those of a network
    that is read from files, such as an ONNX file, are the content of the files: of one file, its SHA-256.

    Args:
        model: The network.
        files: Files that also decide its outputs, given by the user; their content becomes part of the hash.

    Raises:
        DataError: If a file cannot be read.
    """
    if isinstance(model, ForeignNetwork) and model.weights_files:
        hashes = [hash_file(path) for path in model.weights_files]
        return WeightsIdentity(_joined(hashes, whole=len(hashes) == 1), None, "")
    try:
        covered, own = weights_hash(model), OwnState(model)
        unknown = own.hidden
        if (
            unknown is None
            and not own.arrays
            and not any(getattr(held, "numel", int)() for held in model.state_dict().values())
        ):
            unknown = "it has no weights that torch knows of"
        parts = [covered, own.tensors] if own.arrays else [covered]
        values = own.values if has_own_code(model) else ""
    except Exception as error:  # objects of the user's classes may raise anything
        unknown, parts, values = f"its state cannot be looked at ({type(error).__name__})", [], ""
    if unknown is not None and not files:
        return WeightsIdentity(None, unknown, values)
    parts += map(hash_file, files)
    return WeightsIdentity(_joined(parts, whole=len(parts) == 1 and not files), None, values)


def _joined(hashes: Sequence[str], *, whole: bool) -> str:
    """Return the hash of several hashes, or the only one if it covers the whole."""
    return hashes[0] if whole else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def has_own_code(model: nn.Module) -> bool:
    """Whether the class of any of the network's modules is not from one of `LIBRARIES`."""
    return any(name.partition(".")[0] not in LIBRARIES for name in code_modules(model))


def code_modules(model: nn.Module) -> set[str]:
    """Names of the Python modules that the network's classes, or the user's function, are written in."""
    found: list[object] = [type(module) for module in model.modules()]
    foreign = (module for module in model.modules() if isinstance(module, ForeignNetwork))
    found += [module.function for module in foreign if module.function is not None]
    return {str(getattr(one, "__module__", None) or type(one).__module__) for one in found}


def hash_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's content.

    Raises:
        DataError: If it is not a regular file, or cannot be read.
    """
    try:
        check_regular(path)
        if not path.is_file():
            raise DataError(f"--weights-file {path} is not a file", "Give the file that holds the network's weights.")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read --weights-file {path}: {reason}", "Check its name and permissions.") from error
