import pytest

from ppbench.compare.comparison import compare
from ppbench.metrics.paired import images_needed
from ppbench.page.verdict import MOST_CELLS, pair_verdict, run_verdict, unpaired_verdict
from tests.compare.runs import ERRORS, NOISY, OLD, make_measured, shifted
from tests.figures.runs import summary_of, with_gaps


def against_old(other):
    return pair_verdict(compare(OLD, other, None))


def moved(points, seed=3, n=2000):
    errors = {key: value + points / 100 for key, value in ERRORS.items()}
    return make_measured(errors, name="new", seed=seed, n=n, weights="1")


def test_fewer_errors_are_better():
    verdict = against_old(moved(-3))
    assert verdict.finding == "better"
    assert "new is better than old: it gets 3.0 points fewer of the corrupted images wrong" in verdict.sentence


def test_more_errors_are_worse():
    verdict = against_old(moved(3))
    assert verdict.finding == "worse"
    assert "worse than old: it gets 3.0 points more" in verdict.sentence


def test_undecided_says_how_many_images_would_decide():
    verdict = against_old(moved(0.02))
    assert verdict.finding == "undecided"
    assert "Its mean error is 0.02 points higher (95 % interval" in verdict.sentence
    assert "which chance can explain" in verdict.sentence
    assert "images would decide" in verdict.details[0]
    assert "with 80 % probability" in verdict.details[0]
    assert "more than the 2,000 that the dataset has" in verdict.details[0]


def test_the_number_of_images_is_that_of_the_test():
    comparison = compare(OLD, moved(0.05), None)
    mean = comparison.metric("mean_error")
    assert mean.points is not None
    deviation = mean.points.margin * 2000**0.5 / 1.959964
    exact = images_needed(deviation, abs(mean.points.value))
    (number,) = [word for word in pair_verdict(comparison).details[0].split() if "," in word][:1]
    assert int(number.replace(",", "")) == pytest.approx(exact, rel=0.1)


def test_the_largest_differences_of_single_cells_are_named():
    comparison = compare(OLD, moved(-12, n=2000), None)
    cells = [d for d in comparison.group("cell") if d.is_shown(comparison.alpha)]
    assert len(cells) > MOST_CELLS
    largest = max(cells, key=lambda cell: abs(cell.change))
    corruption, _, severity = largest.name.rpartition("/")
    (words,) = [words for words in pair_verdict(comparison).details if "pairs of corruption and severity" in words]
    assert f"a test finds a difference in {len(cells)} (Holm)" in words
    assert f"the largest are: {corruption} at severity {severity} ({largest.change:+.1f} points)" in words


def test_no_cell_is_named_where_no_test_finds_one():
    assert not any("pairs of corruption" in words for words in against_old(moved(0.02)).details)


def test_the_same_results_are_alike():
    verdict = against_old(make_measured(ERRORS, name="copy", n=2000))
    assert verdict.sentence == "copy and old are right on exactly the same images."
    assert "have the same weights" in verdict.details[0]


def test_a_missing_cell_leaves_the_question_open():
    verdict = pair_verdict(compare(with_gaps(), with_gaps(), None))
    assert verdict.finding == "undecided"
    assert "Nobody can say" in verdict.sentence


def test_one_run_has_its_result_with_an_interval():
    verdict = run_verdict("old", summary_of(OLD))
    assert verdict.finding == "result"
    assert "of the corrupted images wrong, and 20.0 % of the clean ones" in verdict.sentence
    assert "(95 % interval" in verdict.sentence
    assert any("mCE[alexnet,generated,c15,s1-5]" in words for words in verdict.details)


def test_without_bits_a_difference_may_be_chance():
    verdict = unpaired_verdict("new", summary_of(NOISY, has_bits=False), summary_of(OLD), "no bits")
    assert verdict.finding == "undecided"
    assert "0.4 points fewer" in verdict.sentence
    assert verdict.details == ("no bits",)


def test_a_family_that_differs_is_named():
    noise = make_measured(shifted(ERRORS, "noise", -4.0), name="new", seed=1, n=2000, weights="1")
    assert "makes fewer errors on noise" in " ".join(against_old(noise).details)
