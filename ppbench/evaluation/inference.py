"""One model on its device: preprocessing, forward passes, and the scores that are kept of each image's logits."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.data.source import Geometry
from ppbench.devices import computing, in_channels_last, is_out_of_memory, random_states, why_not_compiled
from ppbench.errors import DataError, PpbenchError, in_one_line
from ppbench.evaluation.profile import phase
from ppbench.evaluation.subject import Subject
from ppbench.lookup import counted
from ppbench.models.float32_head import float32_classifier, in_float32
from ppbench.models.foreign import takes_pixels
from ppbench.models.normalise import mean_and_std
from ppbench.models.trial import no_exit
from ppbench.run import MICRO

SMALL_SIDE = 64
"""Side in pixels up to which images count as small."""

NOT_FINITE = -1
"""Rank that stands for an image with a logit that is not finite."""


class Inference:
    """A model in eval mode on its device.

    Args:
        subject: The model, its card and its head. The model itself is moved.
        device: Device to compute on.
        precision: One of `ppbench.devices.PRECISIONS`. In half precision the classifier computes in float32 if it is
            found (`ppbench.models.float32_head`).
        compiled: Whether the model goes through ``torch.compile``; on a GPU it is then replayed as a CUDA graph.
        resize: Side in pixels to which the images' shorter side is resized before they are cut to the card's input
            size; None: they go in as they are.
        batch: Images per forward pass; None: `forward_size`. Smaller batches are filled up, since libraries choose
            kernels, and with them roundings, by the number of images.
    """

    def __init__(
        self, subject: Subject, device: torch.device, *,
        precision: str = "fp32", compiled: bool = False, resize: int | None = None, batch: int | None = None,
    ) -> None:  # fmt: skip
        self.subject, self.device, self.precision, self.resize = subject, device, precision, resize
        model = in_channels_last(subject.model.eval().to(device))
        self._compiled = compiled
        self._has_graph = compiled and device.type == "cuda"
        self._model = _compile(model, graph=self._has_graph) if compiled else model
        self._classifier = float32_classifier(subject.model, subject.card.num_classes, precision)
        self._mean, self._std = mean_and_std(subject.card, device, white=255)
        head = subject.head
        self._columns = None if head.columns is None else torch.from_numpy(head.columns).to(device)
        self._masked = head.logits == "masked"
        numbers = head.class_numbers()
        self._numbers = None if numbers is None else torch.from_numpy(numbers).to(device)
        self._fill = torch.tensor(Geometry.of(subject.card).fill, dtype=torch.uint8, device=device)
        self.batch = batch or forward_size(device, subject.card.input_size)
        """Images per forward pass. It becomes smaller if they do not fit into the device's memory."""
        self.draws: bool | None = None
        """Whether the first batch drew from the random numbers of torch, numpy or Python; None before it."""

    def score(self, images: Tensor, labels: Tensor | None, places: NDArray[np.int64] | None = None) -> Tensor:
        """Score a batch.

        Args:
            images: ``(n, C, H, W)`` uint8 in channels_last, on the device.
            labels: ``(n,)`` int64 places in the source's classes, on the device; None: the predictions themselves.
            places: ``(n,)``: places of the images in the source, for networks whose draws are keyed by image.

        Returns:
            ``(4, n)``, see `score`; the last row numbers classes as `ClassHead.class_numbers` does.

        Raises:
            DataError: If the network has another number of outputs than its card, or its code calls ``sys.exit()``.
            PpbenchError: If not even one image fits into the device's memory.
        """
        logits = self.logits(images)
        with phase("score"):
            return self._scores(logits, labels)

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits ``(n, outputs)`` of the competing outputs; images and errors are those of `score`."""
        # Compilers may draw, too.
        before = random_states(self.device) if self.draws is None and not self._compiled else None
        with phase("network"):
            logits = self._all_logits(images)
        if before is not None:
            self.draws = random_states(self.device) != before
        return logits

    def _all_logits(self, images: Tensor) -> Tensor:
        parts = []
        while len(images):
            part = self._attempt(images[: self.batch])
            if part is None:
                self._halve()
            else:
                parts.append(part)
                images = images[len(part) :]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _scores(self, logits: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None:
            # In float32, as `score` compares them.
            targets = logits.float().argmax(1)
        else:
            # Labels are places among the classes. Logits that are not cut to these need places among all outputs.
            targets = labels if self._masked or self._columns is None else self._columns[labels]
        scores = score(logits, targets)
        if self._numbers is not None:
            scores[3] = self._numbers[scores[3]]
        return scores

    def observe(self, images: Tensor) -> None:
        """Put images ``(n, C, H, W)`` uint8 through the network in one pass, for the sake of what hooks see.

        Raises:
            PpbenchError: If they do not fit into the device's memory.
        """
        try:
            with _in_one_line(self.subject.name), computing(self.precision, self.device), no_exit(self.subject.name):
                self.subject.model(self.preprocess(images))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise PpbenchError(
                f"{self.device} has too little memory for {counted(len(images), 'image')} at once through "
                f"{self.subject.name}, as --adapt needs",
                "Take another device (`--device cpu`), or a lower precision (`--precision bf16`).",
            ) from error

    def _attempt(self, images: Tensor) -> Tensor | None:
        """Return the logits, or None if memory is too small. All memory is free again when this returns.

        It returns None instead of handling the error: an exception in flight would keep the tensors alive.
        """
        try:
            logits = self._logits(images)
            return logits[:, self._columns] if self._masked and self._columns is not None else logits
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _logits(self, images: Tensor) -> Tensor:
        """Return the ``(n, outputs)`` logits of at most `batch` images."""
        count = len(images)
        if count < self.batch:
            filling = images[-1:].expand(self.batch - count, -1, -1, -1)
            images = torch.cat((images, filling)).contiguous(memory_format=torch.channels_last)
        x = self.preprocess(images)
        name = self.subject.name
        if self._has_graph:
            torch.compiler.cudagraph_mark_step_begin()
        with (
            _in_one_line(name), computing(self.precision, self.device), _compiling(self._compiled), no_exit(name),
            in_float32(self._classifier),
        ):  # fmt: skip
            logits = cast(Tensor, self._model(x))
        if logits.shape != (self.batch, self.subject.card.num_classes):
            raise DataError(
                f"{self.subject.name} gave outputs of shape {tuple(logits.shape)} for {counted(self.batch, 'image')}; "
                f"its card says {self.subject.card.num_classes} classes",
                "It has to map (N, C, H, W) to logits (N, classes).",
            )
        # The next pass of a graph writes to the same memory.
        return logits[:count].clone() if self._has_graph else logits[:count]

    def preprocess(self, images: Tensor) -> Tensor:
        """Turn uint8 images of the source into the input of the network, in channels_last; most often float32."""
        card = self.subject.card
        if self.resize is not None:
            images = _cut(images, self.resize, Geometry.of(card), self._fill)
        if card.in_channels == 3 and images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if takes_pixels(self.subject.model):
            return images
        x = images.to(torch.float32, memory_format=torch.channels_last, copy=True)
        return x.sub_(self._mean).div_(self._std)

    def _halve(self) -> None:
        if self.batch == 1:
            raise PpbenchError(
                f"{self.device} has too little memory for one image through {self.subject.name}",
                "Take another device (`--device cpu`), or a lower precision (`--precision bf16`).",
            )
        self.batch //= 2
        free_memory(self.device)


def score(logits: Tensor, labels: Tensor) -> Tensor:
    """Score a batch without waiting for the device.

    Args:
        logits: ``(n, classes)``, any floating type.
        labels: ``(n,)`` int64, on the same device.

    Returns:
        ``(4, n)`` int64: the rank of the label (classes with a higher logit; equal ones rank in the order of the
        classes; -1 if a logit is not finite), its negative log probability and the highest probability, both in
        millionths, and the class of rank 0.
    """
    # Softmax over many classes needs more digits than half precision has.
    logits = logits.float()
    own = logits.gather(1, labels[:, None])
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (classes < labels[:, None]))
    finite = logits.isfinite().all(1)
    # Rows that are not finite count as flat here: a NaN has no integer to be rounded to. Their rank says what they are.
    log_probability = torch.log_softmax(logits.where(finite[:, None], torch.zeros_like(logits)), 1).double()
    nll = -log_probability.gather(1, labels[:, None])[:, 0]
    confidence = log_probability.amax(1).exp()
    # Not `where`, which brings a number to the GPU by a copy that this process waits for.
    rank = before.sum(1).masked_fill(~finite, NOT_FINITE)
    # Of equal logits, argmax returns the first, as the rank does. Log probabilities may be equal where logits are not.
    return torch.stack((rank, (nll * MICRO).round().long(), (confidence * MICRO).round().long(), logits.argmax(1)))


def forward_size(device: torch.device, side: int) -> int:
    """Number of images per forward pass.

    By measurement, CPUs are fastest with what stays in the cache, and GPUs with large batches.

    Args:
        device: Device that computes.
        side: Side of the images, in pixels.
    """
    if device.type == "cuda":
        return 1024 if side <= SMALL_SIDE else 256
    return 64 if side <= SMALL_SIDE else 16


def free_memory(device: torch.device) -> None:
    """Give memory that torch caches back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _compile(model: nn.Module, *, graph: bool) -> nn.Module:
    """Compile a network, and let a GPU replay it as a graph: one launch a pass instead of one for each kernel."""
    how = {"mode": "reduce-overhead", "dynamic": False} if graph else {}
    return cast(nn.Module, torch.compile(model, **how))  # type: ignore[call-overload]


@contextmanager
def _in_one_line(name: str) -> Iterator[None]:
    """Turn what a network raises into a `DataError`; a lack of memory passes."""
    try:
        yield
    except PpbenchError:
        raise
    except Exception as error:  # a network from elsewhere can raise anything
        if is_out_of_memory(error):
            raise
        raise DataError(
            f"{name} raised {in_one_line(error)} in its forward pass", "It has to take any number of images."
        ) from error


def _many_compiled() -> AbstractContextManager[None]:
    """Let torch compile many networks of one class; by itself it stops at 8 in a process, and runs others as they are.

    The run files would say that these are compiled too.
    """
    import torch._dynamo.config as config

    return cast(AbstractContextManager[None], config.patch(recompile_limit=256))


@contextmanager
def _compiling(compiled: bool) -> Iterator[None]:
    """Compile each network, and turn torch's error about that into one line; most often there is no C++ compiler."""
    try:
        with _many_compiled() if compiled else nullcontext():
            yield
    except Exception as error:
        reason = why_not_compiled(error) if compiled else None
        if reason is None:
            raise
        raise PpbenchError(
            f"torch.compile cannot compile the network here ({reason})",
            "Leave --compile out; or install what is missing (on Debian: `apt-get install g++`).",
        ) from error


def _cut(images: Tensor, resize: int, wanted: Geometry, fill: Tensor) -> Tensor:
    """Resize the shorter side, antialiased as Pillow does, and crop the centre, padded where it is larger; uint8.

    ``fill`` is the colour of the padding, RGB ``(3,)``, on the images' device.
    """
    size, (height, width) = wanted.size, images.shape[2:]
    # Most images are squares; blurred frames of Tiny-ImageNet-P are not.
    sides = [resize * side // min(height, width) for side in (height, width)]
    resized = F.interpolate(images.float(), sides, mode=wanted.interpolation, antialias=True, align_corners=False)
    # Bicubic interpolation overshoots at edges.
    cut = resized.round_().clamp_(0, 255).to(torch.uint8)
    top, left = (round(max(0, side - size) / 2) for side in sides)
    cut = cut[..., top : top + size, left : left + size]
    if resize >= size:
        return cut
    colour = fill[: cut.shape[1]].view(1, -1, 1, 1)
    padded = colour.expand(len(cut), -1, size, size).contiguous(memory_format=torch.channels_last)
    top, left = ((size - side) // 2 for side in cut.shape[2:])
    padded[..., top : top + cut.shape[2], left : left + cut.shape[3]] = cut
    return padded


_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
"""Names of glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed memory for the next layer instead of returning it to the system.

    By default it maps and unmaps every activation of more than 32 MB, and the system clears the pages each time. For
    ResNet-50 on a CPU, in batches of 16, that is a fifth of the time. Other systems' allocators are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 1 << 30)
        mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(_TOP_PAD, 64 << 20)
