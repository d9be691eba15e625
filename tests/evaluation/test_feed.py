"""The stream of images."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Loaded, Source
from ppbench.errors import DataError
from ppbench.evaluation.feed import stream
from ppbench.evaluation.plan import plan_blocks
from tests.trees import write_class_folders

CELLS = [("clean", 0), ("gaussian_noise", 3), ("impulse_noise", 1)]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def embedded() -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=13)


def pixels(source: Source, size: int, workers: int, *, image_major: bool = True) -> dict[tuple[str, int], np.ndarray]:
    n = len(source.ids)
    missing = np.ones((len(CELLS), n), np.bool_)
    found = {cell: np.zeros((n, source.size, source.size, source.channels), np.uint8) for cell in CELLS}
    for batch in stream(source, CELLS, plan_blocks(missing, size, image_major=image_major), workers, CPU):
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
        list(stream(Failing(), [("fog", 1)], blocks, workers, CPU))
    assert caught.value.hint == "Bring it back."


def test_a_stream_that_is_left_early_ends_its_workers(embedded: Source) -> None:
    blocks = plan_blocks(np.ones((3, 13), np.bool_), 2, image_major=True)
    running = stream(embedded, CELLS, blocks, 2, CPU)
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_a_worker_imports_no_torch() -> None:
    code = "import sys, ppbench.evaluation.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
