"""The record of which classes were in use, and which outputs of the model competed. Free of torch."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from ppbench.run.fields import Number, Record


class ClassSubset(Record):
    """Which classes were in use where these are not all of the dataset's, and which outputs of the model competed."""

    n: Number
    """Classes in use."""
    outputs: Number
    """Outputs of the model."""
    names_sha256: str
    """SHA-256 of the class names in order, joined by newlines."""
    logits: Literal["own", "masked", "all"]
    """"own": the model has just these outputs; "masked": only the outputs of these classes compete; "all": all do."""

    @model_validator(mode="after")
    def _consistent(self) -> ClassSubset:
        if self.n > self.outputs:
            raise ValueError(f"n {self.n} <= outputs {self.outputs} does not hold")
        if self.logits == "own" and self.n != self.outputs:
            raise ValueError(f"a model with outputs of its own for {self.n} classes does not have {self.outputs}")
        return self

    @property
    def competing(self) -> int:
        """Outputs that an image's prediction is chosen from."""
        return self.outputs if self.logits == "all" else self.n
