"""The first layer of a network. It is found by watching which module an image enters first."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

from ppbench.errors import DataError, in_one_line
from ppbench.models.blur import BlurConv2d
from ppbench.models.card import Card
from ppbench.models.convolution import PerAxis
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d


class Responses(NamedTuple):
    """The responses of a layer to images, each ``(N, filters, H', W')``."""

    push: Tensor
    """``relu(conv(x, W))``, never negative."""
    pull: Tensor | None
    """The rectified pull response, never negative; None for a plain convolution."""
    output: Tensor
    """The output without its bias: ``push - inhibition * pull``, or ``conv(x, W)`` of a plain convolution."""


class Norm(NamedTuple):
    """A batch norm in eval mode: ``scale * y + shift``, each ``(filters,)``."""

    name: str
    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class FirstLayer:
    """The convolution, plain or push-pull, that the image enters.

    Args:
        name: Name of the module in its network, such as ``conv1``.
        module: The convolution. A push-pull layer has ``responses``, ``pull_kernel`` and ``inhibition``.
        norm: The batch norm that takes its output, if there is one.
    """

    name: str
    module: nn.Module
    norm: Norm | None

    @property
    def is_push_pull(self) -> bool:
        """Whether there is a pull response."""
        return is_push_pull(self.module)

    @property
    def filters(self) -> int:
        """Number of output channels."""
        return len(self.push_kernels())

    def push_kernels(self) -> Tensor:
        """``(filters, channels, height, width)`` float32; the channels are those of the filter's group."""
        return cast(Tensor, self.module.weight).detach().float()

    def pull_kernels(self) -> Tensor | None:
        """Like `push_kernels`, possibly with another height and width; None for a plain convolution."""
        return cast(Any, self.module).pull_kernel().detach().float() if self.is_push_pull else None

    @property
    def inhibition(self) -> Tensor | None:
        """Effective strength of the pull response per filter, ``(filters,)``; None for a plain convolution."""
        if not self.is_push_pull:
            return None
        strength = torch.as_tensor(self.module.inhibition).detach().float().flatten()
        # The layer of 2020 rectifies a trained strength in its forward pass.
        if isinstance(self.module, PushPull2020Conv2d) and self.inhibition_is_trained:
            strength = F.relu(strength)
        return strength.expand(self.filters) if strength.numel() == 1 else strength

    @property
    def inhibition_is_trained(self) -> bool:
        """Whether the strength of inhibition is a parameter."""
        return isinstance(getattr(self.module, "inhibition", None), nn.Parameter)

    @property
    def mean_filter(self) -> int:
        """Side of the mean filter over the pull response, in output pixels; 0: none."""
        return int(getattr(self.module, "avg_kernel_size", 0)) if self.is_push_pull else 0

    @torch.no_grad()
    def responses(self, x: Tensor) -> Responses:
        """The responses to normalised images ``(N, channels, H, W)``."""
        if self.is_push_pull:
            push, pull = cast(Any, self.module).responses(x)
            return Responses(F.relu(push), pull, push - cast(Tensor, self.inhibition).view(-1, 1, 1) * pull)
        output = self.module(x)
        bias = self._bias()
        output = output if bias is None else output - bias
        return Responses(F.relu(output), None, output)

    def after_norm(self, output: Tensor) -> Tensor:
        """Return ``relu(norm(output + bias))``, the input of the next layer, for an output ``(…, filters, H, W)``."""
        bias = self._bias()
        output = output if bias is None else output + bias
        if self.norm is not None:
            output = self.norm.scale.view(-1, 1, 1) * output + self.norm.shift.view(-1, 1, 1)
        return F.relu(output)

    def without_padding(self) -> FirstLayer:
        """Return the layer without padding, so that a smaller image suffices for a unit that sees no border.

        A layer that pads in a way of its own is returned as it is. The parameters are shared.
        """
        if not self._pads_plainly:
            return self
        bare = copy.copy(self.module)
        bare.padding = (0, 0)  # type: ignore[assignment]
        return replace(self, module=bare)

    def place_and_side(self) -> tuple[PerAxis, PerAxis]:
        """Return the place of an output unit that sees no border, and the size of the smallest image that has one.

        Both are (down, across).
        """
        (top, height), (left, width) = (self._along(axis) for axis in (0, 1))
        return (top, left), (height, width)

    def _along(self, axis: int) -> PerAxis:
        """The unit's place and the image's side along one axis."""
        push, pull = self.push_kernels(), self.pull_kernels()
        dilation = _pair(getattr(self.module, "dilation", 1))[axis]
        extents = [dilation * (kernel.shape[2 + axis] - 1) + 1 for kernel in (push, pull) if kernel is not None]
        stride, extent = _pair(getattr(self.module, "stride", 1))[axis], max(extents)
        if isinstance(self.module, BlurConv2d):
            stride = self.module.blur_stride[axis]
            extent += self.module.blur_size + 2 * (stride - 2) - 1 if stride > 1 else 0
        reach = self.mean_filter // 2
        if self._pads_plainly:
            least = most = _pair(self.module.padding)[axis] + (extent - extents[0]) // 2
        else:
            # The padding is unknown, but no window lies outside the image altogether.
            least, most = 0, extent - 1
        place = reach + math.ceil(most / stride)
        return place, stride * (place + reach) - least + extent

    @property
    def _pads_plainly(self) -> bool:
        """Whether the layer pads with equally many zeros on both sides, as its attributes say."""
        padding = getattr(self.module, "padding", None)
        plain = type(self.module) in (nn.Conv2d, PushPullConv2d, PushPull2020Conv2d)
        zeros = getattr(self.module, "padding_mode", "zeros") == "zeros"
        return plain and zeros and isinstance(padding, tuple)

    def _bias(self) -> Tensor | None:
        """The bias that is added last. The 2020 layer adds its bias inside the rectifiers, so it has none here."""
        bias = None if isinstance(self.module, PushPull2020Conv2d) else getattr(self.module, "bias", None)
        return None if bias is None else cast(Tensor, bias).detach().view(-1, 1, 1)


def is_push_pull(module: nn.Module) -> bool:
    """Whether a module has push and pull responses, a pull kernel and a strength of inhibition."""
    return callable(getattr(module, "responses", None)) and callable(getattr(module, "pull_kernel", None))


def find_first_layer(name: str, model: nn.Module, card: Card) -> FirstLayer:
    """Find the convolution that an image enters, and the batch norm after it.

    The network is run on one image while its modules are watched, because modules may be registered in another order
    than they are called in.

    Args:
        name: Name of the network, for messages.
        model: The network, on the CPU. It is put into eval mode.
        card: The card of the network, which says what images it takes.

    Raises:
        DataError: If the network cannot take such images, or the image enters no convolution.
    """
    steps = _image(card)
    calls: list[tuple[str, nn.Module, Any, Any]] = []

    def watch(label: str) -> Any:
        return lambda module, inputs, output: calls.append((label, module, inputs[0] if inputs else None, output))

    names = {module: label for label, module in model.named_modules() if label}
    handles = [module.register_forward_hook(watch(label)) for module, label in names.items()]
    try:
        with torch.no_grad():
            model.eval()(steps)
    except Exception as error:  # a network from elsewhere can raise anything at all
        raise DataError(
            f"{name} does not take images of {card.in_channels} x {card.input_size} x {card.input_size} values: "
            f"{in_one_line(error)}",
            "Give the size it was made for: `--input-size N`.",
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return _first_of(name, calls, steps)


def _image(card: Card) -> Tensor:
    """A normalised image ``(1, C, size, size)`` that is recognised where a module gets it: all its values differ."""
    count = card.in_channels * card.input_size**2
    return torch.linspace(-1, 1, count).view(1, card.in_channels, card.input_size, card.input_size)


def _first_of(name: str, calls: list[tuple[str, nn.Module, Any, Any]], image: Tensor) -> FirstLayer:
    entered = [
        call
        for call in calls
        if (is_push_pull(call[1]) or isinstance(call[1], nn.Conv2d))
        and isinstance(call[2], Tensor)
        and call[2].shape == image.shape
        and torch.equal(call[2], image)
    ]
    if not entered:
        raise DataError(
            f"{name} has no convolution that the image enters first",
            "ppbench inspects networks that begin with a convolution, and leave the normalisation to their card.",
        )
    # A push-pull layer may hold a convolution, which then comes first in `calls`: hooks run when a module returns.
    label, module, _, output = next((call for call in entered if is_push_pull(call[1])), entered[0])
    # The very same tensor, since others may have equal values.
    norm = next((c for c in calls if isinstance(c[1], nn.BatchNorm2d) and c[2] is output), None)
    return FirstLayer(label, module, None if norm is None else _norm(norm[0], norm[1]))


def _norm(name: str, module: nn.Module) -> Norm | None:
    """The batch norm as a scale and a shift; None without running statistics: its scale then depends on the batch."""
    norm = cast(nn.BatchNorm2d, module)
    if norm.running_mean is None or norm.running_var is None:
        return None
    scale = torch.rsqrt(norm.running_var + norm.eps) * (1.0 if norm.weight is None else norm.weight.detach())
    shift = (0.0 if norm.bias is None else norm.bias.detach()) - norm.running_mean * scale
    return Norm(name, scale, shift)
