"""Recognise files and folders that hold a network but no state dict, and say how to measure them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from ppbench.errors import DataError
from ppbench.files import read_whole
from ppbench.models.limits import has_long_directory

_SMALL = 1 << 20
"""Largest ``config.json`` that is read, in bytes."""

_HEADS = {b"\x89HDF\r\n\x1a\n": (0, "an HDF5 file, such as Keras writes"), b"TFL3": (4, "a network of TensorFlow Lite")}
"""Magic bytes of files: their offset, and the kind of file."""


def error_of_kind(path: Path) -> DataError | None:
    """Return an error that says what ``path`` is and how to measure it, or None if its kind is not known.

    Nothing in it is run. Only its first bytes, its list of files or its ``config.json`` is read.
    """
    if path.is_dir():
        return _of_folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return None
    if head.startswith(b"PK"):
        return _of_archive(path)
    # A ModelProto begins with field 1 (the version, a number) and field 2 (who wrote it) or field 7 (the graph).
    if path.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and head[2:3] in (b"\x12", b"\x3a")):
        return DataError(
            f"{path} is an ONNX network, not a state dict", f"`ppbench eval --model onnx:{path}` measures it."
        )
    found = next((what for magic, (at, what) in _HEADS.items() if head[at : at + len(magic)] == magic), None)
    return None if found is None else _error(path, found, "a module that runs it and returns its logits")


def _of_archive(path: Path) -> DataError | None:
    try:
        with path.open("rb") as file:
            if has_long_directory(file):
                return None
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return _error(path, "a TorchScript network", f"`torch.jit.load({path.name!r})`")
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return _error(path, "a network of torch.export", f"`torch.export.load({path.name!r}).module()`")
    return None


def _of_folder(path: Path) -> DataError:
    config = path / "config.json"
    try:
        found = json.loads(read_whole(config, _SMALL))
    except (OSError, ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and ("model_type" in found or "architectures" in found):
        return DataError(f"{path} is a folder of transformers, not a file of weights", f"Give `--model hf:{path}`.")
    if (path / "open_clip_config.json").is_file():
        return DataError(f"{path} is a folder of open_clip, not a file of weights", f"Give `--model clip:{path}`.")
    return DataError(f"{path} is a folder, but a model is a file", "Give the file of weights in it.")


def _error(path: Path, what: str, returns: str) -> DataError:
    return DataError(
        f"{path} is {what}, not a state dict",
        f"Write a function in mine.py that returns {returns}, and give `--model mine:function --preset imagenet "
        f"--weights-file {path}` (docs/evaluation.md has examples).",
    )
