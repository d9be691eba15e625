"""Classifiers that another library than torch runs, as modules that an evaluation can call."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ppbench.errors import UsageError


class ForeignNetwork(nn.Module):
    """A classifier that torch does not run. It maps ``(N, C, H, W)`` to logits ``(N, classes)`` on the same device."""

    what: str
    """What it is, for messages: ``net.onnx, an ONNX network``."""
    takes_pixels: bool = False
    """Whether it takes the pixels as they are, uint8, and normalises them itself. Otherwise: float32, normalised."""
    weights_files: tuple[Path, ...] = ()
    """Files whose content decides its outputs; empty: its function is looked at (`ppbench.models.own_state`)."""
    function: object | None = None
    """The object of the user's that computes; None if a library does."""
    parameter_count: int = 0
    """Numbers in its weights; 0 if that is not known."""

    def runtime_on(self, device: torch.device) -> str:
        """Name what computes for images on a device: library, version, and the hardware that it chose."""
        raise NotImplementedError


def takes_pixels(model: nn.Module) -> bool:
    """Whether a network takes uint8 pixels as they are."""
    return isinstance(model, ForeignNetwork) and model.takes_pixels


def refuse_foreign(model: nn.Module, command: str, why: str, instead: str) -> None:
    """Refuse a network that torch does not run, for a command that needs torch's layers.

    Args:
        model: Any network.
        command: The command.
        why: What the command does with torch's layers, as a sentence's predicate: "reads the first convolution".
        instead: What to do.

    Raises:
        UsageError: If it is a `ForeignNetwork`.
    """
    if isinstance(model, ForeignNetwork):
        raise UsageError(f"`{command}` is not for {model.what}: it {why} of a torch network", instead)


def check_foreign(model: nn.Module, precision: str, *, compiled: bool, passes: int | None = None) -> None:
    """Raise `UsageError` for what only torch follows: another precision than fp32, ``--compile`` and ``--passes``."""
    if not isinstance(model, ForeignNetwork):
        return
    if precision != "fp32":
        raise UsageError(
            f"--precision {precision} is not for {model.what}: torch does not run it",
            "Leave it out: such a network computes in the types that it was made with.",
        )
    if compiled:
        raise UsageError(f"--compile is not for {model.what}: torch does not run it", "Leave it out.")
    if passes is not None:
        raise UsageError(
            f"--passes is not for {model.what}: torch does not run it, so its random numbers cannot be keyed",
            "Leave it out, or give a torch network.",
        )
