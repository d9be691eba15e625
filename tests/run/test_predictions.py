"""The predicted classes beside a run file."""

import gzip
import hashlib
import io
import zlib

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.run import MeasuredRun, Predictions, PredictionsFile, read_predictions, read_run, write_run
from tests.builders import make_bits, make_errors, make_predictions, make_run
from tests.run.files import V1, V2, V3, damage

GRID = {"corruptions": ("fog", "snow"), "severities": (1, 3)}


@pytest.fixture
def predicted(tmp_path):
    """A run file with predictions: path, run, predictions."""
    run = make_run(make_errors(0, **GRID), n=30, **GRID)
    bits = make_bits(run)
    predictions = make_predictions(bits)
    path = tmp_path / "run.json"
    return path, write_run(path, run, bits, predictions=predictions), predictions


def are_equal(one, other):
    assert one.class_names == other.class_names
    assert (one.labels == other.labels).all()
    assert one.classes.keys() == other.classes.keys()
    assert all((one.classes[cell] == other.classes[cell]).all() for cell in one.classes)
    if one.confidences is None or other.confidences is None:
        return one.confidences is other.confidences
    return all((one.confidences[cell] == other.confidences[cell]).all() for cell in one.classes)


def test_what_is_written_is_what_is_read(predicted):
    path, run, predictions = predicted
    assert read_run(path) == run
    assert run.predictions.file == "run.predictions.npy.gz"
    assert are_equal(read_predictions(path, run), predictions)


def test_equal_predictions_are_equal_files(predicted, tmp_path):
    _, run, predictions = predicted
    again = write_run(tmp_path / "again.json", run, predictions=predictions)
    assert again.predictions.sha256 == run.predictions.sha256


def test_any_tool_reads_the_arrays_one_after_the_other(predicted):
    path, run, predictions = predicted
    with gzip.open(path.with_name("run.predictions.npy.gz")) as file:
        labels, classes, confidences = (np.load(file) for _ in range(3))
        assert not file.read()
    assert (labels == predictions.labels).all()
    assert [column.tolist() for column in classes.T] == [predictions.classes[c.key].tolist() for c in run.cells]
    assert confidences.shape == (30, 5)
    assert confidences.dtype == np.uint8


def test_even_predictions_that_cannot_be_compressed_stay_small(tmp_path):
    """At most 12 MB for 50,000 images in 76 cells, as documented: here a hundredth of these images."""
    run = make_run(make_errors(0), n=500)
    rng = np.random.default_rng(0)
    noise = Predictions(
        rng.integers(0, 1000, 500).astype(np.uint16),
        {cell.key: rng.integers(0, 2**16, 500).astype(np.uint16) for cell in run.cells},
        {cell.key: rng.integers(0, 2**8, 500).astype(np.uint8) for cell in run.cells},
        tuple(map(str, range(1000))),
    )
    assert len(run.cells) == 76
    write_run(tmp_path / "run.json", run, predictions=noise)
    assert (tmp_path / "run.predictions.npy.gz").stat().st_size <= 12_000_000 / 100


def test_probabilities_may_be_unknown(tmp_path):
    run = make_run(make_errors(0, **GRID), n=30, **GRID)
    predictions = make_predictions(make_bits(run))
    bare = Predictions(predictions.labels, predictions.classes, None, predictions.class_names)
    path = tmp_path / "run.json"
    assert are_equal(read_predictions(path, write_run(path, run, predictions=bare)), bare)


def test_runs_of_earlier_versions_and_baselines_have_none(predicted, tmp_path):
    for path in (V1, V2):
        with pytest.raises(DataError, match="has no predictions") as caught:
            read_predictions(path, read_run(path))
        assert "--no-predictions" in caught.value.hint
    _, run, predictions = predicted
    baseline = tmp_path / "baseline.json"
    written = write_run(baseline, run, make_bits(run), predictions=predictions, compact=True)
    assert written.predictions is read_run(baseline).predictions is None
    assert not baseline.with_name("baseline.predictions.npy.gz").exists()


def test_version_3_is_read():
    run = read_run(V3)
    predictions = read_predictions(V3, run)
    assert (predictions.labels[:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]).all()
    assert [int((predictions.classes[c.key] == predictions.labels).sum()) for c in run.cells] == [
        cell.top1 for cell in run.cells
    ]
    assert predictions.class_name(3) == "class 3"
    assert predictions.class_name(10 + 4) == "output 4"


def rewrite(path, run, arrays):
    """Replace the predictions by these bytes, with the right hash; return the run as it reads then."""
    path.with_name("run.predictions.npy.gz").write_bytes(arrays)
    damage(path, lambda content: content["predictions"].update(sha256=hashlib.sha256(arrays).hexdigest()))
    return read_run(path)


def packed(*arrays):
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array)
    return gzip.compress(buffer.getvalue())


def test_damaged_predictions_are_refused(predicted):
    path, run, predictions = predicted
    labels = predictions.labels
    classes = np.stack([predictions.classes[cell.key] for cell in run.cells], axis=1)
    swapped = classes.copy()
    swapped[:, 0] = labels + 1
    for content, message in (
        (b"no gzip", "not a gzip stream"),
        (b"", "its labels have no array"),
        (packed(labels[:-1], classes), r"its labels have shape \(29,\)"),
        (packed(labels.astype(np.int64), classes), "its labels have shape .* and type int64"),
        (packed(labels, classes[:, :-1].copy()), "its classes have shape"),
        (packed(labels, classes, classes), "its probabilities have"),
        (packed(labels + 60, classes), "label 69 of 10 classes"),
        (packed(labels, swapped), "0 predictions of clean are right, not"),
        (packed(labels, classes)[:-30], "damaged"),
    ):
        with pytest.raises(DataError, match=message):
            read_predictions(path, rewrite(path, run, content))
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = packed(labels) + bomb.compress(bytes(2**26)) + bomb.flush()
    with pytest.raises(DataError, match="damaged"):
        read_predictions(path, rewrite(path, run, content))


def test_another_file_or_none_is_refused(predicted):
    path, run, _ = predicted
    file = path.with_name("run.predictions.npy.gz")
    file.write_bytes(V3.with_name("v3.predictions.npy.gz").read_bytes())
    with pytest.raises(DataError, match="is not the file"):
        read_predictions(path, run)
    file.unlink()
    with pytest.raises(DataError, match="cannot read"):
        read_predictions(path, run)


def test_a_part_of_a_run_has_the_predictions_of_its_images(predicted):
    _, run, predictions = predicted
    whole = MeasuredRun(run, make_bits(run), predictions=predictions)
    part = whole.of_images(np.array([7, 3]), "1" * 64)
    assert part.predictions.labels.tolist() == [7, 3]
    assert part.predictions.classes["fog", 3].tolist() == predictions.classes["fog", 3][[7, 3]].tolist()


def test_class_names_are_one_line_and_any_text(tmp_path):
    run = make_run(make_errors(0, **GRID), n=30, **GRID)
    names = ('"quoted"', "@names", "</script>", "\u202eoverride", *(f"{k}" for k in range(6)))
    predictions = make_predictions(make_bits(run))
    predictions = Predictions(predictions.labels, predictions.classes, predictions.confidences, names)
    path = tmp_path / "run.json"
    written = write_run(path, run, predictions=predictions)
    assert read_run(path) == written
    assert read_run(path).predictions.class_names == names
    assert sum("class_names" in line for line in path.read_text().splitlines()) == 1


def test_the_file_is_named_in_one_folder():
    for name in ("../x.gz", "/etc/passwd", ""):
        with pytest.raises(ValueError, match="is not a file name"):
            PredictionsFile(file=name, sha256="0" * 64, class_names=())
