"""Networks that draw random numbers, computed several times on each image, each time with the image's own draws.

The draws of an image depend on (seed, pass, image id) and on which draw of the forward pass it is, so batches, order,
processes and resumption change nothing. All cells of an image have the same draws, as they have in its noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppbench.errors import DataError, PpbenchError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.keyed_draws import KeyedDraws, RandomCall, as_keys, calls_by_image
from ppbench.evaluation.profile import phase
from ppbench.evaluation.subject import Subject
from ppbench.evaluation.tally import Piece, useless_outputs
from ppbench.evaluation.trials import TrialCounts
from ppbench.keys import hash64
from ppbench.vocabulary import Cell

_ROUNDING = {"bf16": 0.05, "fp16": 0.02}
"""Difference, as a share of the largest logit, that roundings may make where an image has another place in the batch,
by precision; 0.001 in others."""

_ON_GPU = 0.1
"""Part of that which a GPU may give when it computes the same batch again. A CPU gives the same bits."""


class PassKeys:
    """The keys of the draws.

    Args:
        seed: Seed of the evaluation.
        ids: The images' ids, in the order of the source.
    """

    def __init__(self, seed: int, ids: Sequence[str]) -> None:
        self._seed, self._ids = seed, ids
        self._keys = np.zeros(len(ids), np.uint64)
        self._known = np.zeros(len(ids), np.bool_)
        self.shared = as_keys([hash64(f"{seed}/passes".encode())])
        """``(1, 2)`` int32: the key of draws that all images share."""

    def of(self, places: NDArray[np.int64]) -> Tensor:
        """Keys of the images at these places ``(n,)`` in the source: int32 ``(n, 2)``, on the CPU."""
        for place in places[~self._known[places]].tolist():
            text = f"{self._seed}/passes/{self._ids[place]}"
            self._keys[place] = hash64(text.encode(errors="surrogateescape"))
        self._known[places] = True
        return as_keys(self._keys[places])


def count_passes(cell: Cell, places: NDArray[np.int64], ranks: NDArray[np.int64]) -> Piece:
    """Count images that a network has seen in several passes.

    Args:
        cell: Cell of the images.
        places: ``(n,)``, in the source.
        ranks: ``(passes, n)``: the rank of the label in each pass.

    Raises:
        DataError: If the network gave a logit that is not a finite number.
    """
    if (useless := (ranks < 0).any(0)).any():
        raise useless_outputs(int(np.count_nonzero(useless)), "not finite", cell)
    trials = TrialCounts.of_passes((ranks == 0).T)
    return Piece(cell, places, trials.failures == 0, None, trials=trials)


class RepeatedInference(Inference):
    """A network in eval mode that is computed several times on each image.

    Args:
        subject: As for `Inference`, like ``device`` and ``more``.
        device: Device to compute on.
        passes: Passes over each image.
        keys: Keys of the draws.
        say: Called with a line for people if the network draws nothing.
        more: Precision, size and batch.
    """

    def __init__(
        self, subject: Subject, device: torch.device, passes: int, keys: PassKeys, say: Callable[[str], None],
        **more: Any,
    ) -> None:  # fmt: skip
        super().__init__(subject, device, **more)
        self._passes, self._keys, self._say = passes, keys, say
        self._rounding = _ROUNDING.get(self.precision, 1e-3)
        self._again = 0.0 if device.type == "cpu" else _ON_GPU * self._rounding
        self._calls: tuple[RandomCall, ...] | None = None
        self._shared = keys.shared.to(device)

    def score(self, images: Tensor, labels: Tensor | None, places: NDArray[np.int64] | None = None) -> Tensor:
        """Score a batch in all passes.

        Args:
            images: As for `Inference.score`, like ``labels``.
            labels: The labels.
            places: ``(n,)``: places of the images in the source.

        Returns:
            ``(passes, n)``: the rank of the label in each pass, as `score` has it in its first row.

        Raises:
            DataError: If the network draws what cannot be keyed by image, or as `Inference.score` does.
            PpbenchError: If not even one image fits into the device's memory.
        """
        assert places is not None
        keys = self._keys.of(places).to(self.device, non_blocking=True)
        if self._calls is None:
            self._calls = self._look_at_calls(images, keys)
        ranks: list[Tensor] = []
        # Without draws all passes are equal.
        for number in range(self._passes if self._calls else 1):
            with phase("network"):
                logits = self._in_pass(number, images, keys)
            with phase("score"):
                scores = self._scores(logits, labels)
            ranks.append(scores[0])
        return torch.stack(ranks).expand(self._passes, -1)

    def _in_pass(self, number: int, images: Tensor, keys: Tensor) -> Tensor:
        """Return the logits of the competing outputs in one pass, for any number of images."""
        parts, start = [], 0
        while start < len(images):
            # The network gets whole batches, whose last image may be there several times.
            rows = torch.arange(start, start + self.batch, device=keys.device).clamp_(max=len(images) - 1)
            draws = KeyedDraws(self.subject.name, keys[rows], self._shared, number, self._calls)
            with draws:
                part = self._attempt(images[start : start + self.batch])
            if part is None:
                self._halve()
            else:
                draws.check_complete()
                parts.append(part)
                start += len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _look_at_calls(self, images: Tensor, keys: Tensor) -> tuple[RandomCall, ...]:
        """Find the network's random operators, and check that nothing else decides its outputs.

        Raises:
            DataError: If the same pass has other outputs when it is computed again, or if an image has other images
                beside it.
        """
        name = self.subject.name
        self._calls = calls = self._calls_by_image(images)
        images, keys = images[: self.batch], keys[: self.batch]
        once = self._in_pass(0, images, keys)
        if not _are_alike(once, self._in_pass(0, images, keys), self._again):
            raise DataError(
                f"{name} gives other outputs when the same pass is computed again: it draws random numbers that "
                "--passes cannot key",
                "Let it draw by operators of torch, and neither by numpy's or Python's random numbers nor by code of "
                "its own; and let it keep no state from pass to pass.",
            )
        # Half of them, backwards: each image has another place and other neighbours.
        half = -(-len(images) // 2)
        turned = self._in_pass(0, images[:half].flip(0), keys[:half].flip(0)).flip(0)
        if not _are_alike(once[:half], turned, self._rounding):
            raise DataError(
                f"{name} gives other outputs for an image when other images are beside it",
                "With --passes the draws and the outputs of an image have to be its own. Draw with the images as first "
                "axis, (N, …), each image's rows together, and normalise over no batch.",
            )
        if not calls:
            self._say(f"{name} draws no random numbers: its {self._passes} passes are equal, and computed once")
        return calls

    @torch.inference_mode()
    def shares_draws(self) -> bool:
        """Whether all images of a pass share random numbers, such as noise on weights.

        Raises:
            DataError: As `score`, of what two and three images show.
            PpbenchError: If they do not fit into the device's memory.
        """
        card = self.subject.card
        shape = (1, card.in_channels, card.input_size, card.input_size)
        # Any image will do that is not flat, which some normalisations divide by.
        pixels = (torch.arange(math.prod(shape)) * 37 % 256).to(torch.uint8).view(shape)
        image = pixels.to(self.device).contiguous(memory_format=torch.channels_last)
        return any(not call.rows for call in self._calls_by_image(image))

    def _calls_by_image(self, images: Tensor) -> tuple[RandomCall, ...]:
        """Return the random operators of a pass, and which of them are by image."""
        return calls_by_image(self.subject.name, self._calls_for(2, images), self._calls_for(3, images))

    def _calls_for(self, count: int, images: Tensor) -> list[RandomCall]:
        """Return the random operators of a pass over so many images."""
        before, self.batch = self.batch, count
        draws = KeyedDraws(self.subject.name, self._shared.expand(count, -1), self._shared, 0)
        try:
            with draws:
                part = self._attempt(images[:1])
        finally:
            self.batch = before
        if part is None:
            raise PpbenchError(
                f"{self.device} has too little memory for {count} images through {self.subject.name}, as --passes "
                "needs",
                "Take another device (`--device cpu`), or a lower precision (`--precision bf16`).",
            )
        return draws.seen


def _are_alike(one: Tensor, other: Tensor, tolerance: float) -> bool:
    """Whether logits are equal up to a share of the largest."""
    one, other = one.float(), other.float()
    largest = one.abs().nan_to_num().amax().clamp(min=1e-30)
    alike = (one - other).abs() <= tolerance * largest
    # Logits that are not finite are an error of their own, which `count` reports.
    return bool((alike | ~one.isfinite()).all())
