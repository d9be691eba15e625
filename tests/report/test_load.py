import pytest

from ppbench.errors import DataError, UsageError
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.references import ALEXNET
from ppbench.report.load import (
    customary_normalizer,
    load_cell_errors,
    load_normalizer,
    load_results,
    load_summary,
    load_with_images,
)
from ppbench.run import Run, write_run
from tests.builders import make_bits, make_errors, make_predictions, make_run, write_resnet50


@pytest.fixture
def resnet50(tmp_path):
    return write_resnet50(tmp_path / "resnet50.csv")


@pytest.fixture
def run_file(tmp_path):
    run = make_run(make_errors(0), n=400)
    write_run(tmp_path / "run.json", run, make_bits(run, 0))
    return tmp_path / "run.json"


def test_a_run_and_a_csv_are_told_apart_by_ending_or_content(tmp_path, run_file, resnet50):
    for path, kind in ((run_file, Run), (resnet50, CellErrors)):
        assert isinstance(load_results(path), kind)
        bare = tmp_path / f"bare-{path.stem}"
        bare.write_bytes(path.read_bytes())
        assert isinstance(load_results(bare), kind)
    with pytest.raises(DataError, match="cannot read"):
        load_results(tmp_path / "none")
    with pytest.raises(DataError, match=r"is a folder, not a run file\nGive a run file in it, such as .*run\.json"):
        load_results(tmp_path)


def test_errors_have_their_bits_where_these_lie_beside_them(run_file, resnet50):
    assert load_cell_errors(run_file).per_image is not None
    assert load_cell_errors(resnet50).per_image is None


def test_a_normaliser_is_a_known_name_or_a_file(resnet50):
    assert load_normalizer("AlexNet") is ALEXNET
    assert load_normalizer("none") is None
    assert load_normalizer(str(resnet50)).source == "resnet50"
    with pytest.raises(UsageError, match="did you mean 'alexnet'"):
        load_normalizer("alexnt")
    with pytest.raises(DataError, match="there is no file"):
        load_normalizer("alexnt.json")


def test_where_none_is_named_it_is_alexnet_for_imagenet_and_the_baseline_for_the_rest(run_file, resnet50):
    errors = load_cell_errors(resnet50)
    assert customary_normalizer(errors, None) is ALEXNET
    assert customary_normalizer(make_run(normalizer="alexnet"), errors) is ALEXNET
    assert customary_normalizer(load_results(run_file), errors) is errors
    assert customary_normalizer(load_results(run_file), None) is None


def test_a_summary_has_intervals_or_says_why_not(tmp_path, run_file, resnet50):
    assert load_summary(run_file, None, None, 0.95).confidence == 0.95
    (note,) = load_summary(resnet50, None, str(run_file), 0.95).interval_notes
    assert note == "No intervals: resnet50.csv is a CSV, which has no correctness bits."
    write_run(tmp_path / "bare.json", make_run(make_errors(0)))
    assert "without correctness bits" in load_summary(tmp_path / "bare.json", None, None, 0.95).interval_notes[0]
    with pytest.raises(UsageError):
        load_summary(tmp_path / "none.json", None, None, 95)


def test_predictions_that_contradict_the_bits_image_by_image_are_not_used(tmp_path):
    run = make_run(make_errors(0), n=40)
    bits, others = make_bits(run, 0), make_bits(run, 1)  # equal counts in every cell, other images
    write_run(tmp_path / "good.json", run, bits, predictions=make_predictions(bits))
    write_run(tmp_path / "bad.json", run, bits, predictions=make_predictions(others))
    assert not load_with_images(tmp_path / "good.json", None, None, 0.95)[1].reasons
    reasons = load_with_images(tmp_path / "bad.json", None, None, 0.95)[1].reasons
    assert reasons
    assert all("its predictions of clean contradict its correctness bits" in text for text in reasons.values())
