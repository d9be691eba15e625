"""Load ONNX networks, float or quantised, and run them with ONNX Runtime, an optional extra."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from ppbench.errors import DataError, UsageError
from ppbench.extras import import_extra
from ppbench.models.card import METADATA_KEY, Card, first_fault
from ppbench.models.card_options import CardOptions
from ppbench.models.foreign import ForeignNetwork
from ppbench.models.loaded import Checkpoint
from ppbench.models.onnx_file import OnnxFile, describe_error, read_onnx_file
from ppbench.models.trial import check_runs, count_classes

_SMALLEST = float(np.finfo(np.float32).tiny)
"""Smallest probability whose logarithm is taken: a softmax may round to 0."""


def names_onnx(spec: str) -> bool:
    """Whether ``spec`` is ``FILE.onnx`` or ``FILE.onnx@OUTPUT``."""
    return Path(spec).suffix.lower() == ".onnx" or Path(_split(spec)[0]).suffix.lower() == ".onnx"


def load_onnx(reference: str, options: CardOptions) -> tuple[str, Checkpoint]:
    """Load ``FILE`` or ``FILE@OUTPUT``. Input size, channels, type and order of axes are those of the file.

    The card is that in the file's metadata, which ``ppbench export`` writes, or is made by the options. A network that
    takes uint8 normalises by itself: it gets the pixels as they are.

    Returns:
        A short name (the file's stem, and the output if it is named), and the network with its card.

    Raises:
        DataError: If the file is missing or damaged, onnxruntime cannot run it, or it does not map images to logits.
        UsageError: If onnx or onnxruntime is not installed, an output has to be named, or the options do not fit the
            file or do not make its card.
    """
    where, output = (reference, None) if Path(reference).is_file() else _split(reference)
    path = Path(where)
    if options.ema:
        raise UsageError(f"--ema cannot be used with {path}", "Leave it out: an ONNX file holds one set of weights.")
    import_extra("onnxruntime", "onnx", "an ONNX network")
    file = read_onnx_file(path, output)
    if file.dtype == "uint8" and (options.mean or options.std):
        raise UsageError(
            f"--mean and --std cannot be used with {path}, which takes uint8 pixels as they are", "Leave them out."
        )
    network = OnnxNetwork(file)
    card = _make_card(network, options)
    if options.architecture is not None:
        card = card.model_copy(update={"architecture": options.architecture})
    return path.stem + (f"@{output}" if output else ""), Checkpoint(network.eval(), card)


class OnnxNetwork(ForeignNetwork):
    """An ONNX network, run by ONNX Runtime on the device of its images if it can, otherwise on the CPU.

    A dynamically quantised network gets the images one by one, so that no image changes the outputs of another. A
    copy, also one in another process, opens the file again.

    Args:
        file: The description of the file.
    """

    def __init__(self, file: OnnxFile) -> None:
        super().__init__()
        self.file = file
        self.what = f"{file.path}, an ONNX network"
        self.takes_pixels = file.dtype == "uint8"
        self.weights_files = file.weights_files
        self.parameter_count = file.parameters
        self._opened: tuple[tuple[int, str], Any] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Args:
            x: ``(N, C, H, W)`` float32 as the card says, or uint8 if it takes pixels.

        Returns:
            ``(N, classes)`` float32 on the same device; of a network that gives probabilities, their logarithms.

        Raises:
            DataError: If onnxruntime fails.
            torch.OutOfMemoryError: If there is too little memory for so many images.
        """
        given = x.permute(0, 2, 3, 1) if self.file.layout == "NHWC" else x
        images = np.ascontiguousarray(given.cpu().numpy().astype(self.file.dtype, copy=False))
        session = self._session(x.device)
        step = 1 if self.file.mixes_images else self.file.batch or len(images)
        parts = [self._run(session, images[start : start + step]) for start in range(0, len(images), step)]
        logits = torch.from_numpy(np.concatenate(parts)).to(x.device)
        return logits.clamp(min=_SMALLEST).log() if self.file.gives_probabilities else logits

    def _run(self, session: Any, images: NDArray[Any]) -> NDArray[Any]:
        """Run some images; a network that takes more at once gets the last one several times."""
        lacking = (self.file.batch or len(images)) - len(images)
        given = np.concatenate((images, np.repeat(images[-1:], lacking, axis=0))) if lacking else images
        try:
            (found,) = session.run([self.file.output], {self.file.input: given})
        except Exception as error:  # each failure of onnxruntime has a class of its own
            reason = describe_error(error)
            if "allocate memory" in reason or "out of memory" in reason:
                raise torch.OutOfMemoryError(reason) from error
            raise DataError(
                f"{self.file.path} cannot be run on images {given.shape}: {reason}",
                "Give the size it was made for: `--input-size N`.",
            ) from error
        if not isinstance(found, np.ndarray) or found.shape[:1] != given.shape[:1] or found.dtype.kind not in "fiu":
            shape = f"{found.shape} {found.dtype}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
            raise DataError(
                f"the output {self.file.output} of {self.file.path} is {shape} for {len(given)} images",
                "It has to give logits (N, classes), numbers, for as many images as it takes.",
            )
        return found[: len(images)].astype(np.float32, copy=False)

    def runtime_on(self, device: torch.device) -> str:
        """Name onnxruntime, its version and the provider that computes."""
        import onnxruntime

        alone = ", one image at a time" if self.file.mixes_images else ""
        return f"onnxruntime {onnxruntime.__version__}, {self._session(device).get_providers()[0]}{alone}"

    def _session(self, device: torch.device) -> Any:
        # Threads do not survive a fork: a session belongs to the process that opened it.
        key = (os.getpid(), str(device))
        if self._opened is None or self._opened[0] != key:
            self._opened = None  # its memory is free before another session is opened
            self._opened = (key, open_session(str(self.file.path), device, str(self.file.path)))
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def open_session(model: str | bytes, device: torch.device, what: str) -> Any:
    """Open a network with onnxruntime, with as many threads as torch has.

    Args:
        model: Path or content of the file.
        device: Where to compute: on a GPU if onnxruntime can use it, otherwise on the CPU.
        what: What it is, for messages.

    Raises:
        DataError: If onnxruntime cannot run it.
    """
    onnxruntime = import_extra("onnxruntime", "onnx", "an ONNX network")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Waiting threads sleep: they would take the time of torch's threads, which make the images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # errors are raised as well
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # By default it rounds products to TF32, which has 10 bits of mantissa.
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": str(device.index or 0), "use_tf32": "0"}))
    try:
        # It prints when it falls back to a CPU.
        with contextlib.redirect_stdout(io.StringIO()):
            session = onnxruntime.InferenceSession(model, options, providers=providers)
        # Later it would change the provider between two images, unsaid.
        session.disable_fallback()
        return session
    except Exception as error:  # each failure has a class of its own
        raise DataError(
            f"onnxruntime {onnxruntime.__version__} cannot run {what}: {describe_error(error)}",
            "Export it with operators that this version has (an older opset), or install another onnxruntime.",
        ) from error


def _split(reference: str) -> tuple[str, str | None]:
    file, at, output = reference.rpartition("@")
    return (file, output) if at else (reference, None)


def _make_card(network: OnnxNetwork, options: CardOptions) -> Card:
    """Make the card from the metadata or the options, and from what the file and a trial say."""
    file, what = network.file, str(network.file.path)
    stored = _stored(file)
    if options.input_size is None and file.size is not None and stored is None:
        options = replace(options, input_size=file.size)
    if network.takes_pixels and (stored is None or options.preset is not None):
        # What enters the network are the values 0 to 255.
        mean, std = (stored.mean, stored.std) if stored else _as_they_are(file.channels or 3)
        options = replace(options, mean=mean, std=std)
    known = {"architecture": f"onnx:{file.path.name}", **({"in_channels": file.channels} if file.channels else {})}
    card = options.make(what, num_classes=1, **known) if stored is None else options.override(stored, what)
    if (file.size or card.input_size) != card.input_size or (file.channels or card.in_channels) != card.in_channels:
        raise UsageError(
            f"{what} takes images of {file.channels or card.in_channels} x {file.size} x {file.size} values, but its "
            f"card says {card.in_channels} x {card.input_size} x {card.input_size}",
            f"Give `--input-size {file.size}`, and one --mean and --std per channel.",
        )
    if stored is not None:
        check_runs(what, network, card)
        return card
    return card.model_copy(update={"num_classes": count_classes(what, network, card.in_channels, card.input_size)})


def _as_they_are(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return (0.0,) * channels, (1 / 255,) * channels


def _stored(file: OnnxFile) -> Card | None:
    """Return the card in the metadata, if there is one."""
    if METADATA_KEY not in file.metadata:
        return None
    try:
        return Card.model_validate_json(file.metadata[METADATA_KEY])
    except ValidationError as error:
        raise DataError(
            f"the card in {file.path} is not valid: {first_fault(error)}",
            "It may have been written by a newer version of ppbench.",
        ) from error
