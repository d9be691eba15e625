"""The schema of the run file."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ppbench.run import CellCounts, Run, expected_cells, json_schema, read_run, write_run
from ppbench.vocabulary import C15, CLEAN, NAME_PATTERN
from tests.builders import make_cell, make_classes, make_run, without_probabilities
from tests.run.files import V3


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(json_schema())


@given(st.from_regex(NAME_PATTERN, fullmatch=True).filter(lambda name: name != CLEAN))
def test_a_corruption_may_have_a_name_of_the_dataset_s_own(validator, name):
    run = make_run(corruptions=(name,), severities=(2,), n=10)
    assert Run.model_validate_json(run.model_dump_json()).cell(name, 2) == run.cells[1]
    validator.validate(run.model_dump(mode="json"))


NO_PROBABILITIES = {"nll_micronats": None, "bin_n": None, "bin_top1": None, "bin_confidence": None}


@pytest.mark.parametrize("unknown", [{"top5": None}, NO_PROBABILITIES, {"top5": None, **NO_PROBABILITIES}])
def test_predictions_without_probabilities_make_cells_without_their_counts(unknown):
    cell = CellCounts(**{**make_cell("fog", 1, top1=5, n=10).model_dump(), **unknown})
    assert (cell.top1, cell.error) == (5, 0.5)
    assert all(getattr(cell, name) is None for name in unknown)


@pytest.mark.parametrize("known", NO_PROBABILITIES)
@pytest.mark.parametrize("top5", [{}, {"top5": None}])
def test_the_counts_of_probabilities_are_there_together_or_not_at_all(known, top5):
    whole = make_cell("fog", 1, top1=5, n=10).model_dump()
    for change in ({known: None}, {**NO_PROBABILITIES, known: whole[known]}):
        with pytest.raises(ValidationError, match="are there together or not at all"):
            CellCounts(**{**whole, **top5, **change})


def test_a_cell_of_labels_alone_has_its_nulls_in_the_file_and_without_them_is_damaged():
    content = without_probabilities(make_cell("fog", 1, top1=5, n=10)).model_dump()
    assert {"top5": None, **NO_PROBABILITIES}.items() <= content.items()
    for name in ("top5", *NO_PROBABILITIES):
        with pytest.raises(ValidationError, match="Field required"):
            CellCounts(**{key: value for key, value in content.items() if key != name})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 0}, "greater than or equal to 1"),
        ({"n": 1001}, "n 1001 <= outputs 1000 does not hold"),
        ({"logits": "own"}, "outputs of its own for 200 classes does not have 1000"),
        ({"logits": "some"}, "'own', 'masked' or 'all'"),
    ],
)
def test_a_class_subset_that_contradicts_itself_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        make_classes(**fields)


@pytest.mark.parametrize(
    ("logits", "outputs", "competing"), [("own", 200, 200), ("masked", 1000, 200), ("all", 1000, 1000)]
)
def test_outputs_that_compete(logits, outputs, competing):
    assert make_classes(outputs=outputs, logits=logits).competing == competing


def test_the_schema_is_valid_and_fits_what_is_written(validator, written):
    validator.check_schema(validator.schema)
    for path in (written[0], V3):
        validator.validate(json.loads(path.read_text()))
    content = json.loads(V3.read_text())
    del content["model"]
    assert not validator.is_valid(content)


def test_a_complete_run_may_lack_the_clean_cell_alone(tmp_path):
    path = tmp_path / "run.json"
    write_run(path, make_run({("fog", 1): 0.5}, corruptions=("fog",), severities=(1,)))
    assert (read_run(path).status, read_run(path).cell(CLEAN, 0)) == ("complete", None)


def test_expected_cells_are_clean_and_then_the_grid():
    assert expected_cells(("fog", "snow"), (2, 4)) == [
        (CLEAN, 0),
        ("fog", 2),
        ("fog", 4),
        ("snow", 2),
        ("snow", 4),
    ]
    assert len(expected_cells(C15, (1, 2, 3, 4, 5))) == 76


def test_the_frame_has_a_row_per_cell():
    frame = make_run(n=10).to_frame()
    assert frame.shape == (76, 7)
    assert frame.accuracy.eq(0.5).all()
    assert frame.error.eq(0.5).all()
    assert make_run(labels_only=True).to_frame().top5.isna().all()


def test_counts_must_be_counts():
    cell = make_cell("fog", 1, top1=5, n=10)
    assert cell.error == 0.5
    with pytest.raises(ValidationError):
        CellCounts(**{**cell.model_dump(), "top1": -1})
    with pytest.raises(ValidationError):
        Run(**{**make_run().model_dump(), "status": "half"})
