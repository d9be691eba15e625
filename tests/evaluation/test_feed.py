"""What is computed, in which order and by which process, and the stream of images."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Loaded, Source
from ppbench.errors import DataError
from ppbench.evaluation.feed import Feed, ImageBlock, evenly_spread, plan_blocks, plan_chunks, share
from tests.trees import write_class_folders

pytestmark = pytest.mark.usefixtures("_workers_of_one_server")

CELLS = [("clean", 0), ("gaussian_noise", 3), ("impulse_noise", 1)]
CPU = torch.device("cpu")

MISSING = arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(1, 30)))


@pytest.fixture(scope="module")
def embedded() -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=13)


def pixels(source: Source, size: int, workers: int, *, image_major: bool = True) -> dict[tuple[str, int], np.ndarray]:
    n = len(source.ids)
    missing = np.ones((len(CELLS), n), np.bool_)
    found = {cell: np.zeros((n, source.size, source.size, source.channels), np.uint8) for cell in CELLS}
    for batch in Feed(source, CELLS, workers, CPU).batches(plan_blocks(missing, size, image_major=image_major)):
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        found[batch.cell][batch.places] = batch.images.permute(0, 2, 3, 1).numpy()
    return found


@pytest.mark.parametrize(("size", "workers"), [(1, 0), (5, 0), (7, 1), (4, 3)])
def test_batch_size_and_workers_never_change_a_pixel(embedded: Source, size: int, workers: int) -> None:
    expected = {cell: embedded.load(*cell, np.arange(13)).pixels for cell in CELLS}
    got = pixels(embedded, size, workers)
    for cell in CELLS:
        assert np.array_equal(got[cell], expected[cell]), cell


@pytest.mark.parametrize("workers", [0, 2])
def test_the_package_makes_its_images_where_they_are_read(tmp_path: Path, workers: int) -> None:
    folder = write_class_folders(tmp_path, size=40)
    source = open_source("imagefolder", folder, Geometry(40, None), backend="imagecorruptions")
    assert not source.image_major
    got = pixels(source, 4, workers, image_major=False)
    for cell in CELLS:
        assert np.array_equal(got[cell], source.load(*cell, np.arange(6)).pixels), cell


def test_each_image_is_decoded_once_for_all_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source("imagefolder", write_class_folders(tmp_path, size=32), Geometry(32, None))
    loaded: list[int] = []
    load = type(source).load

    def counting(self: Source, corruption: str, severity: int, places: np.ndarray) -> Loaded:
        loaded.extend(places.tolist())
        return load(self, corruption, severity, places)

    monkeypatch.setattr(type(source), "load", counting)
    pixels(source, 4, 0)
    assert loaded == list(range(6))


class Failing(Source):
    """A source whose second block cannot be read at all."""

    image_major = False

    def fingerprint(self) -> str:
        return ""

    def check(self, corruptions: object, severities: object) -> None: ...

    stamps = mean_bytes = fingerprint  # type: ignore[assignment]

    def load(self, corruption: str, severity: int, places: np.ndarray) -> Loaded:
        if places[0] >= 2:
            raise DataError("the archive is gone", "Bring it back.")
        return Loaded(np.zeros((len(places), 8, 8, 3), np.uint8))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_arrives_as_itself(workers: int) -> None:
    blocks = plan_blocks(np.ones((1, 6), np.bool_), 2, image_major=False)
    with pytest.raises(DataError, match="the archive is gone") as caught:
        list(Feed(Failing(), [("fog", 1)], workers, CPU).batches(blocks))
    assert caught.value.hint == "Bring it back."


def test_a_stream_that_is_left_early_ends_its_workers(embedded: Source) -> None:
    blocks = plan_blocks(np.ones((3, 13), np.bool_), 2, image_major=True)
    running = Feed(embedded, CELLS, 2, CPU).batches(blocks)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_a_worker_imports_no_torch(embedded: Source) -> None:
    code = "import sys, pickle; pickle.load(sys.stdin.buffer)(); sys.exit('torch' in sys.modules)"
    sent = pickle.dumps(embedded.reader)
    assert subprocess.run([sys.executable, "-c", code], input=sent, check=False).returncode == 0


def covered(blocks: list[ImageBlock], shape: tuple[int, int]) -> NDArray[np.int64]:
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
    chosen = np.flatnonzero(evenly_spread(images, count))
    assert len(chosen) == min(images, count)
    assert chosen[0] == 0
    if len(chosen) > 1:
        assert chosen[-1] == images - 1
        assert np.ptp(np.diff(chosen)) <= 1
