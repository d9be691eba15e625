"""glass_blur's copies on a GPU, all passes in one kernel.

The definition visits pixels one after the other, and a pixel may copy one that was visited before. But which one it
copies is known from the words alone. So each pixel follows its own chain: to its source, from there to the source's
source if that was visited sooner, and on until a pixel that is copied as it was. That takes no order, no step for all
pixels at once, and hardly any reading: a chain goes on with a probability below 1/2 (0.31 for shifts of up to 2 pixels,
0.42 for 4), and 20 steps are rare. A chain of later passes goes on in the pass before.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ppbench.corruptions.fused.pixels import greatest_of, pixels_of, start_on_pixels


@triton.jit
def _is_visited(y, x, height, width, reach):
    return (y > reach) & (y <= height - reach) & (x > reach) & (x <= width - reach)


@triton.jit(do_not_specialize=["reach", "passes"])
def _shuffle(
    images, words, out, reach, passes, height, width, programs, channels: tl.constexpr, block: tl.constexpr
):  # fmt: skip
    image, place, y, x = pixels_of(programs, width, block)
    size = height * width
    inside = place < size
    for step in range(passes):
        shifts = words + (image * passes + (passes - 1 - step)) * size
        walks = inside & _is_visited(y, x, height, width, reach)
        while greatest_of(walks.to(tl.int32)) > 0:
            bits = tl.load(shifts + y * width + x, mask=walks, other=0).to(tl.uint32, bitcast=True)
            right = ((bits >> 16) * (2 * reach) >> 16).to(tl.int32) - reach
            down = ((bits & 0xFFFF) * (2 * reach) >> 16).to(tl.int32) - reach
            y, x = tl.where(walks, y + down, y), tl.where(walks, x + right, x)
            # The scripts visit pixels from the last to the first.
            is_sooner = (down > 0) | ((down == 0) & (right > 0))
            walks = walks & is_sooner & _is_visited(y, x, height, width, reach)
    source = images + (image * size + y * width + x) * channels
    target = out + (image * size + place) * channels
    for channel in tl.static_range(channels):
        tl.store(target + channel, tl.load(source + channel, mask=inside), mask=inside)


def shuffle(images: Tensor, words: Tensor, reach: int) -> Tensor:
    """Kernel of `ppbench.corruptions.blur.shuffle`."""
    n, height, width, channels = images.shape
    out = torch.empty_like(images)
    start_on_pixels(_shuffle, (n, height, width), images, words, out, reach, words.shape[1], channels=channels)
    return out
