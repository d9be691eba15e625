"""How an evaluation ended that stopped when it knew enough. Free of torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from ppbench.run.fields import Record, Text

_OLDER_DECISIONS = {"within": "pass", "beyond": "worse than allowed"}
"""Decisions by their names in earlier run files."""

Decision = Annotated[
    Literal["pass", "worse than allowed"],
    BeforeValidator(lambda word: _OLDER_DECISIONS.get(word, word) if isinstance(word, str) else word),
]


class Stopping(Record):
    """How an evaluation ended that visits images in a random order until it knows enough."""

    metric: Text
    """The metric of the interval: its label without the number of images."""
    confidence: float = Field(gt=0, lt=1)
    """Confidence of the interval, however often it was looked at."""
    value: FiniteFloat
    """The metric over the images visited, in percent or points."""
    low: FiniteFloat
    high: FiniteFloat
    wanted: Text
    """The goal: ``half-width 0.5`` or ``decided against max drop 0.5``."""
    reached: bool
    """Whether the goal was reached before all images were visited."""
    baseline: str | None = None
    """SHA-256 of the weights that it was compared with."""
    max_drop: FiniteFloat | None = None
    """Points by which the model may err more than the baseline; None where it was not compared with one."""
    decision: Decision | None = None
    """What `ppbench check` calls a drop within ``max_drop`` and one beyond it; None where that was not decided."""

    @model_validator(mode="after")
    def _consistent(self) -> Stopping:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} <= high {self.high:g} does not hold")
        if self.decision is not None and self.max_drop is None:
            raise ValueError("a decision needs max_drop")
        return self
