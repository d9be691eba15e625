"""Find the first convolution of a network, and replace it by another layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ppbench.errors import UsageError
from ppbench.models.convolution import Padding


def find_first_convolution(model: nn.Module, what: str) -> tuple[str, nn.Conv2d, Padding]:
    """Return name, module and padding of the first convolution of ``model``, which ``what`` will replace.

    "First" is in the order of ``model.named_modules()``; in image classifiers this is the stem. timm's ``Conv2dSame``,
    which pads at run time, has the padding ``"same"``.

    Raises:
        UsageError: If there is no convolution inside the model, it is of another derived class, or it does not pad with
            zeros.
    """
    found = next(((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    if found is None or not found[0]:
        raise UsageError(
            "the model has no Conv2d to replace", f"{what} replaces the first convolution inside a network."
        )
    return *found, padding_of(*found, what)


def padding_of(name: str, conv: nn.Conv2d, what: str) -> Padding:
    """Return the padding of a convolution, after a check that it computes nothing but a convolution.

    Raises:
        UsageError: If its class may compute something else, or it does not pad with zeros.
    """
    if _is_timm_same(conv):
        return "same"
    if type(conv) is not nn.Conv2d:
        raise UsageError(
            f"convolution {name!r} is a {type(conv).__name__}, which may compute something else",
            f"{what} replaces a plain torch.nn.Conv2d, or timm's Conv2dSame.",
        )
    if conv.padding_mode != "zeros":
        raise UsageError(f"convolution {name!r} pads with {conv.padding_mode!r}", f"{what} supports only zero padding.")
    return conv.padding  # type: ignore[return-value]


def replace_first_convolution(
    model: nn.Module, kind: Callable[..., nn.Module], what: str, **settings: Any
) -> nn.Module:
    """Replace the first convolution by a layer of the same geometry, which takes over its weight and bias.

    The parameters stay the same objects, so an optimizer that holds them stays valid.

    Args:
        model: Changed in place.
        kind: Class of the layer; called with the arguments of `torch.nn.Conv2d` and ``settings``.
        what: The layer's name in messages.
        settings: Further arguments of ``kind``.

    Returns:
        The same model.

    Raises:
        UsageError: If the model has such a layer already, or for the reasons of `find_first_convolution`.
    """
    if any(type(module) is kind for module in model.modules()):
        raise UsageError("the model already has a push-pull convolution", "Start from the plain model.")
    name, conv, padding = find_first_convolution(model, what)
    geometry = (conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, padding, conv.dilation, conv.groups)
    own = {"device": conv.weight.device, "dtype": conv.weight.dtype}
    layer = kind(*geometry, conv.bias is not None, **settings, **own)
    layer.weight = conv.weight
    layer.bias = conv.bias  # type: ignore[assignment]
    replace_module(model, name, layer.train(conv.training))
    return model


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` in the place of the submodule ``name`` of ``model``."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, module)


def _is_timm_same(conv: nn.Conv2d) -> bool:
    """Whether it is timm's layer, by name: importing timm takes seconds, and it may not be installed."""
    kind = type(conv)
    return kind.__name__ == "Conv2dSame" and kind.__module__.partition(".")[0] == "timm"
