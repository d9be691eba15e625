"""The evaluation loop against a plain one, and what must not change its result."""

from __future__ import annotations

import copy
import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.corruptions.backends import ENGINE
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source, ids_hash
from ppbench.errors import DataError
from ppbench.evaluation import loop
from ppbench.evaluation.loop import Settings, evaluate_all
from ppbench.evaluation.record import identify, results
from ppbench.evaluation.stopping import NarrowEnough
from ppbench.models.load import Subject
from ppbench.models.weights import weights_hash
from ppbench.run import MeasuredRun, image_keys
from tests.evaluation.models import measured, tiny_subject
from tests.oracles.evaluation import evaluate_plainly
from tests.trees import write_class_folders, write_published

SETTINGS = Settings(corruptions=("gaussian_noise", "fog"), severities=(1, 4))


def embedded(limit: int = 30) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit)


def run(subject: Subject, source: Source, settings: Settings = SETTINGS) -> MeasuredRun:
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    return result


def test_counts_and_bits_equal_a_plain_loop_over_images() -> None:
    subject, source = tiny_subject(), embedded()
    result = run(subject, source)
    for cell in result.run.cells:

        def corruption(image: np.ndarray, place: int, cell=cell) -> np.ndarray:  # type: ignore[no-untyped-def]
            if cell.severity == 0:
                return image
            return ppbench.corrupt(
                image, cell.corruption, cell.severity, recipe="cifar-c", seed=0, ids=[source.ids[place]]
            )

        images = source.load("clean", 0, np.arange(30)).pixels
        expected = evaluate_plainly(
            copy.deepcopy(subject.model), images, source.labels, subject.card.mean, subject.card.std, corruption
        )
        assert result.bits[cell.key].tolist() == expected, cell.key
        assert cell.top1 == sum(expected)
    assert [cell.key for cell in result.run.cells][:2] == [("clean", 0), ("gaussian_noise", 1)]
    assert len(result.run.cells) == 5


def test_a_published_set_gives_the_counts_of_its_files(tmp_path: Path) -> None:
    tree = write_published(tmp_path, ("fog", "snow"), (1, 2))
    source = open_source("imagenet-c", tree, Geometry(32, None))
    subject = tiny_subject(size=32, channels=3, classes=2)
    result = run(subject, source, Settings(corruptions=("fog", "snow"), severities=(1, 2)))
    for cell in result.run.cells:
        folder = tree / cell.corruption / str(cell.severity)
        files = sorted(folder.rglob("*.png"))
        images = [np.asarray(Image.open(path)) for path in files]
        labels = [int(path.parent.name[1:]) for path in files]
        plain = evaluate_plainly(
            copy.deepcopy(subject.model), images, labels, subject.card.mean, subject.card.std, lambda image, _: image
        )
        assert result.bits[cell.key].tolist() == plain
    assert ("clean", 0) not in result.bits
    assert result.run.protocol.source == "published"


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (7, 1), (29, 0), (64, 2), (256, 4)])
def test_batch_size_and_workers_do_not_change_the_run(batch_size: int, workers: int) -> None:
    expected = run(tiny_subject(), embedded())
    settings = Settings(("gaussian_noise", "fog"), (1, 4), batch_size=batch_size, workers=workers)
    got = run(tiny_subject(), embedded(), settings)
    assert got.run.protocol == expected.run.protocol
    assert got.run.cells == expected.run.cells
    assert all(np.array_equal(got.bits[key], bits) for key, bits in expected.bits.items())


def test_several_models_share_the_images_and_keep_their_own_counts() -> None:
    one, other = tiny_subject("one", 0), tiny_subject("other", 1, architecture="resnet8-pp3")
    together, _ = measured([one, other], embedded(), SETTINGS)
    apart = [run(one, embedded()), run(other, embedded())]
    assert [r.run.cells for r in together] == [r.run.cells for r in apart]
    assert [r.run.model for r in together] == [r.run.model for r in apart]


def test_the_model_is_put_into_eval_mode_and_left_unchanged() -> None:
    subject = tiny_subject()
    subject.model.train()
    before = weights_hash(subject.model)
    first = run(subject, embedded())
    assert not subject.model.training
    assert weights_hash(subject.model) == before == first.run.model.weights_sha256
    assert run(subject, embedded()).run.cells == first.run.cells


def test_a_grey_set_is_shown_to_a_colour_model_as_three_equal_channels() -> None:
    subject, source = tiny_subject(channels=3), embedded(12)
    images = np.repeat(source.load("clean", 0, np.arange(12)).pixels, 3, axis=3)
    plain = evaluate_plainly(
        copy.deepcopy(subject.model), images, source.labels, subject.card.mean, subject.card.std, lambda image, _: image
    )
    assert run(subject, source).bits["clean", 0].tolist() == plain


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"classes": 7}, "tiny tells 7 classes apart, fashion-mnist-2k has 10"),
        ({"size": 32}, "tiny takes images of 32 px, fashion-mnist-2k has 28 px"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_it_runs(card: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_all([tiny_subject(**card)], embedded(), SETTINGS)


def test_a_grey_model_is_refused_for_colour_images(tmp_path: Path) -> None:
    source = open_source("imagefolder", write_class_folders(tmp_path, size=32), Geometry(32, None))
    with pytest.raises(DataError, match="takes grey images, imagefolder has colour ones"):
        evaluate_all([tiny_subject(size=32, classes=2)], source, SETTINGS)


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_keeps_the_finished_cells_and_ends_the_workers(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_FLUSH", -1.0)  # after every batch
    tree = write_published(tmp_path, ("snow", "fog"), (1, 2))
    subject = tiny_subject(size=32, channels=3, classes=2)
    seen = 0

    def interrupt(cell: tuple[str, int], images: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 6:  # two batches a cell: at the end of the third
            raise KeyboardInterrupt

    settings = Settings(("snow", "fog"), (1, 2), batch_size=4, workers=workers)
    source = open_source("imagefolder", tree, Geometry(32, None))
    (result,), stopped_by = measured([subject], source, settings, interrupt)
    assert isinstance(stopped_by, KeyboardInterrupt)
    assert result.run.status == "interrupted"
    whole = run(subject, source, settings)
    assert result.run.cells == whole.run.cells[:3]
    assert not multiprocessing.active_children()


def test_damaged_weights_are_an_error_not_a_result() -> None:
    subject = tiny_subject()
    with torch.no_grad():
        subject.model.fc.weight.fill_(float("nan"))  # type: ignore[union-attr,operator]
    results, stopped_by = measured([subject], embedded(), SETTINGS)
    assert isinstance(stopped_by, DataError)
    assert "30 outputs that are not finite at clean/0" in stopped_by.message
    assert not results[0].run.cells


@pytest.mark.parametrize("workers", [0, 1])
def test_images_broken_in_one_cell_are_left_out_of_all(tmp_path: Path, workers: int) -> None:
    tree = write_published(tmp_path, ("snow", "fog"), (1, 2))
    source = open_source("imagefolder", tree, Geometry(32, None))
    subject = tiny_subject(size=32, channels=3, classes=2)
    settings = Settings(corruptions=("snow", "fog"), severities=(1, 2), batch_size=4, workers=workers)
    whole = run(subject, source, settings)
    broken = [tree / "fog" / "1" / source.ids[4], tree / "fog" / "1" / source.ids[1]]
    for path in broken:
        path.write_bytes(path.read_bytes()[:200])
    outcome = evaluate_all([subject], source, settings)
    assert outcome.stopped_by is None
    assert all(any(str(path) in one.reason for one in outcome.unreadable) for path in broken)
    (part,) = results([identify(subject, source, settings)], outcome, source, settings, datetime.now(UTC), 1)
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
    settings = Settings(corruptions=("fog",), severities=(1,))
    subject = tiny_subject(size=32, channels=3, classes=2)
    outcome = evaluate_all([subject, subject], source, settings)
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
    settings = Settings(corruptions=("fog",), severities=(1,))
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    assert result.run.cells == ()


def test_an_evaluation_that_may_stop_early_does_not_wait_for_unreadable_images(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=32, per_class=100)
    source = open_source("imagefolder", folder, Geometry(32, None))
    subject = tiny_subject(size=32, channels=3, classes=2)
    settings = Settings(corruptions=("fog",), severities=(1,), force=True)
    enough = NarrowEnough(40.0, source, 0, 1, "mean_error[fog,s1]", {("fog", 1): 1.0})
    broken = enough.chunks[0][5]
    (folder / source.ids[broken]).write_bytes(b"<html>")
    outcome = evaluate_all([subject], source, settings, enough=enough)
    assert outcome.images is not None
    assert int(outcome.images.sum()) == len(enough.chunks[0]) - 1
    assert not outcome.images[broken]
    assert outcome.stoppings is not None
    assert outcome.stoppings[0].reached


def test_a_first_chunk_that_cannot_be_read_is_no_reason_to_stop(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=32, per_class=100)
    source = open_source("imagefolder", folder, Geometry(32, None))
    settings = Settings(corruptions=("fog",), severities=(1,), force=True)
    enough = NarrowEnough(60.0, source, 0, 1, "mean_error[fog,s1]", {("fog", 1): 1.0})
    for place in enough.chunks[0]:
        (folder / source.ids[place]).write_bytes(b"<html>")
    assert enough.describe() == ""
    outcome = evaluate_all([tiny_subject(size=32, channels=3, classes=2)], source, settings, enough=enough)
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

    subject = Subject("wrong", Wrong(), tiny_subject(size=32, channels=3, classes=2).card)
    settings = Settings(corruptions=("fog",), severities=(1,))
    _, stopped_by = measured([subject], source, settings)
    assert isinstance(stopped_by, DataError)
    assert "wrong is right on 100 of 200 clean images (50 %). Chance is 50 %, and at least" in stopped_by.message
    (result,), stopped_by = measured([subject], source, Settings(("fog",), (1,), force=True))
    assert stopped_by is None
    assert result.run.status == "complete"


def test_published_images_are_recorded_as_not_resized(tmp_path: Path) -> None:
    tree = write_published(tmp_path, ("fog",), (1,))
    _, model, card = tiny_subject(size=32, channels=3, classes=2)
    subject = Subject("tiny", model, card.model_copy(update={"resize": 40}))
    settings = Settings(corruptions=("fog",), severities=(1,))
    published = run(subject, open_source("imagefolder", tree, Geometry(32, 40)), settings)
    assert published.run.protocol.preprocessing.startswith("32 px as is, mean")
    clean = write_class_folders(tmp_path / "clean", size=48)
    generated = run(subject, open_source("imagefolder", clean, Geometry(32, 40)), settings)
    assert generated.run.protocol.preprocessing.startswith("resize 40, crop 32, mean")


def test_float32_is_float32_on_every_device() -> None:
    """The protocol says fp32: TF32 must be off while the network runs, and as before afterwards."""
    seen: list[tuple[bool, bool]] = []

    class Spy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
            return x.flatten(1)[:, :10]

    before = torch.backends.cudnn.allow_tf32
    run(Subject("spy", Spy(), tiny_subject().card), embedded(10), Settings(("fog",), (1,)))
    assert set(seen) == {(False, False)}
    assert torch.backends.cudnn.allow_tf32 == before


def test_the_record_tells_what_was_measured_and_with_what() -> None:
    result = run(tiny_subject(), embedded(), Settings(("fog",), (2,), seed=3, command="ppbench eval --seed 3"))
    protocol, provenance = result.run.protocol, result.run.provenance
    assert (protocol.n, protocol.total, protocol.seed) == (30, 2000, 3)
    assert (protocol.engine, protocol.recipe) == (ENGINE, "cifar-c")
    assert protocol.preprocessing == "28 px as is, grey, mean 0.4, std 0.3"
    assert provenance.command == "ppbench eval --seed 3"
    assert {"python", "torch", "numpy", "ppbench"} <= set(provenance.versions)
    assert provenance.device.startswith("cpu")
    assert result.run.model.card["architecture"] == "resnet8"
