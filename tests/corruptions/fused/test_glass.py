"""glass_blur's copies as chains, run by Triton's interpreter, against copies one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.blur import shuffle


def drawn(n: int, passes: int, height: int, width: int) -> torch.Tensor:
    words = np.random.default_rng(0).integers(-(2**31), 2**31, (n, passes, height, width))
    return torch.from_numpy(words.astype(np.int32))


@pytest.mark.parametrize(
    ("size", "reach", "passes"),
    [((1, 9, 13, 3), 1, 1), ((1, 19, 17, 3), 2, 3), ((2, 10, 12, 1), 4, 2)],
)
def test_copies_are_those_of_the_kernel(size: tuple[int, int, int, int], reach: int, passes: int) -> None:
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8))
    words = drawn(size[0], passes, *size[1:3])
    expected = shuffle(images, words, reach)
    with fused.interpreted():
        assert torch.equal(shuffle(images, words, reach), expected)
        assert shuffle(images[:0], words[:0], reach).shape == (0, *size[1:])


def test_the_longest_chain_has_an_end() -> None:
    """Each pixel copies the next one in its row, and the last visited one the row below: all are one chain."""
    reach, side = 2, 14
    images = torch.arange(side * side, dtype=torch.uint8).view(1, side, side, 1)
    right, down = torch.ones(side, side, dtype=torch.int64), torch.zeros(side, side, dtype=torch.int64)
    right[:, side - reach], down[:, side - reach] = -reach, 1
    halves = [(values + reach) * 2**16 // (2 * reach) for values in (right, down)]
    words = ((halves[0] << 16) | halves[1]).to(torch.int32).view(1, 1, side, side)
    expected = shuffle(images, words, reach)
    assert len(expected[0, reach + 1 : side - reach + 1, reach + 1 : side - reach + 1].unique()) < 12
    with fused.interpreted():
        assert torch.equal(shuffle(images, words, reach), expected)


def test_glass_blur_is_the_same_with_it() -> None:
    image = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (1, 3, 16, 15), dtype=np.uint8))
    expected = corrupt(image, "glass_blur", 4, recipe="cifar-c", ids=["a"])
    with fused.interpreted():
        assert torch.equal(corrupt(image, "glass_blur", 4, recipe="cifar-c", ids=["a"]), expected)
