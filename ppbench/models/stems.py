"""Apply push-pull and its rivals to a network, by the suffixes of model names."""

from __future__ import annotations

from torch import nn

from ppbench.errors import UsageError
from ppbench.lookup import check_name
from ppbench.models.blur import with_blur_after, with_blur_pool
from ppbench.models.push_pull_2020 import with_push_pull_2020
from ppbench.models.pushpull import with_push_pull
from ppbench.models.shapes import PUSH_PULL_STEMS, STEMS


def with_stem(
    model: nn.Module,
    stem: str,
    *,
    inhibition: float = 1.0,
    trainable_inhibition: bool = False,
    rectified_push: bool = True,
) -> nn.Module:
    """Change ``model``, in place, as the suffix ``stem`` of a model name says. Parameters stay the same.

    Args:
        model: Any network whose first convolution is a `torch.nn.Conv2d` with zero padding, or timm's ``Conv2dSame``.
        stem: ``pp0``, ``pp3``, ``pp5`` (`with_push_pull`), ``pp`` (the same as ``pp3``), ``pp2020``
            (`with_push_pull_2020`), ``blurpool`` (`with_blur_pool`) or ``blurafter`` (`with_blur_after`).
        inhibition: Strength of the pull response (push-pull stems only).
        trainable_inhibition: Whether the strength is trained, per output channel (push-pull stems only).
        rectified_push: See `PushPullConv2d` (``pp0``, ``pp3`` and ``pp5`` only).

    Returns:
        The same model.

    Raises:
        UsageError: If there is no such stem, it does not have a given setting, or the model cannot have it.
    """
    check_name("stem", stem, STEMS, "ppbench list models")
    check_settings(f"the stem {stem}", stem, inhibition, trainable_inhibition, rectified_push)
    if stem == "blurpool":
        return with_blur_pool(model)
    if stem == "blurafter":
        return with_blur_after(model)
    if stem == "pp2020":
        return with_push_pull_2020(model, inhibition=inhibition, trainable_inhibition=trainable_inhibition)
    return with_push_pull(
        model,
        PUSH_PULL_STEMS[stem],
        inhibition=inhibition,
        trainable_inhibition=trainable_inhibition,
        rectified_push=rectified_push,
    )


def check_settings(
    what: str, stem: str | None, inhibition: float, trainable_inhibition: bool, rectified_push: bool = True
) -> None:
    """Raise `UsageError` for a setting that ``stem`` (None: plain) does not have."""
    if stem not in (*PUSH_PULL_STEMS, "pp2020") and (inhibition != 1.0 or trainable_inhibition):
        raise UsageError(f"{what} has no inhibition to set", "Choose a push-pull network: …-pp3, …-pp5 or …-pp2020.")
    if stem not in PUSH_PULL_STEMS and not rectified_push:
        raise UsageError(f"{what} cannot have a push that is not rectified", "Choose …-pp3 or …-pp5.")
