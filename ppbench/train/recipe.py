"""What a training run is made of. Free of torch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TrainRecipe(BaseModel):
    """Settings of a training run; two runs with equal recipes, data and devices give equal weights."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str
    dataset: str
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=128, ge=1)
    lr: float = Field(default=0.2, gt=0)
    """Peak of the one-cycle schedule, reached after 30 % of the steps (the push-pull paper's CIFAR value)."""
    lr_start: float = Field(gt=0)
    """By default a fortieth of the peak."""
    lr_end: float = Field(gt=0)
    """By default a thousandth of the start."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=5e-4, ge=0)
    crop_padding: int = Field(default=2, ge=0)
    """Random crops are taken from images padded by this many pixels (datasets held in memory)."""
    inhibition: float = 1.0
    trainable_inhibition: bool = False
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _fill_schedule(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The proportions of the push-pull paper: 5e-3 to 0.2 to 5e-6."""
        peak = values.get("lr", cls.model_fields["lr"].default)
        start = values.get("lr_start", peak / 40)
        return {"lr_start": start, "lr_end": start / 1000, **values}
