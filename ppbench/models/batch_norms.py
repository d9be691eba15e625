"""The batch norms of a network: statistics estimated from what passes through them, mixed, and put in their place.

A network computes exactly the same with other statistics as with its own: only the buffers ``running_mean`` and
``running_var`` change, and they come back at the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ppbench.errors import UsageError
from ppbench.run import Adaptation

_SLICE = 16
"""Images whose inputs are converted to float64 at once; it bounds the memory needed."""


class Statistics(NamedTuple):
    """Statistics of one batch norm."""

    mean: Tensor
    """``(channels,)`` float64."""
    variance: Tensor
    """``(channels,)`` float64, without Bessel's correction, as batches are normalised in training."""

    def mixed(self, source: Statistics | None, images: int, source_images: int) -> Statistics:
        """Mix with the network's own statistics, weighted by numbers of images (Schneider et al., equation 2)."""
        if source is None or not source_images:
            return self
        own, here = source_images / (source_images + images), images / (source_images + images)
        return Statistics(own * source.mean + here * self.mean, own * source.variance + here * self.variance)


class Moments:
    """Sums over all values of each channel that passed through a batch norm."""

    def __init__(self) -> None:
        self.count, self._total, self._squares = 0, torch.zeros(1), torch.zeros(1)

    def add(self, x: Tensor) -> None:
        """Add ``(n, channels, …)`` of any floating type. Sums are float64, over 16 images after another."""
        around = [axis for axis in range(x.dim()) if axis != 1]
        if not self.count:
            self._total = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
            self._squares = torch.zeros_like(self._total)
        # In slices, because a copy of the whole batch in float64 is four times the size of one in bf16.
        for start in range(0, len(x), _SLICE):
            part = x[start : start + _SLICE].double()
            self._total = self._total + part.sum(around)
            self._squares = self._squares + part.square_().sum(around)
        self.count += x.numel() // x.shape[1]

    def include(self, other: Moments) -> None:
        """Add the sums of other values."""
        if other.count:
            self._total = other._total if not self.count else self._total + other._total
            self._squares = other._squares if not self.count else self._squares + other._squares
            self.count += other.count

    def statistics(self) -> Statistics:
        """Mean and variance of all values so far, at least one."""
        mean = self._total / self.count
        # Where all values are equal, rounding may leave a difference just below 0.
        return Statistics(mean, (self._squares / self.count - mean.square()).clamp(min=0))


class BatchNorms:
    """The batch norms of one network.

    Args:
        model: In eval mode, on its device.
        adaptation: How its statistics are mixed with those of a cell.
        images: Number of the cell's images.
    """

    def __init__(self, model: nn.Module, adaptation: Adaptation, images: int) -> None:
        self._norms = list(_batch_norms(model))
        self._images, self._source_images = images, adaptation.source_images
        self._device = next(itertools.chain(model.parameters(), model.buffers()), torch.zeros(1)).device
        self._source = [_own(norm) for norm in self._norms]

    @contextmanager
    def replaceable(self) -> Iterator[None]:
        """Let statistics be replaced inside the context; at the end the network has its own again."""
        before = [_buffers(norm) for norm in self._norms]
        try:
            # Tensors of their own, which change in place: a compiled network then sees the change.
            for norm, (mean, variance) in zip(self._norms, before, strict=True):
                if mean is None or variance is None:
                    empty = torch.zeros(cast(int, norm.num_features), device=self._device)
                    norm.running_mean, norm.running_var = empty, empty.clone()
                else:
                    norm.running_mean, norm.running_var = mean.clone(), variance.clone()
            yield
        finally:
            for norm, (mean, variance) in zip(self._norms, before, strict=True):
                norm._buffers["running_mean"], norm._buffers["running_var"] = mean, variance

    @contextmanager
    def observing(self, moments: Sequence[Moments]) -> Iterator[None]:
        """Normalise each batch inside the context by its own statistics, mixed as wanted, and add its sums.

        Args:
            moments: One per batch norm.
        """
        hooks = [
            norm.register_forward_pre_hook(self._observer(place, moments[place]), with_kwargs=True)
            for place, norm in enumerate(self._norms)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _observer(self, place: int, of_cell: Moments) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def observe(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            here = Moments()
            here.add(next(itertools.chain(inputs, named.values())))
            of_cell.include(here)
            self._put(place, here.statistics())

        return observe

    def use(self, statistics: Sequence[Statistics | None]) -> None:
        """Normalise by these statistics, one of each batch norm, mixed as wanted.

        None: nothing passed through it when the statistics were estimated. It then has the network's own, or, without,
        those of a standard normal, and never those of another cell.
        """
        for place, found in enumerate(statistics):
            if found is not None:
                self._put(place, found)
                continue
            norm, own = self._norms[place], self._source[place]
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            mean.copy_(torch.zeros_like(mean) if own is None else own.mean)
            variance.copy_(torch.ones_like(variance) if own is None else own.variance)

    def new_moments(self) -> list[Moments]:
        """Empty sums, one for each batch norm."""
        return [Moments() for _ in self._norms]

    def _put(self, place: int, found: Statistics) -> None:
        norm = self._norms[place]
        mean, variance = found.mixed(self._source[place], self._images, self._source_images)
        cast(Tensor, norm.running_mean).copy_(mean)
        cast(Tensor, norm.running_var).copy_(variance)


def check_adaptable(name: str, model: nn.Module, adaptation: Adaptation, images: int) -> None:
    """Check that a network has batch norms, and statistics to mix where they are mixed.

    Args:
        name: Name of the network, for messages.
        model: The network.
        adaptation: What is wanted.
        images: Images of a cell.

    Raises:
        UsageError: If it cannot be adapted.
    """
    norms = list(_batch_norms(model))
    if not norms:
        raise UsageError(
            f"{name} has no batch norm whose statistics --adapt {adaptation} could estimate",
            "Evaluate it without --adapt, or on its own.",
        )
    if adaptation.source_images and any(_own(norm) is None for norm in norms):
        raise UsageError(
            f"{name} has batch norms without statistics of their own, which --adapt {adaptation} would mix in",
            "Use the cell's alone: `--adapt batchnorm`.",
        )
    if images < 2:
        raise UsageError(f"--adapt {adaptation} needs at least 2 images, and there is {images}", "Evaluate more.")


def _batch_norms(model: nn.Module) -> Iterator[nn.Module]:
    """Batch norms in the order of the modules: torch's own, their subclasses, and frozen ones of other libraries."""
    for module in model.modules():
        is_frozen = "BatchNorm" in type(module).__name__ and "running_mean" in module._buffers
        if isinstance(module, _BatchNorm) or is_frozen:
            yield module


def _buffers(norm: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    return cast(Tensor | None, norm.running_mean), cast(Tensor | None, norm.running_var)


def _own(norm: nn.Module) -> Statistics | None:
    """The network's own statistics; None if a batch norm has none and always uses those of its batch."""
    mean, variance = _buffers(norm)
    return None if mean is None or variance is None else Statistics(mean.double(), variance.double())
