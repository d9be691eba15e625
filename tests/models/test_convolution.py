"""What layers share that stand in for a convolution."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from ppbench.models.convolution import pad_same
from ppbench.models.push_pull_2020 import PushPull2020Conv2d
from ppbench.models.pushpull import PushPullConv2d


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_is_timms(kernel: int, stride: int, dilation: int) -> None:
    for size in (7, 8, 9):
        x = torch.randn(1, 1, size, size + 1)
        ours = pad_same(x, (kernel, 2), (stride, 1), (dilation, 1))
        assert torch.equal(ours, timm.layers.pad_same(x, (kernel, 2), (stride, 1), (dilation, 1)))


@pytest.mark.parametrize("kind", [PushPullConv2d, PushPull2020Conv2d])
def test_parameters_are_drawn_as_those_of_a_convolution(kind: type[nn.Module]) -> None:
    torch.manual_seed(3)
    plain = nn.Conv2d(4, 6, 3, 2, 1, groups=2)
    torch.manual_seed(3)
    layer = kind(4, 6, 3, 2, 1, groups=2)
    assert torch.equal(layer.weight, plain.weight)
    assert torch.equal(layer.bias, plain.bias)
    assert repr(layer).startswith(f"{kind.__name__}(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)")
