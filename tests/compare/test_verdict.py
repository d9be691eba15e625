from dataclasses import replace

import pytest

from ppbench.cli.output import Format, written
from ppbench.compare.comparability import SAID
from ppbench.compare.comparison import compare
from ppbench.compare.pairing import pair
from ppbench.compare.report import ComparisonReport
from ppbench.compare.verdict import verdict_text
from ppbench.errors import NotComparableError
from ppbench.run import Adaptation
from tests.compare.runs import ERRORS, NOISY, OLD, make_measured

EQUAL = make_measured(ERRORS, name="equal", seed=2, n=2000, weights="2")


def test_the_verdict_names_families_and_what_could_have_been_shown():
    words = verdict_text(compare(OLD, NOISY, None))
    assert "new makes fewer errors on noise (-2.0 points, 95 % interval -2." in words
    assert "gaussian_noise (-2.0)" in words
    words = verdict_text(compare(OLD, EQUAL, None))
    assert "No family of corruptions shows a difference between equal and old." in words
    assert "Overall no difference is shown (+0.0 points" in words
    assert "these 2,000 images could have shown one of 0." in words


def test_the_same_weights_are_told():
    twin = make_measured(ERRORS, name="twin", n=2000)
    found = compare(OLD, twin, None)
    assert verdict_text(found).startswith("twin and old have the same weights.")
    assert verdict_text(found).endswith("Overall both are right on exactly the same images.")
    clean = ComparisonReport([found]).sheets()[0].lines[0].cells[-1]
    assert float(clean) == pytest.approx(100 * 10 / 2000, rel=0.1), "ten images that differ are the fewest to show"


def test_all_right_against_all_wrong_is_a_difference():
    right, wrong = (make_measured(dict.fromkeys(ERRORS, e), name=name, n=500) for e, name in ((0.0, "r"), (1.0, "w")))
    words = verdict_text(compare(right, wrong, None))
    assert "Overall it makes more errors (+100.0 points" in words
    assert "exactly the same images" not in words


def test_an_adapted_network_is_judged_by_the_plain_one_only_if_that_is_meant():
    """`check` is told with an option. A comparison says it itself, so it needs none."""
    plain = make_measured(ERRORS, name="net", n=2000)
    adapted = replace(make_measured(ERRORS, seed=2, n=2000, adaptation=Adaptation()), name="net (batchnorm-adapted)")
    with pytest.raises(
        NotComparableError, match=r"net \(batchnorm-adapted\) was not measured like net: adaptation"
    ) as caught:
        pair(plain, adapted)
    assert "`--allow adaptation`" in caught.value.hint
    first, second, allowed, _ = pair(plain, adapted, ["adaptation"])
    assert allowed == ("adaptation batchnorm, net none",)
    assert pair(plain, adapted, said=SAID) == (plain, adapted, (), ())
    with pytest.raises(NotComparableError, match="precision bf16, net fp32"):
        pair(plain, make_measured(ERRORS, n=2000, adaptation=Adaptation(), precision="bf16"), said=SAID)
    words = verdict_text(compare(first, second, None, allowed=allowed))
    assert words.startswith(
        "net (batchnorm-adapted) and net have the same weights. The protocols differ by adaptation: "
        "net (batchnorm-adapted) normalised by the images of each cell. "
    )


def test_images_that_could_not_have_shown_any_difference_promise_none():
    """100 points are the largest difference of two errors; the formula gives more for four images."""
    fog = {("clean", 0): 0.5, ("fog", 1): 0.5}
    cells = {"corruptions": ("fog",), "severities": (1,), "n": 4, "spread": 9.0}
    one, other = (make_measured(fog, name=str(seed), seed=seed, **cells) for seed in (1, 2))
    found = compare(one, other, None)
    assert not found.is_alike
    assert found.plain.detectable is None
    assert verdict_text(found).endswith("these 4 images could not have shown any.")
    lines = written(ComparisonReport([found]), Format.MARKDOWN).splitlines()
    (row, *_) = [line for line in lines if line.startswith("| mean error |")]
    assert row.endswith("| n/a |")
