"""Shared memory for the images of worker processes."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from ppbench.data.slots import InSlot, Slots
from ppbench.data.source import Broken, Loaded

SHARED = Path("/dev/shm")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone has it")


def load(value: int) -> Loaded:
    """Some images of one value; more for a higher one."""
    pixels = np.full((value, 4, 4, 3), value, np.uint8)
    return Loaded(pixels, (Broken(0, "damaged", "Replace it."),) if value == 2 else ())


def reader() -> object:
    return load


def ours() -> set[Path]:
    return {path for path in SHARED.iterdir() if path.name.startswith("psm_")}


def test_what_a_worker_leaves_is_what_it_loaded() -> None:
    before = ours()
    slots = Slots(3, 5 * 48)
    work = pickle.loads(pickle.dumps(slots.reader(reader)))()  # type: ignore[arg-type]
    left = [work(*task) for task in slots.numbered([(1,), (2,), (5,)])]
    assert left == [InSlot(0, (1, 4, 4, 3), ()), InSlot(1, (2, 4, 4, 3), load(2).broken), InSlot(2, (5, 4, 4, 3), ())]
    for one, value in zip(left, (1, 2, 5), strict=True):
        loaded = slots.loaded(one)
        assert np.array_equal(loaded.pixels, load(value).pixels)
        assert loaded.broken == load(value).broken
        assert not loaded.pixels.flags.writeable
    slots.close()
    assert ours() == before
    assert loaded.pixels[0, 0, 0, 0] == 5  # who still holds images can read them


def test_slots_take_turns() -> None:
    slots = Slots(2, 48)
    tasks = [("fog", number) for number in range(5)]
    assert list(slots.numbered(tasks)) == [(number % 2, *task) for number, task in enumerate(tasks)]
    slots.close()


def test_too_little_shared_memory_is_known_before_anything_is_written() -> None:
    before = ours()
    with pytest.raises(OSError):  # noqa: PT011 - the system's words
        Slots(1, 2**50)
    assert ours() == before
