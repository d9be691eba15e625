"""Export torch networks as ONNX files, with their card, checked against torch before they are kept."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ppbench.errors import DataError, UsageError, in_one_line
from ppbench.extras import import_extra
from ppbench.files import atomic_write, check_writable
from ppbench.lookup import counted
from ppbench.models.card import METADATA_KEY, Card
from ppbench.models.card_options import CardOptions
from ppbench.models.download import OnDownload
from ppbench.models.foreign import refuse_foreign
from ppbench.models.from_onnx import open_session
from ppbench.models.load import LoadedModel, resolve_model
from ppbench.models.normalise import mean_and_std
from ppbench.models.trial import no_exit

_LARGEST = 2_000_000_000
"""Bytes of weights. The format of ONNX files, protobuf, ends at 2 GiB."""

_CHECKED = 16
"""Images on which the file has to agree with torch."""

_TOLERANCE = 1e-3
"""Largest difference of two logits, as a share of the largest one. Another order of sums gives about 1e-6."""


@dataclass(frozen=True)
class ExportRequest:
    """A network to export, and how."""

    model: str
    """As `ppbench.models.load.resolve_model` takes it."""
    output: Path | None = None
    """File to write; None: ``NAME.onnx``."""
    card_options: CardOptions | None = None
    opset: int | None = None
    """Version of ONNX's operators; None: torch's default."""
    pixels: bool = False
    """Whether the network takes uint8 pixels ``(N, H, W, C)`` and normalises them itself."""
    batch_size: int | None = None
    """Number of images that it takes at once; None: any."""
    overwrite: bool = False

    def check(self) -> None:
        """Raise `UsageError` for values that are never allowed."""
        for name, value, least in (("--opset", self.opset, 18), ("--batch-size", self.batch_size, 1)):
            if value is not None and value < least:
                raise UsageError(f"{name} {value} is not allowed", f"It is at least {least}.")


@dataclass(frozen=True)
class ExportReport:
    """The file that was written."""

    path: Path
    card: Card
    opset: int
    """Version of ONNX's operators."""
    difference: float
    """Largest difference from torch's logits, on the images of the check."""

    def text(self) -> str:
        """One line: ``net.onnx: resnet8-pp3, opset 20, equals torch within 2e-06``."""
        return f"{self.path}: {self.card.architecture}, opset {self.opset}, equals torch within {self.difference:.1g}"


class _OnPixels(nn.Module):
    """A network behind its normalisation: it takes uint8 ``(N, H, W, C)``."""

    def __init__(self, model: nn.Module, card: Card) -> None:
        super().__init__()
        self.model = model
        mean, std = mean_and_std(card, white=255)
        self.mean, self.std = nn.Buffer(mean), nn.Buffer(std)

    def forward(self, pixels: Tensor) -> Tensor:
        # The same operations in the same order as in an evaluation, so that no value differs.
        images = pixels.permute(0, 3, 1, 2).float()
        return cast(Tensor, self.model((images - self.mean) / self.std))


def export_network(request: ExportRequest, on_download: OnDownload | None = None) -> ExportReport:
    """Export a torch network as one ONNX file with its card, and keep it only if it gives what torch gives.

    Raises:
        UsageError: If a value is not allowed, the file exists, onnx, onnxruntime or onnxscript is not installed, or
            the network is not a torch network.
        DataError: If the network cannot be loaded or exported, the file does not agree with torch, or cannot be
            written.
    """
    request.check()
    for module in ("onnx", "onnxruntime", "onnxscript"):
        import_extra(module, "onnx", "`ppbench export`")
    subject = resolve_model(request.model, request.card_options, on_download)
    refuse_foreign(
        subject.model, "ppbench export", "writes the layers", "Give the torch network that it was made from."
    )
    path = request.output or Path(f"{''.join(c if c.isalnum() or c in '-_.@+' else '-' for c in subject.name)}.onnx")
    check_writable(path)
    if path.exists() and not request.overwrite:
        raise UsageError(f"{path} exists", "Give another `--output`, or `--overwrite`.")
    pixels = _images(subject.card, request.batch_size or _CHECKED)
    # Before the export: a network that fails says why in its own words.
    wanted = _logits(subject, pixels)
    content, opset = _exported(subject, request)
    difference = _check_agrees(content, subject, request, pixels, wanted)
    atomic_write(path, content)
    return ExportReport(path, subject.card, opset, difference)


def _exported(subject: LoadedModel, request: ExportRequest) -> tuple[bytes, int]:
    """Return the content of the file, and the version of its operators."""
    model, card = subject.model.eval(), subject.card
    if (size := sum(t.numel() * t.element_size() for t in model.state_dict().values())) > _LARGEST:
        raise DataError(
            f"{subject.name} has {size / 1e9:.1f} GB of weights; one ONNX file holds 2 GB",
            "Export it with `torch.onnx.export(…, external_data=True)`; `ppbench eval --model FILE.onnx` reads that.",
        )
    network = _OnPixels(model, card).eval() if request.pixels else model
    # Two images: torch takes a batch of one for a constant.
    example = _images(card, request.batch_size or 2)
    example = example if request.pixels else _normalised(example, card)
    free: Any = None if request.batch_size else ({0: torch.export.Dim("N")},)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                network, (example,), dynamo=True, input_names=["images"], output_names=["logits"],
                dynamic_shapes=free, opset_version=request.opset, external_data=False, optimize=True, verbose=False,
            )  # fmt: skip
    except Exception as error:  # torch.export and onnxscript raise many classes
        cause = error.__cause__ or error
        raise DataError(
            f"torch cannot export {subject.name}: {in_one_line(cause)}",
            "Its layers may need a newer torch or another `--opset`, or the number of images fixed: `--batch-size 1`.",
        ) from error
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, card.model_dump_json(exclude_none=True)
    return proto.SerializeToString(), max(one.version for one in proto.opset_import if not one.domain)


def _check_agrees(
    content: bytes, subject: LoadedModel, request: ExportRequest, pixels: Tensor, wanted: Tensor
) -> float:
    """Return the largest difference from torch's logits; raise `DataError` if it is not from rounding alone."""
    session = open_session(content, torch.device("cpu"), f"the file of {subject.name}")
    given = pixels if request.pixels else _normalised(pixels, subject.card)
    found = torch.from_numpy(session.run(None, {"images": given.numpy()})[0])
    difference = float((found - wanted).abs().max()) if found.shape == wanted.shape else float("nan")
    # Not `>`: a difference that is not a number does not agree either.
    if not difference <= _TOLERANCE * max(1.0, float(wanted.abs().max())):
        raise DataError(
            f"the ONNX file of {subject.name} does not give torch's logits for {counted(len(pixels), 'image')}: they "
            f"differ by up to {difference:.3g}",
            "It is not kept. Another `--opset` may help; `ppbench eval` measures the torch network itself.",
        )
    return difference


def _logits(subject: LoadedModel, pixels: Tensor) -> Tensor:
    with torch.inference_mode(), no_exit(subject.name):
        return cast(Tensor, subject.model.eval()(_normalised(pixels, subject.card)))


def _images(card: Card, count: int) -> Tensor:
    """Return images of random values, always the same: uint8 ``(count, H, W, C)``."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, card.input_size, card.input_size, card.in_channels)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def _normalised(pixels: Tensor, card: Card) -> Tensor:
    """Return pixels ``(n, H, W, C)`` as the card's network takes them: float32 ``(n, C, H, W)``."""
    mean, std = mean_and_std(card, white=255)
    return ((pixels.permute(0, 3, 1, 2).float() - mean) / std).contiguous()


@contextlib.contextmanager
def _quiet() -> Any:
    """Silence what torch's exporter prints and logs: its steps, and warnings about itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
