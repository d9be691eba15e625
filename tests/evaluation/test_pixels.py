"""The stream of corrupted images."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.data.catalog import EMBEDDED, open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError
from ppbench.evaluation.pixels import plan_pieces, stream

CELLS = [("clean", 0), ("gaussian_noise", 3), ("impulse_noise", 1)]


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=13)


def pixels(source: Source, size: int, workers: int) -> dict[tuple[str, int], np.ndarray]:
    parts: dict[tuple[str, int], list[np.ndarray]] = {cell: [] for cell in CELLS}
    for piece, images in stream(source, plan_pieces(CELLS, 13, size), workers):
        parts[piece.corruption, piece.severity].append(images)
    return {cell: np.concatenate(images) for cell, images in parts.items()}


def test_pieces_cover_every_image_of_every_cell_once() -> None:
    pieces = plan_pieces(CELLS, 13, 5)
    assert [len(piece.places) for piece in pieces] == [5, 5, 3] * 3
    for cell in CELLS:
        places = np.concatenate([p.places for p in pieces if (p.corruption, p.severity) == cell])
        assert places.tolist() == list(range(13))


@pytest.mark.parametrize(("size", "workers"), [(1, 0), (5, 0), (7, 1), (4, 3)])
def test_batch_size_and_workers_never_change_a_pixel(source: Source, size: int, workers: int) -> None:
    expected = pixels(source, 13, 0)
    got = pixels(source, size, workers)
    for cell in CELLS:
        assert np.array_equal(got[cell], expected[cell]), cell


class Broken(Source):
    """A source whose second piece cannot be read."""

    def limit(self, places: np.ndarray) -> None: ...
    def fingerprint(self) -> str:
        return ""

    def check(self, corruptions: object, severities: object) -> None: ...

    def load(self, corruption: str, severity: int, places: np.ndarray) -> np.ndarray:
        if places[0] >= 2:
            raise DataError("cannot read the image x.jpg: truncated", "Replace it.")
        return np.zeros((len(places), 8, 8, 3), np.uint8)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_arrives_as_itself(workers: int) -> None:
    with pytest.raises(DataError, match=r"cannot read the image x\.jpg") as caught:
        list(stream(Broken(), plan_pieces([("clean", 0)], 6, 2), workers))
    assert caught.value.hint == "Replace it."


def test_a_stream_that_is_left_early_ends_its_workers(source: Source) -> None:
    import multiprocessing

    running = stream(source, plan_pieces(CELLS, 13, 2), 2)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()
