from decimal import Decimal

import pytest

from ppbench.metrics import (
    clean_error,
    headline_metrics,
    mean_corruption_error,
)
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.quantities import QUANTITIES
from ppbench.metrics.references import ALEXNET
from ppbench.vocabulary import C4, C15, C19, C_3D, C_BAR
from tests.builders import make_classes, make_errors, make_run
from tests.metrics.headline import labels_of, reasons
from tests.oracles import corruption_error as oracle


@pytest.mark.parametrize("corruption", C15)
def test_alexnets_errors_by_severity_have_the_published_means_to_the_last_digit(corruption):
    """Exactly, as decimal fractions, and each is a number of errors among 50,000 images."""
    errors = [Decimal(str(error)) for error in ALEXNET.by_severity[corruption]]
    assert len(errors) == 5
    assert sum(errors) / 5 == Decimal(str(ALEXNET.means[corruption]))
    assert all(error * 50_000 == int(error * 50_000) for error in errors)


def test_alexnet_is_known_at_single_severities_of_the_fifteen_alone():
    assert set(ALEXNET.by_severity) == set(C15)
    assert ALEXNET.mean_error(["fog"], (1, 5)) == pytest.approx((0.67474 + 0.945) / 2)


@pytest.mark.parametrize("severities", [(1,), (3,), (2, 4), (1, 2, 3, 4), (3, 5), (1, 2, 3, 4, 5)])
def test_ce_against_alexnet_at_any_severities_is_that_of_the_slow_truth(severities):
    run = CellErrors.from_run(make_run(make_errors(4, severities=severities), severities=severities))
    errors = {name: {s: run.errors[name, s] for s in severities} for name in C15}
    below = {name: {s: ALEXNET.by_severity[name][s - 1] for s in severities} for name in C15}
    found = {metric.name: metric.value for metric in headline_metrics(run, ALEXNET, None)}
    assert found["mCE"] == pytest.approx(oracle.mean_corruption_error(errors, below))
    slow = oracle.relative_mean_corruption_error(errors, run.clean, below, ALEXNET.clean)
    assert found["relative_mCE"] == pytest.approx(slow)
    assert mean_corruption_error(run, ALEXNET, ["fog"], "CE").value == pytest.approx(
        oracle.corruption_error(errors, below, "fog")
    )


def test_alexnet_has_nothing_by_severity_for_the_extra_four_and_says_so():
    run = CellErrors.from_run(make_run(make_errors(4, C4, severities=(3,)), corruptions=C4, severities=(3,)))
    reason = "alexnet has no published error for speckle_noise at s3: only its mean over s1-5 is published"
    assert reasons(run, ALEXNET) | {"R_net": None} == {"mCE": reason, "relative_mCE": reason, "R_net": None}
    whole = CellErrors.from_run(make_run(make_errors(4, C4), corruptions=C4))
    assert "mCE" not in reasons(whole, ALEXNET)
    both = CellErrors.from_run(make_run(make_errors(4, C19, severities=(3,)), corruptions=C19, severities=(3,)))
    assert "mCE" not in reasons(both, ALEXNET), "the headline is over the fifteen"


def test_alexnet_has_every_corruption_and_every_metric_its_words():
    assert set(ALEXNET.means) == set(C19)
    names = [metric.name for metric in headline_metrics(CellErrors.from_run(make_run()), None, None)]
    assert names == list(QUANTITIES) == ["clean_error", "mean_error", "mCE", "relative_mCE", "R_net"]


@pytest.mark.parametrize("names", [C_BAR, C_3D, ("mist",)])
def test_alexnet_has_no_figures_beyond_the_nineteen(names):
    accuracies = CellErrors.from_run(make_run(make_errors(0, names), corruptions=names))
    found = reasons(accuracies, ALEXNET, accuracies)
    assert found == dict.fromkeys(("mCE", "relative_mCE"), f"alexnet has no published error for {names[0]}")
    assert reasons(accuracies, accuracies, accuracies) == {}


@pytest.mark.parametrize(("logits", "words"), [("masked", "200 classes masked"), ("all", "200 of 1000 classes")])
def test_alexnet_s_means_are_not_those_of_a_class_subset(logits, words):
    accuracies = CellErrors.from_run(make_run(classes=make_classes(logits=logits), source="published"))
    found = reasons(accuracies, ALEXNET, accuracies)
    reason = f"alexnet is published only over all 1000 classes, not for {words}"
    assert found == {"mCE": reason, "relative_mCE": reason}
    assert labels_of(accuracies, ALEXNET)[1] == f"mCE[alexnet,c15,s1-5,{words}]"
    assert clean_error(accuracies).label == f"clean_error[{words}]"
