import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.errors import UsageError
from ppbench.metrics.cell_errors import CellErrors
from ppbench.report.part import Part
from ppbench.run import expected_cells, write_run
from tests.builders import make_bits, make_errors, make_predictions, make_run, write_resnet50

NAMES, LEVELS = ("gaussian_noise", "fog"), (3, 4)


@pytest.fixture
def whole():
    return make_run(make_errors(0), n=200)


def show(path, *options):
    return CliRunner().invoke(app, ["show", str(path), *options])


def test_a_part_of_a_run_is_the_run_that_evaluates_only_that(whole):
    part = Part(["fog", "gaussian_noise"], ["3-4"]).of(whole)
    alone = make_run(make_errors(0), n=200, corruptions=NAMES, severities=LEVELS)
    assert part.protocol == alone.protocol
    assert part.cells == alone.cells
    assert [cell.key for cell in part.cells] == expected_cells(NAMES, LEVELS)
    assert part.model_validate(part.model_dump()) == part
    assert Part().of(whole) == whole


def test_all_that_is_shown_of_a_part_is_that_of_the_run_alone(tmp_path, whole):
    alone = make_run(make_errors(0), n=200, corruptions=NAMES, severities=LEVELS)
    bits = make_bits(whole, 0)
    predictions = make_predictions(bits)
    keys = expected_cells(NAMES, LEVELS)
    of_part = {key: bits[key] for key in keys}
    alone_predictions = replace(
        predictions,
        classes={key: predictions.classes[key] for key in keys},
        confidences={key: predictions.confidences[key] for key in keys},
    )
    (tmp_path / "alone").mkdir()
    write_run(tmp_path / "run.json", whole, bits, predictions=predictions)
    write_run(tmp_path / "alone" / "run.json", alone, of_part, predictions=alone_predictions)
    options = ("--classes", "--format", "json")
    part = show(tmp_path / "run.json", *options, "-c", "fog,gaussian_noise", "-s", "3-4")
    assert part.exit_code == 0, part.output
    assert part.stdout == show(tmp_path / "alone" / "run.json", *options).stdout
    shown = json.loads(part.stdout)
    assert shown["by_image"]["label"] == "class_error[fog+gaussian_noise,s3-4]"
    wrong = np.mean([~of_part[name, level] for name in NAMES for level in LEVELS])
    metric = next(metric for metric in shown["metrics"] if metric["name"] == "mean_error")
    assert metric["value"] == pytest.approx(100 * wrong)


def test_a_csv_has_parts_too(tmp_path):
    errors = CellErrors.from_csv(write_resnet50(tmp_path / "resnet50.csv"))
    part = Part(["blur"], None).of(errors)
    assert part.corruptions == ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur")
    assert part.clean == errors.clean
    assert part.errors == {cell: error for cell, error in errors.errors.items() if cell[0] in part.corruptions}
    assert part.headline == part.corruptions


def test_families_and_sets_are_narrowed_to_what_the_run_has():
    run = make_run(None, corruptions=("fog", "contrast"))
    assert Part(["weather"]).of(run).protocol.corruptions == ("fog",)
    assert Part(["c19"]).of(run).protocol.corruptions == ("fog", "contrast")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(["frost"]), "no results of frost"),
        (Part(["contrast", "noise"]), "no results of noise"),
        (Part(["frogs"]), "unknown corruption 'frogs'"),
        (Part(None, ["2-3"]), "no results at severity 3"),
        (Part(None, ["6"]), "severity '6' is not allowed"),
    ],
)
def test_what_the_run_lacks_is_refused(part, message):
    run = make_run(None, corruptions=("fog", "contrast"), severities=(1, 2))
    with pytest.raises(UsageError, match=message):
        part.of(run)


def test_the_page_shows_the_whole_run(tmp_path, whole):
    write_run(tmp_path / "run.json", whole)
    result = show(tmp_path / "run.json", "--open", "-c", "fog")
    assert result.exit_code == 2
    assert "--open is not allowed with --corruptions" in result.output
