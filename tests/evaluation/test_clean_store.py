"""Clean images that stay on the GPU: what fits, and that each is loaded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ppbench.data.opening import open_source
from ppbench.data.source import Broken, Geometry, Loaded, Source
from ppbench.evaluation.clean_store import CleanStore, keep_clean
from ppbench.evaluation.transport import Staging
from tests.evaluation.gpu import on_stand_in
from tests.evaluation.models import make_settings, measured, tiny_subject
from tests.trees import write_class_folders, write_published

pytestmark = pytest.mark.usefixtures("_small_forwards")

CPU = torch.device("cpu")
SIZE = 32 * 32 * 3


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return open_source("imagefolder", write_class_folders(tmp_path, size=32), Geometry(32, None))


@pytest.mark.parametrize(("free", "fits"), [(2 * 6 * SIZE, True), (2 * 6 * SIZE - 1, False)])
def test_half_of_the_free_memory_may_be_taken(
    source: Source, free: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with on_stand_in(monkeypatch, free):
        store = keep_clean(source, 6, CPU, said.append)
    assert (store is not None) == fits
    (line,) = said
    assert line.startswith("clean images: kept on cpu" if fits else "clean images: read in blocks, since cpu has no")


def test_nothing_is_kept_nor_said_without_a_gpu_or_a_use(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    assert keep_clean(source, 6, CPU, said.append) is None
    published = open_source("imagenet-c", write_published(tmp_path / "c", ("fog",), (1,)), Geometry(32, None))
    with on_stand_in(monkeypatch):
        assert keep_clean(published, 6, CPU, said.append) is None
        assert keep_clean(source, 0, CPU, said.append) is None
    assert said == []


def test_what_is_taken_is_what_was_put(source: Source) -> None:
    store, staging = CleanStore(source, 6, CPU), Staging(CPU)
    images = torch.arange(6 * SIZE).to(torch.uint8).view(6, 32, 32, 3)
    blocks = [np.array([4, 1]), np.array([1, 2, 4]), np.array([1])]
    assert [part.tolist() for part in store.loads(blocks)] == [[4, 1], [2], []]
    store.put(np.array([4, 1]), images[[4, 1]], [Broken(1, "damaged", "Replace it.")])
    assert [part.tolist() for part in store.loads([np.arange(5)])] == [[0, 2, 3]]
    store.put(np.array([0, 2, 3]), images[[0, 2, 3]], ())
    for places in ([4, 1], [0, 2, 3], [2], [3, 1, 0], [4, 1, 0, 2, 3], [4, 0]):
        got, broken = store.take(np.array(places), staging.send)
        assert torch.equal(got, images[places])
        assert [one.place for one in broken] == [place for place in places if place == 1]


@pytest.mark.parametrize("adapt", [None, "batchnorm"])
def test_each_image_is_read_once_for_the_whole_evaluation(
    source: Source, adapt: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adapted cells are read twice a round otherwise, and the first images of the mildest cell twice."""
    loaded: list[int] = []
    load = type(source).load

    def counting(self: Source, corruption: str, severity: int, places: np.ndarray) -> Loaded:
        loaded.extend(places.tolist())
        return load(self, corruption, severity, places)

    monkeypatch.setattr(type(source), "load", counting)
    settings = make_settings(("brightness", "contrast"), (1, 2, 3), batch_size=4, adapt=adapt)
    subject = tiny_subject(size=32, channels=3, classes=2)
    with on_stand_in(monkeypatch):
        _, stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    assert sorted(loaded) == list(range(6))


def test_an_image_that_cannot_be_read_is_noted_in_every_block(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / source.ids[2]).write_bytes(b"no image")
    settings = make_settings(("brightness",), (1, 2), batch_size=4)
    subject = tiny_subject(size=32, channels=3, classes=2)
    (expected,), _ = measured([subject], source, settings)
    with on_stand_in(monkeypatch):
        (got,), _ = measured([subject], source, settings)
    assert got.run.cells == expected.run.cells
    assert got.run.protocol.unreadable == expected.run.protocol.unreadable == (source.ids[2],)
