import numpy as np
import pytest

from ppbench.compare.calibration import NO_INTERVAL
from ppbench.compare.comparison import compare
from ppbench.compare.report import ComparisonReport
from ppbench.compare.verdict import verdict_text
from ppbench.metrics import headline_metrics, mean_corruption_error, relative_mean_corruption_error
from ppbench.metrics.calibration import MEASURES, calibration_metrics
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.paired import cell_test, holm
from ppbench.metrics.references import ALEXNET
from ppbench.vocabulary import C15
from tests.compare.runs import ERRORS, NOISY, OLD, make_measured, shifted
from tests.oracles.bootstrap import standard_error

EQUAL = make_measured(ERRORS, name="equal", seed=2, n=2000, weights="2")


@pytest.mark.parametrize("normalizer", [None, ALEXNET, OLD.cell_errors], ids=["none", "alexnet", "reference"])
def test_the_numbers_are_those_of_show(normalizer):
    found = compare(OLD, NOISY, normalizer)
    for measured, side in ((OLD, "reference"), (NOISY, "value")):
        for metric in headline_metrics(measured.cell_errors, normalizer, None)[:4]:
            assert getattr(found.metric(metric.name), side) == metric.value


def test_differences_and_detectable_ones_are_in_points():
    found = compare(OLD, NOISY, ALEXNET)
    noise = next(d for d in found.group("family") if d.name == "noise")
    assert noise.points.value == pytest.approx(-2.0)
    assert noise.points.low < -2.0 < noise.points.high < 0
    assert noise.p < 0.001
    assert 0 < noise.detectable < 2
    assert found.metric("mean_error").points.value == pytest.approx(-2.0 * 3 / 15)


def test_cells_have_the_test_of_cells_adjusted_over_all_of_them():
    found = compare(OLD, NOISY, None).group("cell")
    keys = [(corruption, severity) for corruption in C15 for severity in range(1, 6)]
    raw = [cell_test(OLD.bits[key], NOISY.bits[key]) for key in keys]
    assert [d.name for d in found] == [f"{corruption}/{severity}" for corruption, severity in keys]
    assert [d.p for d in found] == holm(raw)


def test_a_comparison_turned_round_is_its_mirror():
    there, back = compare(OLD, NOISY, ALEXNET), compare(NOISY, OLD, ALEXNET)
    for one, other in zip(there.differences, back.differences, strict=True):
        if one.name == "R_net" or one.points is None:  # over another clean error; without interval
            continue
        assert one.points.value == pytest.approx(-other.points.value)
        assert one.points.low == pytest.approx(-other.points.high)
        assert one.p == pytest.approx(other.p)
    assert there.metric("R_net").value > 0 > back.metric("R_net").value


def test_the_interval_of_mce_against_the_reference_counts_both_models_images():
    found = compare(OLD, NOISY, OLD.cell_errors).metric("mCE")
    random = np.random.default_rng(0)
    wrong = [{c: 1 - np.mean([m.bits[c, s] for s in range(1, 6)], axis=0) for c in C15} for m in (OLD, NOISY)]
    draws = []
    for _ in range(300):
        places = random.integers(0, 2000, 2000)
        draws.append(100 * np.mean([wrong[1][c][places].mean() / wrong[0][c][places].mean() for c in C15]))
    assert found.points.high - found.points.low == pytest.approx(2 * 1.96 * np.std(draws), rel=0.15)


def test_without_clean_images_only_what_needs_them_is_not_available():
    errors = {key: value for key, value in ERRORS.items() if key[0] != "clean"}
    one, other = (make_measured(errors, name=name, seed=seed) for name, seed in (("a", 0), ("b", 1)))
    found = compare(one, other, ALEXNET)
    assert found.metric("clean_error").points is None
    assert "no clean accuracy" in found.metric("relative_mCE").reason
    assert found.metric("mCE").points is not None
    assert any("n/a: clean error, relative mCE" in note for note in ComparisonReport([found]).sheets()[0].notes)


def test_an_unfinished_run_has_reasons_and_the_rest():
    errors = {key: value for key, value in ERRORS.items() if key != ("fog", 5)}
    found = compare(OLD, make_measured(errors, name="half", n=2000, seed=1), None)
    assert "lacks" in found.metric("mean_error").reason
    fog, frost = (next(d for d in found.group("corruption") if d.name == name) for name in ("fog", "frost"))
    assert (fog.points, frost.points is None) == (None, False)
    assert "Overall: n/a: half lacks 1 of 75 cells" in verdict_text(found)


def test_other_corruptions_if_allowed_leave_those_in_common():
    kept = ("fog", "frost")
    errors = {key: value for key, value in ERRORS.items() if key[0] in (*kept, "clean")}
    found = compare(OLD, make_measured(errors, name="few", n=2000, corruptions=kept), None)
    assert [d.name for d in found.group("corruption")] == ["frost", "fog"]
    assert found.metric("mean_error").label == "mean_error[fog+frost,s1-5]"


def test_denominators_that_images_do_not_tell_from_0_are_named():
    near = {key: 0.2 + (0.001 if key[0] in ("fog", "snow") else 0.1) for key in ERRORS} | {("clean", 0): 0.2}
    one, other = (make_measured(near, name=name, seed=seed) for name, seed in (("a", 0), ("b", 1)))
    found = compare(one, other, one.cell_errors)
    (note,) = found.rough
    assert "the errors above clean of a, which are within 3 standard errors of 0 on snow, fog." in note
    assert note in ComparisonReport([found]).sheets()[0].notes
    assert compare(one, other, ALEXNET).rough == compare(OLD, NOISY, OLD.cell_errors).rough == ()
    nothing = dict.fromkeys(ERRORS, 0.001)
    few, less = (make_measured(nothing, name=name, seed=seed, n=2000) for name, seed in (("a", 0), ("b", 1)))
    (note, _) = compare(few, less, few.cell_errors).rough
    assert note.startswith("CE and its means are unreliable: they divide by the errors of a")


def test_one_image_has_no_interval():
    one, other = (make_measured(dict.fromkeys(ERRORS, 0.0), name=name, n=1) for name in "ab")
    assert compare(one, other, None).metric("mean_error").reason == "1 image has no interval"


def test_no_interval_has_no_width_and_a_p_of_no_difference_is_1():
    twin = make_measured(ERRORS, name="twin", n=2000)
    for normalizer in (None, ALEXNET, OLD.cell_errors):
        for difference in compare(OLD, twin, normalizer).differences:
            if difference.points is not None:
                assert difference.points.low < difference.points.value == 0 < difference.points.high
                assert difference.p == 1


def own_bits(measured):
    """Accuracies as they are read from a file, with the bits beside it."""
    return CellErrors.from_run(measured.run, measured.bits)


def wrong_by_corruption(measured):
    return {c: 1 - np.mean([measured.bits[c, s] for s in range(1, 6)], axis=0) for c in C15}


def test_the_interval_of_mce_against_a_third_run_of_the_same_images_counts_its_images_too():
    third = make_measured(shifted(ERRORS, "blur", 3.0), name="third", seed=5, n=2000, weights="3")
    wrong = [wrong_by_corruption(measured) for measured in (OLD, NOISY, third)]

    def change(places):
        ratios = [(wrong[1][c][places].mean() - wrong[0][c][places].mean()) / wrong[2][c][places].mean() for c in C15]
        return 100 * np.mean(ratios)

    paired, exact = compare(OLD, NOISY, own_bits(third)), compare(OLD, NOISY, third.cell_errors)
    found = paired.metric("mCE").points
    assert found.high - found.low == pytest.approx(2 * 1.96 * standard_error(change, 2000, 300), rel=0.15)
    assert found.value == pytest.approx(exact.metric("mCE").points.value)
    assert found.high - found.low != pytest.approx(exact.metric("mCE").points.high - exact.metric("mCE").points.low)
    assert (paired.normalizer_is_exact, exact.normalizer_is_exact) == (False, True)
    assert "The intervals of CE treat the errors of third as exact." in ComparisonReport([exact]).sheets()[0].notes
    assert not any("as exact" in note for note in ComparisonReport([paired]).sheets()[0].notes)


def test_the_reference_is_one_normaliser_whether_it_is_named_or_read_again():
    named, read = compare(OLD, NOISY, OLD.cell_errors), compare(OLD, NOISY, own_bits(OLD))
    for one, other in zip(named.differences, read.differences, strict=True):
        assert one.points == pytest.approx(other.points)


def test_r_net_is_against_the_reference_with_the_interval_of_a_bootstrap():
    found = compare(OLD, NOISY, None).metric("R_net")
    clean = [1.0 - measured.bits["clean", 0] for measured in (OLD, NOISY)]
    corrupted = [np.mean(list(wrong_by_corruption(measured).values()), axis=0) for measured in (OLD, NOISY)]

    def r_net(places):
        old, new = ([part[places].mean() for part in (clean[i], corrupted[i])] for i in (0, 1))
        return 100 * (old[0] - new[0] + old[1] - new[1]) / (2 * old[0])

    assert (found.reference, found.label) == (0, "R_net[old,c15,s1-5]")
    assert found.value == pytest.approx(r_net(np.arange(2000)))
    assert found.points.high - found.points.low == pytest.approx(2 * 1.96 * standard_error(r_net, 2000, 300), rel=0.15)


@pytest.mark.parametrize("normalizer", [ALEXNET, OLD.cell_errors], ids=["alexnet", "reference"])
@pytest.mark.parametrize(
    ("prefix", "compute"), [("", mean_corruption_error), ("relative_", relative_mean_corruption_error)]
)
def test_ce_is_there_by_family_and_corruption_with_its_definition(normalizer, prefix, compute):
    found = compare(OLD, NOISY, normalizer)
    by_corruption, by_family = found.group(f"{prefix}ce_corruption"), found.group(f"{prefix}ce_family")
    assert [d.name for d in by_corruption] == list(C15)
    assert [d.name for d in by_family] == ["noise", "blur", "weather", "digital"]
    for difference in by_corruption:
        expected = compute(NOISY.cell_errors, normalizer, (difference.name,), f"{prefix}CE")
        assert (difference.value, difference.label) == (expected.value, expected.label)
        assert difference.points.low < difference.change < difference.points.high
    assert sum(d.change for d in by_family[:1]) == pytest.approx(np.mean([d.change for d in by_corruption[:3]]))
    assert found.metric(f"{prefix}mCE").change == pytest.approx(np.mean([d.change for d in by_corruption]))


def test_calibration_has_both_numbers_and_says_why_it_has_no_interval():
    found = compare(OLD, NOISY, None)
    expected = {m.label: m.value for m in calibration_metrics(NOISY.run)}
    assert {d.label: d.value for d in found.group("calibration")} == expected
    assert {d.metric for d in found.group("calibration_family")} == set(MEASURES)
    assert len(found.group("calibration_corruption")) == 3 * 15
    for difference in found.differences:
        if difference.group.startswith("calibration"):
            assert difference.change == difference.value - difference.reference
            assert (difference.points, difference.p, difference.reason) == (None, None, NO_INTERVAL)
