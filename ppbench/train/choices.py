"""What some settings of a recipe may be; apart from the recipe, so that ``--help`` need not load it."""

from __future__ import annotations

from typing import Literal

OptimizerName = Literal["sgd", "adamw"]

ScheduleName = Literal["one-cycle", "cosine", "constant"]

PrecisionName = Literal["fp32", "bf16", "fp16"]
