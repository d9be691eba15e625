import csv
import io
import json

import numpy as np
import pytest

from ppbench.compare.comparison import compare
from ppbench.compare.export import export
from ppbench.compare.sheets import sheets
from ppbench.compare.words import in_words, signed
from ppbench.metrics.corruption_error import headline_metrics
from ppbench.metrics.normalizers import ALEXNET
from ppbench.metrics.paired import holm, mcnemar
from ppbench.vocabulary import C15
from tests.builders import make_errors
from tests.compare.runs import make_measured, shifted

ERRORS = make_errors(0)
OLD = make_measured(ERRORS, name="old", n=2000)
NOISY = make_measured(shifted(ERRORS, "noise", -2.0), name="new", seed=1, n=2000, weights="1")
EQUAL = make_measured(ERRORS, name="equal", seed=2, n=2000, weights="2")


@pytest.mark.parametrize("normalizer", [None, ALEXNET, OLD.accuracies], ids=["none", "alexnet", "reference"])
def test_the_numbers_are_those_of_show(normalizer):
    found = compare(OLD, NOISY, normalizer)
    for measured, side in ((OLD, "reference"), (NOISY, "value")):
        for metric in headline_metrics(measured.accuracies, normalizer, None)[:4]:
            assert getattr(found.metric(metric.name), side) == metric.value


def test_differences_and_detectable_ones_are_in_points():
    found = compare(OLD, NOISY, ALEXNET)
    noise = next(d for d in found.group("family") if d.name == "noise")
    assert noise.points.value == pytest.approx(-2.0)
    assert noise.points.low < -2.0 < noise.points.high < 0
    assert noise.p < 0.001
    assert 0 < noise.detectable < 2
    assert found.metric("mean_error").points.value == pytest.approx(-2.0 * 3 / 15)


def test_cells_have_mcnemar_adjusted_over_all_cells():
    found = compare(OLD, NOISY, None).group("cell")
    keys = [(corruption, severity) for corruption in C15 for severity in range(1, 6)]
    raw = [mcnemar(OLD.right[key], NOISY.right[key]) for key in keys]
    assert [d.name for d in found] == [f"{corruption}/{severity}" for corruption, severity in keys]
    assert [d.p for d in found] == holm(raw)


def test_a_comparison_turned_round_is_its_mirror():
    there, back = compare(OLD, NOISY, ALEXNET), compare(NOISY, OLD, ALEXNET)
    for one, other in zip(there.differences, back.differences, strict=True):
        assert one.points.value == pytest.approx(-other.points.value)
        assert one.points.low == pytest.approx(-other.points.high)
        assert one.p == pytest.approx(other.p)


def test_the_interval_of_mce_against_the_reference_counts_both_models_images():
    found = compare(OLD, NOISY, OLD.accuracies).metric("mCE")
    random = np.random.default_rng(0)
    wrong = [{c: 1 - np.mean([m.right[c, s] for s in range(1, 6)], axis=0) for c in C15} for m in (OLD, NOISY)]
    draws = []
    for _ in range(300):
        places = random.integers(0, 2000, 2000)
        draws.append(100 * np.mean([wrong[1][c][places].mean() / wrong[0][c][places].mean() for c in C15]))
    assert found.points.high - found.points.low == pytest.approx(2 * 1.96 * np.std(draws), rel=0.15)


def test_the_verdict_names_families_and_what_could_have_been_shown():
    words = in_words(compare(OLD, NOISY, None))
    assert "new errs less on noise (-2.0 points, 95 % interval -2." in words
    assert "gaussian_noise (-2.0)" in words
    words = in_words(compare(OLD, EQUAL, None))
    assert "No family of corruptions shows a difference between equal and old." in words
    assert "Overall no difference could be shown (+0.0 points" in words
    assert "these 2,000 images could have shown 0." in words


def test_the_same_weights_are_told():
    twin = make_measured(ERRORS, name="twin", n=2000)
    found = compare(OLD, twin, None)
    assert in_words(found).startswith("twin and old have the same weights.")
    assert in_words(found).endswith("Overall no image makes a difference.")
    assert sheets([found])[0].lines[0].cells[-1] == "–"


def test_without_clean_images_only_what_needs_them_is_not_available():
    errors = {key: value for key, value in ERRORS.items() if key[0] != "clean"}
    one, other = (make_measured(errors, name=name, seed=seed) for name, seed in (("a", 0), ("b", 1)))
    found = compare(one, other, ALEXNET)
    assert found.metric("clean_error").points is None
    assert "no clean accuracy" in found.metric("relative_mCE").reason
    assert found.metric("mCE").points is not None
    assert any("n/a: clean_error, relative_mCE" in note for note in sheets([found])[0].notes)


def test_an_unfinished_run_has_reasons_and_the_rest():
    errors = {key: value for key, value in ERRORS.items() if key != ("fog", 5)}
    found = compare(OLD, make_measured(errors, name="half", n=2000, seed=1), None)
    assert "lacks" in found.metric("mean_error").reason
    fog, frost = (next(d for d in found.group("corruption") if d.name == name) for name in ("fog", "frost"))
    assert (fog.points, frost.points is None) == (None, False)
    assert "Overall: n/a: half lacks 1 of 75 cells" in in_words(found)


def test_other_corruptions_if_allowed_leave_those_in_common():
    kept = ("fog", "frost")
    errors = {key: value for key, value in ERRORS.items() if key[0] in (*kept, "clean")}
    found = compare(OLD, make_measured(errors, name="few", n=2000, corruptions=kept), None)
    assert [d.name for d in found.group("corruption")] == ["frost", "fog"]
    assert found.metric("mean_error").label == "mean_error[fog+frost,s1-5]"


def test_one_image_has_no_interval():
    one, other = (make_measured(dict.fromkeys(ERRORS, 0.0), name=name, n=1) for name in "ab")
    assert compare(one, other, None).metric("mean_error").reason == "1 image has no interval"


def test_the_formats_say_the_same():
    found = [compare(OLD, NOISY, None), compare(OLD, EQUAL, None)]
    content = json.loads(export(found, "json"))["comparisons"]
    rows = list(csv.DictReader(io.StringIO(export(found, "csv"))))
    assert len(rows) == sum(len(c["differences"]) for c in content)
    assert [float(r["value"]) for r in rows if r["value"]] == [
        d["value"] for c in content for d in c["differences"] if d["value"] is not None
    ]
    assert content[0]["verdict"] == in_words(found[0])
    assert export(found, "latex").count(r"\toprule") == 2
    assert export(found, "markdown").count("### ") == 2
    assert len(export(found, "markdown", cells=True)) > 2 * len(export(found, "markdown"))


def test_no_minus_before_zero():
    assert (signed(-0.01), signed(0.0), signed(-0.06), signed(0.06)) == ("+0.0", "+0.0", "-0.1", "+0.1")


def test_all_right_against_all_wrong_is_a_difference():
    right, wrong = (make_measured(dict.fromkeys(ERRORS, e), name=name, n=500) for e, name in ((0.0, "r"), (1.0, "w")))
    words = in_words(compare(right, wrong, None))
    assert "Overall it errs more (+100.0 points" in words
    assert "no image makes a difference" not in words


def test_no_interval_has_no_width_and_a_p_of_no_difference_is_1():
    twin = make_measured(ERRORS, name="twin", n=2000)
    for normalizer in (None, ALEXNET, OLD.accuracies):
        for difference in compare(OLD, twin, normalizer).differences:
            if difference.points is not None:
                assert difference.points.low < difference.points.value == 0 < difference.points.high
                assert difference.p == 1
