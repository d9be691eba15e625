"""Plain functions from images to logits as networks: JAX, TensorFlow, a web service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ppbench.errors import DataError, PpbenchError, in_one_line
from ppbench.models.foreign import ForeignNetwork
from ppbench.own_code import kind_of_thing


class CallableNetwork(ForeignNetwork):
    """A function that maps images to logits, as a module.

    The function gets a numpy array ``(N, C, H, W)``, float32, contiguous, normalised as the card says, on the CPU even
    if ppbench makes the images on a GPU. It returns logits ``(N, classes)`` as anything that numpy turns into an array
    of numbers: an array of numpy, JAX or TensorFlow, a list of lists, or a tensor. The array is the function's own for
    the time of the call, but it must not change it: a function that normalises in place would normalise twice.

    Args:
        function: The function, or any object that can be called.
        name: Its name, for messages.
    """

    def __init__(self, function: Callable[[NDArray[np.float32]], Any], name: str) -> None:
        super().__init__()
        self.name = name
        self.what = f"{name}, a function"
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` float32 on the device of ``x``, ``(N, C, H, W)`` float32.

        Raises:
            DataError: If the function fails, changes its input, or returns anything but numbers.
        """
        images = np.ascontiguousarray(x.cpu().numpy())
        given = images.copy()
        try:
            found = self.function(given)  # type: ignore[operator]
            is_plain = isinstance(found, Tensor) and not found.is_complex()
            logits = found.detach().float().cpu().numpy() if is_plain else np.asarray(found)
            if not _is_numeric(logits):
                raise DataError(
                    f"{self.name} returns {kind_of_thing(found)} for {len(images)} images, not numbers",
                    "It has to map a numpy array (N, C, H, W) to logits (N, classes).",
                )
            result = torch.from_numpy(np.array(logits, np.float32)).to(x.device)
        except (PpbenchError, torch.OutOfMemoryError):
            raise
        except MemoryError as error:  # fewer images at once may fit
            raise torch.OutOfMemoryError(in_one_line(error)) from error
        except Exception as error:  # the user's code may raise anything
            raise DataError(
                f"{self.name} raised {in_one_line(error)} for images {images.shape}",
                "It has to map a numpy array (N, C, H, W), float32, to logits (N, classes).",
            ) from error
        if not np.array_equal(given, images):
            raise DataError(
                f"{self.name} changes the images that it is given", "Let it work on a copy: `images = images.copy()`."
            )
        return result

    def runtime_on(self, device: torch.device) -> str:
        """Say that the user's code computes; where it does so is not known."""
        return "a function of the user's"


def as_network(made: Any, name: str) -> Any:
    """Return a function, or another object that can be called, as a network; a module, and anything else, as it is."""
    return CallableNetwork(made, name) if callable(made) and not isinstance(made, nn.Module | type) else made


def _is_numeric(values: NDArray[Any]) -> bool:
    # JAX's bfloat16 is of kind "V" and yet has values.
    return values.dtype.kind in "fiu" or values.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
