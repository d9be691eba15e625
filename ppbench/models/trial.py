"""Try a network from elsewhere on blank images: does it run, and how many classes does it have?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ppbench.errors import DataError, PpbenchError, in_one_line
from ppbench.models.card import Card
from ppbench.models.foreign import takes_pixels


def count_classes(what: str, model: nn.Module, channels: int, size: int) -> int:
    """Return the number of logits of ``model``, in eval mode, for two black images ``(2, channels, size, size)``.

    Raises:
        DataError: If it fails on them, or returns anything but logits ``(2, classes)``.
    """
    dtype = torch.uint8 if takes_pixels(model) else torch.float32
    try:
        # Two images, because with one the axis of the images might be mistaken for another.
        with torch.inference_mode(), no_exit(what):
            logits = model.eval()(torch.zeros(2, channels, size, size, dtype=dtype))
    except PpbenchError:
        raise
    except Exception as error:  # a network from elsewhere can raise anything at all
        raise DataError(
            f"{what} does not take images of {channels} x {size} x {size} values: {in_one_line(error)}",
            "Give the size it was made for: `--input-size N`.",
        ) from error
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != 2:
        shape = f" {tuple(logits.shape)}" if isinstance(logits, Tensor) else ""
        raise DataError(
            f"{what} returns a {type(logits).__name__}{shape} for 2 images instead of logits (2, classes)",
            "Choose the output with the logits, or wrap it in a module whose `forward` returns them.",
        )
    return logits.shape[1]


def check_runs(what: str, model: nn.Module, card: Card) -> None:
    """Raise `DataError` if ``model`` fails on images as its card describes, or has another number of classes."""
    classes = count_classes(what, model, card.in_channels, card.input_size)
    if classes != card.num_classes:
        raise DataError(
            f"{what} has {classes} classes, but its card says {card.num_classes}", "Set the card's num_classes."
        )


@contextmanager
def no_exit(what: str) -> Iterator[None]:
    """Turn ``sys.exit()`` in a network into an error: otherwise the command would end silently, as if it were done.

    Raises:
        DataError: In place of `SystemExit`.
    """
    try:
        yield
    except SystemExit as error:
        raise DataError(
            f"{what} raised {in_one_line(error)} in its forward pass",
            "Take `sys.exit()` out of the network's code, or raise an error that says what is wrong.",
        ) from error
