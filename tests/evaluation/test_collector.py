"""Scores on their way from the device; and what is counted, left out and looked at while an evaluation runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source, ids_hash
from ppbench.errors import DataError
from ppbench.evaluation import loop
from ppbench.evaluation.collector import Arrivals
from ppbench.evaluation.identity import identify
from ppbench.evaluation.inference import NOT_FINITE, score
from ppbench.evaluation.run_files import results
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.stopping import NarrowEnough
from ppbench.models.load import LoadedModel
from ppbench.run import MeasuredRun, image_keys
from tests.evaluation.models import make_settings, measured, planned, tiny_subject
from tests.trees import write_class_folders, write_published

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

CPU = torch.device("cpu")
FOG, SNOW = ("fog", 3), ("snow", 1)


def scores(*ranks: int) -> torch.Tensor:
    return torch.tensor([ranks, [10] * len(ranks), [500_000] * len(ranks), [7] * len(ranks)])


def test_pieces_come_in_order_with_the_images_that_are_wanted() -> None:
    coming = Arrivals(CPU)
    coming.put(0, FOG, np.array([4, 7, 9]), np.array([True, False, True]), scores(0, 0, 2))
    coming.put(1, SNOW, np.array([1]), np.array([True]), scores(0))
    (first, fog), (second, snow) = coming.fetch()
    assert (first, fog.cell, fog.places.tolist(), fog.right.tolist()) == (0, FOG, [4, 9], [True, False])
    assert (second, snow.cell, snow.places.tolist(), snow.right.tolist()) == (1, SNOW, [1], [True])
    assert (fog.predicted.tolist(), snow.predicted.tolist()) == ([7, 7], [7])  # type: ignore[union-attr]
    assert coming.fetch(last=True) == []


def test_they_are_due_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    coming = Arrivals(CPU)
    assert not coming.are_due
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)
    assert coming.are_due


def test_logits_that_are_not_finite_are_an_error_when_they_arrive() -> None:
    logits = torch.tensor([[1.0, float("nan")]])
    given = score(logits, torch.tensor([0]))
    assert given[0].tolist() == [NOT_FINITE]
    coming = Arrivals(CPU)
    coming.put(0, FOG, np.array([0]), np.array([True]), given)
    with pytest.raises(DataError, match="1 outputs that are not finite at fog/3"):
        coming.fetch()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_they_arrive_one_time_later() -> None:
    coming = Arrivals(torch.device("cuda"))
    coming.put(0, FOG, np.array([4, 7]), np.array([True, True]), scores(0, 1).cuda())
    assert coming.fetch() == []
    coming.put(0, SNOW, np.array([4]), np.array([True]), scores(0).cuda())
    assert [piece.cell for _, piece in coming.fetch()] == [FOG]
    assert [piece.cell for _, piece in coming.fetch(last=True)] == [SNOW]


def run(subject: LoadedModel, source: Source, settings: Settings) -> MeasuredRun:
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    return result


@pytest.mark.parametrize("workers", [0, 1])
def test_images_broken_in_one_cell_are_left_out_of_all(tmp_path: Path, workers: int) -> None:
    tree = write_published(tmp_path, ("snow", "fog"), (1, 2))
    source = open_source("imagefolder", tree, Geometry(32, None))
    subject = tiny_subject(size=32, channels=3, classes=2)
    settings = make_settings(corruptions=("snow", "fog"), severities=(1, 2), batch_size=4, workers=workers)
    whole = run(subject, source, settings)
    broken = [tree / "fog" / "1" / source.ids[4], tree / "fog" / "1" / source.ids[1]]
    for path in broken:
        path.write_bytes(path.read_bytes()[:200])
    outcome = loop.run(planned([subject], source, settings))
    assert outcome.stopped_by is None
    assert all(any(str(path) in one.reason for one in outcome.unreadable) for path in broken)
    identity = identify(planned([subject], source, settings).subjects[0], source, settings)
    (part,) = results([identity], outcome, source, settings, datetime.now(UTC), 1)
    kept = [0, 2, 3, 5]
    assert part.run.status == "complete"
    assert (part.run.protocol.n, part.run.protocol.total) == (4, 6)
    assert part.run.protocol.unreadable == (source.ids[1], source.ids[4])
    assert part.run.protocol.ids_sha256 == ids_hash([source.ids[place] for place in kept])
    source.limit(np.array(kept))
    fresh = run(subject, source, settings)
    assert part.run.cells == fresh.run.cells
    for cell, right in part.bits.items():
        assert right.tolist() == whole.bits[cell][kept].tolist()
    assert part.keys is not None
    assert np.array_equal(part.keys, image_keys([source.ids[place] for place in range(4)]))


def test_a_broken_clean_image_leaves_out_that_image_in_every_cell(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=32)
    source = open_source("imagefolder", folder, Geometry(32, None))
    (folder / source.ids[2]).write_bytes(b"<html>")
    settings = make_settings(corruptions=("fog",), severities=(1,))
    subject = tiny_subject(size=32, channels=3, classes=2)
    outcome = loop.run(planned([subject, subject], source, settings))
    assert outcome.stopped_by is None
    assert {one.place for one in outcome.unreadable} == {2}
    assert outcome.images is not None
    assert outcome.images.tolist() == [True, True, False, True, True, True]
    for tally in outcome.tallies:
        assert tally.done.tolist() == [[True] * 5] * 2


def test_where_no_image_can_be_read_there_is_no_cell(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=32)
    source = open_source("imagefolder", folder, Geometry(32, None))
    for name in source.ids:
        (folder / name).write_bytes(b"<html>")
    subject = tiny_subject(size=32, channels=3, classes=2)
    settings = make_settings(corruptions=("fog",), severities=(1,))
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    assert result.run.cells == ()


def test_an_evaluation_that_may_stop_early_does_not_wait_for_unreadable_images(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=32, per_class=100)
    source = open_source("imagefolder", folder, Geometry(32, None))
    subject = tiny_subject(size=32, channels=3, classes=2)
    settings = make_settings(corruptions=("fog",), severities=(1,), force=True)
    enough = NarrowEnough(40.0, source, 0, 1, "mean_error[fog,s1]", {("fog", 1): 1.0})
    broken = enough.chunks[0][5]
    (folder / source.ids[broken]).write_bytes(b"<html>")
    outcome = loop.run(planned([subject], source, settings, enough))
    assert outcome.images is not None
    assert int(outcome.images.sum()) == len(enough.chunks[0]) - 1
    assert not outcome.images[broken]
    assert outcome.stoppings is not None
    assert outcome.stoppings[0].reached


def test_a_first_chunk_that_cannot_be_read_is_no_reason_to_stop(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=32, per_class=100)
    source = open_source("imagefolder", folder, Geometry(32, None))
    settings = make_settings(corruptions=("fog",), severities=(1,), force=True)
    enough = NarrowEnough(60.0, source, 0, 1, "mean_error[fog,s1]", {("fog", 1): 1.0})
    for place in enough.chunks[0]:
        (folder / source.ids[place]).write_bytes(b"<html>")
    assert enough.describe() == ""
    outcome = loop.run(planned([tiny_subject(size=32, channels=3, classes=2)], source, settings, enough))
    assert outcome.images is not None
    assert int(outcome.images.sum()) == len(enough.chunks[1])
    assert outcome.stoppings is not None
    assert outcome.stoppings[0].reached


def test_labels_that_are_permuted_stop_the_run(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, classes=2, per_class=100, size=32)
    source = open_source("imagefolder", folder, Geometry(32, None))

    class Wrong(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, 1.0]).expand(len(x), 2)

    subject = LoadedModel("wrong", Wrong(), tiny_subject(size=32, channels=3, classes=2).card)
    settings = make_settings(corruptions=("fog",), severities=(1,))
    _, stopped_by = measured([subject], source, settings)
    assert isinstance(stopped_by, DataError)
    assert "wrong is right on 100 of 200 clean images (50 %). Chance is 50 %, and at least" in stopped_by.message
    (result,), stopped_by = measured([subject], source, make_settings(("fog",), (1,), force=True))
    assert stopped_by is None
    assert result.run.status == "complete"
