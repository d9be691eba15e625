"""Allowed values of some settings of a recipe, in a module of their own: ``--help`` need not load the recipe."""

from __future__ import annotations

from typing import Literal

OptimizerName = Literal["sgd", "adamw"]

ScheduleName = Literal["one-cycle", "cosine", "constant"]

PrecisionName = Literal["fp32", "bf16", "fp16"]
