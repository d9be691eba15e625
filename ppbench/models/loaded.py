"""A loaded network, with the card that says how to use it."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from ppbench.models.card import Card


class Checkpoint(NamedTuple):
    """A network with its weights, in eval mode on the CPU, and the card that says how to use it."""

    model: nn.Module
    card: Card
