"""Inspect a network: what its first layer is and does, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ppbench.errors import UsageError
from ppbench.inspection.images import ImageResponses, look_at
from ppbench.inspection.layer import FirstLayer, find_first_layer
from ppbench.inspection.selectivity import DRAWS, INDICES, Selectivity, measure_selectivity
from ppbench.inspection.statistics import Mean, mean_over_filters, welch_difference
from ppbench.models.card import Card

SHOWN = 6
"""How many filters have their responses drawn by default."""


@dataclass(frozen=True)
class Inspection:
    """What was found out about one network's first layer."""

    name: str
    card: Card
    layer: FirstLayer
    filters: tuple[int, ...]
    """The filters whose responses are drawn."""
    selectivity: dict[str, Selectivity]
    """By the point at which responses are taken."""
    images: tuple[ImageResponses, ...]
    seed: int

    def kernels(self) -> dict[str, Tensor]:
        """Push kernels and, of a push-pull layer, pull kernels: ``(filters, channels, height, width)``."""
        pull = self.layer.pull_kernels()
        return {"push": self.layer.push_kernels(), **({} if pull is None else {"pull": pull})}


@dataclass(frozen=True)
class IndexDifference:
    """The mean of an index at one point of a network, minus that at a point of the same or of another network."""

    index: str
    point: str
    minus_model: str
    minus_point: str
    paired: bool
    """Whether both sides are the same filters."""
    mean: Mean


def inspect_model(
    name: str,
    model: nn.Module,
    card: Card,
    images: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    *,
    corruption: str = "gaussian_noise",
    severity: int = 3,
    filters: Sequence[int] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Inspection:
    """Inspect the first layer of a network.

    Args:
        name: Name of the network, for people.
        model: The network, on the CPU. It is put into eval mode.
        card: The card of the network.
        images: Name and pixels ``(H, W, C)`` uint8 of the images to show it.
        corruption: Corruption of those images: one of the 19 names, or one of your own as "pkg.mod:function".
        severity: 1 to 5.
        filters: Filters whose responses to the images are drawn; None: the `SHOWN` filters whose weights vary most.
        draws: Number of draws of the noise that selectivity is measured against, at least 16.
        seed: Seed of the corruption and of the noise.

    Raises:
        DataError: If the network does not begin with a convolution, or does not take the card's images.
        UsageError: If there is no such filter, corruption or severity, or if there are too few draws.
    """
    if draws < 16:
        raise UsageError(f"--draws {draws} is not allowed", "It is at least 16.")
    layer = find_first_layer(name, model, card)
    shown = _shown(layer, filters)
    responses = tuple(
        look_at(layer, card, image, pixels, corruption=corruption, severity=severity, seed=seed)
        for image, pixels in images
    )
    selectivity = measure_selectivity(layer, card, seed=seed, draws=draws)
    return Inspection(name, card, layer, shown, selectivity, responses, seed)


def differences(inspection: Inspection, against: Inspection | None = None) -> list[IndexDifference]:
    """Compare the indices with and without inhibition, then with those of another network.

    With and without inhibition the filters are the same, so their differences are paired. The filters of two networks
    are different ones, even if both trainings had the same start.
    """
    found, ours = [], inspection.selectivity
    if "push" in ours:
        for index in INDICES:
            change = mean_over_filters(ours["layer"].index(index) - ours["push"].index(index))
            found.append(IndexDifference(index, "layer", inspection.name, "push", True, change))
    if against is not None:
        for point in (point for point in ("layer", "norm") if point in ours and point in against.selectivity):
            for index in INDICES:
                theirs = against.selectivity[point].index(index)
                change = welch_difference(ours[point].index(index), theirs)
                found.append(IndexDifference(index, point, against.name, point, False, change))
    return found


def _shown(layer: FirstLayer, filters: Sequence[int] | None) -> tuple[int, ...]:
    if filters is None:
        spread = layer.push_kernels().flatten(1).std(1, correction=0)
        return tuple(sorted(torch.topk(spread, min(SHOWN, len(spread))).indices.tolist()))
    for number in filters:
        if not 0 <= number < layer.filters:
            raise UsageError(
                f"--filters {number} is not allowed",
                f"The layer has {layer.filters} filters, numbered from 0 to {layer.filters - 1}.",
            )
    return tuple(filters)
