import io

import pytest
from rich.console import Console

from ppbench.metrics.accuracy import Accuracies
from ppbench.metrics.normalizers import ALEXNET
from ppbench.report.document import build_document
from ppbench.report.tables import tables
from ppbench.vocabulary import C15, C19, CLEAN
from tests.builders import make_errors, make_run, write_resnet50


def render(*documents, width=100, formulas=False):
    console = Console(file=io.StringIO(), width=width)
    console.print(tables(documents, formulas=formulas))
    return console.file.getvalue()


def line_of(text, name):
    """The words of the line that starts with these words."""
    words = name.split()
    return next(line.split() for line in text.splitlines() if line.split()[: len(words)] == words)


@pytest.fixture
def resnet50(tmp_path):
    return build_document(Accuracies.from_csv(write_resnet50(tmp_path / "resnet50.csv")), ALEXNET)


def test_headline_values_stand_beside_their_labels_and_definitions(resnet50):
    text = render(resnet50)
    assert "resnet50 · normaliser alexnet" in text
    assert line_of(text, "mCE[alexnet,c15,s1-5]")[1:3] == ["76.70", "%"]
    assert line_of(text, "relative_mCE[alexnet,c15,s1-5]")[1:3] == ["105.02", "%"]
    assert "top-1 error on the uncorrupted images" in text
    assert line_of(text, "R_net[none,c15,s1-5]")[1:4] == ["n/a", "no", "baseline"]


def test_corruptions_stand_under_their_families_above_the_mean(resnet50):
    text = render(resnet50)
    first_words = [line.split()[0] for line in text.splitlines() if line.strip()]
    order = ["noise", *C15[:3], "blur", *C15[3:7], "weather", *C15[7:11], "digital", *C15[11:]]
    start = first_words.index("noise")
    assert first_words[start : start + len(order)] == order
    assert line_of(text, "fog") == ["fog", *["45.8"] * 5, "54.17", "66.12", "78.84"]
    assert line_of(text, "defocus_blur")[1] == "38.8", "38.75 rounds as on paper"
    assert line_of(text, "mean of") == ["mean", "of", "15", *["39.2"] * 5, "60.83", "76.70", "105.02"]
    assert "Clean accuracy: 76.13 %." in text
    assert "Worst cell: impulse_noise at severity 1, accuracy 23.8 %." in text


def test_a_run_names_its_images_and_its_calibration():
    text = render(build_document(make_run(make_errors(0), n=500, total=2000)))
    assert "net · fashion-mnist · 500 of 2000 images · normaliser none" in text
    assert "Calibration, clean,500 of 2000 → c15,s1-5,500 of 2000: expected calibration error 10.00 % → " in " ".join(
        text.split()
    )
    assert "CE" not in text.partition("corruption ")[2].partition("noise")[0], "no CE columns without a normaliser"


def test_extra_corruptions_are_a_family_outside_the_mean():
    text = render(build_document(make_run(make_errors(0, C19), corruptions=C19)))
    assert line_of(text, "extra")
    assert line_of(text, "mean of")[:3] == ["mean", "of", "15"]


def test_an_interrupted_run_says_so_and_shows_what_is_there():
    errors = {(CLEAN, 0): 0.1, ("fog", 1): 0.25, ("fog", 2): 0.5}
    text = render(build_document(make_run(errors, corruptions=("fog",), severities=(1, 2, 3), status="interrupted")))
    assert "interrupted: cells are missing" in text
    assert line_of(text, "fog") == ["fog", "75.0", "50.0", "–", "n/a"]
    assert "net lacks 1 of 3 cells: fog s3" in text


def test_only_clean_images_still_make_a_table():
    assert "clean_error" in render(build_document(make_run({(CLEAN, 0): 0.1}, corruptions=())))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_numbers_are_whole_at_any_width(resnet50, width):
    text = render(resnet50, width=width, formulas=True)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text.replace("(s1 mild … s5 severe)", "")
    assert line_of(text, "elastic_transform")[-3:] == ["54.75", "84.74", "146.31"]


def test_runs_side_by_side_have_a_column_each(resnet50):
    run = make_run(make_errors(0), name="push-pull")
    text = render(resnet50, build_document(run, baseline=resnet50.accuracies))
    assert line_of(text, "clean_error") == ["clean_error", "23.87", "20.00"]
    assert line_of(text, "weather") == ["weather", "53.87", line_of(text, "weather")[2]]
    assert line_of(text, "s3")[1] == "60.83"
    assert line_of(text, "R_net[resnet50,c15,s1-5]")[1] == "n/a"
    assert "n/a: R_net: no baseline given" in text
    assert "mCE[alexnet,c15,s1-5] " in text
    assert "Worst cell of push-pull: " in text


def test_formulas_are_printed_on_request(resnet50):
    assert "sum_s A_cs" in render(resnet50, formulas=True)
    assert "sum_s A_cs" not in render(resnet50)
