"""The 19 corruptions by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ppbench.corruptions import blur, colour, digital, jpeg, noise, spatter, weather
from ppbench.corruptions.random import Draws
from ppbench.corruptions.recipes import Recipe
from ppbench.registry import Registry
from ppbench.vocabulary import C19, FAMILY_OF, KNOWN

Operation = Callable[[Tensor, Any, Recipe, Draws], Tensor]
"""Images ``(n, H, W, C)`` uint8, constants, recipe, draws -> images of the same shape and type."""


@dataclass(frozen=True)
class Corruption:
    """One of the 19."""

    name: str
    family: str
    citation: str
    operation: Operation


CORRUPTIONS: Registry[Corruption] = Registry("corruption", "ppbench list corruptions", len(KNOWN))

_CITATION = "Hendrycks & Dietterich, ICLR 2019"

for _name in C19:
    for _module in (blur, colour, digital, jpeg, noise, spatter, weather):
        if hasattr(_module, _name):
            CORRUPTIONS.register(_name, Corruption(_name, FAMILY_OF[_name], _CITATION, getattr(_module, _name)))
