"""Cells whose images have several trials, and the file of them beside the run file."""

import gzip
import hashlib
import io
import json

import numpy as np
import pytest
from pydantic import ValidationError

from ppbench.errors import DataError
from ppbench.metrics import flip_probability, top5_distance
from ppbench.run import CellCounts, Protocol, Run, Sequences, TrialsFile, read_arrays, read_run, read_trials
from tests.run.files import V3, damage
from tests.trial_runs import SEQUENCES, make_logits, passes_run, sequence_run

PASSES = passes_run(n=6)
FLOWN = sequence_run(n=6, perturbations=("rotate", "gaussian_noise"), difficulties=(1, 2))


@pytest.fixture(params=[PASSES, FLOWN], ids=["passes", "sequences"])
def kept(request, tmp_path):
    """A run file with trials: path, and the run as written."""
    path = tmp_path / "run.json"
    return path, request.param.write(path)


def test_what_is_written_is_what_is_read(kept):
    path, measured = kept
    run = read_run(path)
    assert run == measured.run
    assert run.trials.file == "run.trials.npy.gz"
    trials = read_trials(path, run)
    assert all((trials.failures[key] == failed).all() for key, failed in measured.trials.failures.items())
    assert (trials.distances is None) == (measured.trials.distances is None)
    bits, _ = read_arrays(path, run)
    assert all((bits[key] == (failed == 0)).all() for key, failed in trials.failures.items())


def test_any_tool_reads_the_arrays_one_after_the_other(kept):
    path, measured = kept
    with gzip.open(path.with_name("run.trials.npy.gz")) as file:
        failures = np.load(file)
        assert failures.sum(axis=1).tolist() == [cell.failures for cell in measured.run.cells]
        if measured.trials.distances is not None:
            assert np.load(file).sum(axis=1).tolist() == [cell.top5_distance for cell in measured.run.cells]
        assert not file.read()


def test_the_error_of_a_cell_is_the_share_of_its_trials_that_failed():
    logits = make_logits(sum(b"net"), 6, 5, 10, 0.2)
    cell = FLOWN.run.cell("rotate", 2)
    assert cell.error == pytest.approx(flip_probability(logits.argmax(-1), noise=False, difficulty=2))
    assert cell.distance == pytest.approx(top5_distance(logits, noise=False, difficulty=2))
    assert FLOWN.run.cell("gaussian_noise", 2).trials == 4
    assert cell.trials == 3
    clean = PASSES.run.cells[0]
    assert clean.error == pytest.approx(1 - np.mean(clean.right_by_pass) / 6)


def test_the_frame_of_sequences_has_flips_and_distances():
    frame = FLOWN.run.to_frame()
    assert list(frame) == ["perturbation", "difficulty", "n", "flip_probability", "top5_distance"]
    assert frame.flip_probability.tolist() == [cell.error for cell in FLOWN.run.cells]
    assert PASSES.run.to_frame().accuracy.tolist() == [1 - cell.error for cell in PASSES.run.cells]


def test_a_part_of_the_images_has_their_trials(kept):
    _, measured = kept
    part = measured.of_images(np.array([4, 1]), "3" * 64)
    for cell in part.run.cells:
        failed = measured.trials.failures[cell.key][[4, 1]]
        assert (cell.failures, cell.top1) == (failed.sum(), (failed == 0).sum())
        assert cell.right_by_pass is None
    part.run.model_validate(part.run.model_dump())


def test_a_baseline_keeps_its_trials(kept):
    path, measured = kept
    measured.write(path, compact=True)
    run = read_run(path)
    assert read_trials(path, run).failures.keys() == measured.trials.failures.keys()
    assert 'top5":' not in path.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"failures": 99}, "99 failures are not those of"),
        ({"failures": 0}, "0 failures are not those of"),
        ({"failures": None}, "trials need failures"),
        ({"trials": None}, "need trials"),
        ({"trials": 256, "failures": 1}, "less than or equal to 255"),
        ({"top5": 6}, "no counts of probabilities"),
        ({"top5_distance": 16 * 6 * 4}, "does not hold"),
        ({"right_by_pass": (6, 6)}, "has not 4 counts"),
        ({"right_by_pass": (7, 0, 0, 0)}, "has not 4 counts"),
        ({"right_by_pass": (0, 0, 0, 0)}, "does not add up"),
    ],
)
def test_counts_that_contradict_each_other_are_refused(change, message):
    cell = next(cell for cell in PASSES.run.cells if 0 < cell.top1 < 6)
    with pytest.raises(ValidationError, match=message):
        CellCounts.model_validate({**cell.model_dump(), **change})


@pytest.mark.parametrize(
    ("measured", "protocol", "message"),
    [
        (PASSES, {"passes": 3}, "clean has 4 trials, the protocol 3"),
        (PASSES, {"passes": None}, "clean has 4 trials, the protocol none"),
        (FLOWN, {"sequences": None}, "rotate at severity 1 has 4 trials, the protocol none"),
        (FLOWN, {"passes": 4}, "not both"),
        (FLOWN, {"sequences": {"frames": {"rotate": 6, "gaussian_noise": 5}, "encoding": "h264"}}, "the protocol 5"),
        (FLOWN, {"sequences": {"frames": {"rotate": 5}, "encoding": "lossless"}}, "not those of the protocol's"),
        (FLOWN, {"sequences": {"frames": {"rotate": 2, "gaussian_noise": 5}, "encoding": "h264"}}, "too few to"),
        (FLOWN, {"severities": (1, 4)}, "difficulty 4 <= 3"),
    ],
)  # fmt: skip
def test_runs_that_contradict_their_protocol_are_refused(measured, protocol, message):
    content = measured.run.model_dump()
    content["protocol"] |= protocol
    with pytest.raises(ValidationError, match=message):
        Run.model_validate(content)


def test_a_run_of_sequences_has_no_clean_images_and_no_single_predictions():
    content = FLOWN.run.model_dump()
    clean = {**content["cells"][0], "corruption": "clean", "severity": 0}
    with pytest.raises(ValidationError, match="no cell of clean images"):
        Run.model_validate({**content, "cells": (clean, *content["cells"])})
    predictions = {"file": "x.npy.gz", "sha256": "0" * 64, "class_names": ()}
    with pytest.raises(ValidationError, match="no single prediction"):
        Run.model_validate({**content, "predictions": predictions})
    plain = read_run(V3).model_dump() | {"trials": TrialsFile(file="x.gz", sha256="0" * 64).model_dump()}
    with pytest.raises(ValidationError, match="needs sequences or passes"):
        Run.model_validate(plain)


def test_frames_in_words():
    assert str(Sequences(frames={"rotate": 31, "tilt": 31}, encoding="lossless")) == "31 lossless frames"
    videos = Sequences(frames={"rotate": 31, "tilt": 31, "translate": 41}, encoding="h264")
    assert str(videos) == "31 (translate 41) frames of h264 videos"


def replaced(path, content):
    """Put another file in the place of the trials, with its hash in the run file."""
    file = path.with_name("run.trials.npy.gz")
    file.write_bytes(content)
    damage(path, lambda run: run["trials"].update(sha256=hashlib.sha256(content).hexdigest()))


def packed(*arrays):
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array, allow_pickle=array.dtype == object)
    return gzip.compress(buffer.getvalue())


FAILURES = np.stack(list(FLOWN.trials.failures.values()))
DISTANCES = np.stack(list(FLOWN.trials.distances.values()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "not a gzip stream"),
        (gzip.compress(b"\0" * 10**8), "no array that this ppbench reads"),
        (packed(FAILURES[:, ::-1].astype(np.uint16), DISTANCES), "its failures have"),
        (packed(FAILURES[:3], DISTANCES), "its failures have shape"),
        (packed(np.array([object()])), "no array that this ppbench reads|type"),
        (packed(np.roll(FAILURES, 1, axis=0), DISTANCES), "are not the"),
        (packed(FAILURES), "its distances of rotate at severity 1 are not"),
        (packed(FAILURES, DISTANCES + 1), "its distances of"),
        (packed(FAILURES, DISTANCES)[:-20], "is damaged|ends early|not a gzip"),
    ],
)
def test_a_file_that_is_damaged_or_of_another_run_is_refused(tmp_path, content, message):
    path = tmp_path / "run.json"
    FLOWN.write(path)
    replaced(path, content)
    with pytest.raises(DataError, match=message):
        read_trials(path, read_run(path))


def test_a_file_must_be_beside_and_the_one_it_was_written_with(kept):
    path, _ = kept
    path.with_name("run.trials.npy.gz").write_bytes(b"")
    with pytest.raises(DataError, match="is not the file"):
        read_trials(path, read_run(path))
    path.with_name("run.trials.npy.gz").unlink()
    with pytest.raises(DataError, match="cannot read"):
        read_trials(path, read_run(path))
    damage(path, lambda run: run["trials"].update(file="../run.trials.npy.gz"))
    with pytest.raises(DataError, match="is not a file name"):
        read_run(path)
    with pytest.raises(DataError, match="no trials image by image"):
        read_trials(V3, read_run(V3))


def test_the_file_of_a_run_of_sequences_in_the_tree_is_read():
    run = read_run(SEQUENCES)
    assert read_trials(SEQUENCES, run).distances is not None
    again = sequence_run("net", difficulties=(1, 2), n=12)
    assert run.cells == again.run.cells
    assert json.loads(SEQUENCES.read_text())["cells"][0].keys() >= {"trials", "failures", "top5_distance"}


def test_runs_without_trials_say_nothing_of_them():
    written = read_run(V3).model_dump(mode="json")
    assert "trials" not in written
    assert not {"sequences", "passes"} & written["protocol"].keys()
    assert not {"trials", "failures", "top5_distance", "right_by_pass"} & written["cells"][0].keys()
    assert Protocol.model_validate(written["protocol"]).sequences is None
