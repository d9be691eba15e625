"""What is computed, in which order, and by which process."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ppbench.evaluation.plan import Block, plan_blocks, plan_chunks, share, spread

MISSING = arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 30)))


def covered(blocks: list[Block], shape: tuple[int, int]) -> NDArray[np.int64]:
    """How often each image of each cell is in a block."""
    times = np.zeros(shape, np.int64)
    for block in blocks:
        for cell in block.cells:
            times[cell, block.places] += 1
    return times


@given(MISSING, st.integers(1, 40), st.booleans())
def test_blocks_are_what_is_missing_once_each(missing: NDArray[np.bool_], size: int, image_major: bool) -> None:
    blocks = plan_blocks(missing, size, image_major=image_major)
    assert np.array_equal(covered(blocks, missing.shape), missing)
    assert all(0 < len(block.places) <= size for block in blocks)
    if not image_major:
        assert all(len(block.cells) == 1 for block in blocks)


@given(MISSING, MISSING, st.integers(1, 40))
def test_what_is_wanted_first_comes_first(missing: NDArray[np.bool_], first: NDArray[np.bool_], size: int) -> None:
    first = np.resize(first, missing.shape)
    blocks = plan_blocks(missing, size, image_major=True, first=first)
    assert np.array_equal(covered(blocks, missing.shape), missing)
    early = [bool(first[np.ix_(block.cells, block.places)].all()) for block in blocks]
    assert early == sorted(early, reverse=True)


@given(MISSING, st.integers(1, 9), st.integers(1, 12), st.randoms())
def test_chunks_come_one_after_another(missing: NDArray[np.bool_], size: int, chunk: int, random: Random) -> None:
    order = np.array(random.sample(range(missing.shape[1]), missing.shape[1]))
    chunks = [order[start : start + chunk] for start in range(0, len(order), chunk)]
    blocks = plan_chunks(missing, size, chunks)
    assert np.array_equal(covered(blocks, missing.shape), missing)
    numbers = [{number for number, part in enumerate(chunks) if np.isin(b.places, part).any()} for b in blocks]
    assert all(len(number) == 1 for number in numbers)
    assert [min(number) for number in numbers] == sorted(min(number) for number in numbers)


def test_all_cells_of_an_image_come_together_where_one_decoding_serves_them() -> None:
    missing = np.ones((4, 10), np.bool_)
    missing[:2, :3] = False  # as after a kill in the middle of a block
    blocks = plan_blocks(missing, 4, image_major=True)
    assert [(block.places.tolist(), block.cells) for block in blocks] == [
        ([0, 1, 2], (2, 3)),
        ([3, 4, 5, 6], (0, 1, 2, 3)),
        ([7, 8, 9], (0, 1, 2, 3)),
    ]


@given(MISSING, st.integers(1, 6))
def test_shares_are_disjoint_complete_and_even(missing: NDArray[np.bool_], size: int) -> None:
    parts = [share(missing, rank, size) for rank in range(size)]
    assert np.array_equal(np.sum(parts, axis=0), missing.astype(np.int64))
    images = [int(part.any(0).sum()) for part in parts]
    assert max(images) - min(images) <= 1


@given(st.integers(1, 500), st.integers(1, 300))
def test_a_probe_is_spread_over_all_images(images: int, count: int) -> None:
    chosen = np.flatnonzero(spread(images, count))
    assert len(chosen) == min(images, count)
    assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[-1] == images - 1
        assert np.ptp(np.diff(chosen)) <= 1
