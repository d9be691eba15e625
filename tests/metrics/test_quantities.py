import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.check.rules import resolve
from ppbench.compare.comparison import compare
from ppbench.compare.measured import ComparedRun
from ppbench.errors import UsageError
from ppbench.evaluation.stopping import metric_weights
from ppbench.metrics import (
    clean_error,
    headline_metrics,
    mean_corruption_error,
    mean_error,
    net_robustness,
    relative_mean_corruption_error,
)
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import RunIntervals
from ppbench.metrics.quantities import NEAR_ZERO, QUANTITIES, MeanError, case_of
from ppbench.metrics.references import ALEXNET
from ppbench.report.report import run_sheets
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from ppbench.reproduce.columns import parse_column
from ppbench.vocabulary import C15, C19, CLEAN, FAMILIES, SEVERITIES, in_order
from tests.builders import make_bits, make_errors, make_run, write_resnet50
from tests.metrics.headline import labels_of, reasons
from tests.oracles import corruption_error as oracle

# E and mean error of ResNet-50 on ImageNet, and R_net: the table of the push-pull paper (arXiv 2408.04077).
PUSH_PULL_TABLE = [
    ("ResNet50", 0.269, 0.667, 0.00),
    ("PP3", 0.282, 0.645, 1.67),
    ("PP5", 0.276, 0.645, 2.79),
    ("AutoAug", 0.269, 0.630, 6.86),
    ("AutoAug PP3", 0.283, 0.604, 9.05),
    ("AugMix", 0.269, 0.612, 10.14),
    ("AugMix PP3", 0.287, 0.590, 10.97),
    ("PRIME", 0.298, 0.522, 21.57),
    ("PRIME PP3", 0.306, 0.500, 24.31),
]

# RobustBench, CIFAR-10-C, "Standard": error in % per corruption, in the order of `FAMILIES`.
CIFAR_STANDARD = {
    "noise": (52.97, 41.22, 44.70),
    "blur": (18.51, 49.00, 22.28, 24.40),
    "weather": (18.11, 24.96, 11.21, 6.72),
    "digital": (17.39, 16.22, 28.02, 22.44),
}

# Multiples of a 1000th and a 400th, and corrupted errors well above the clean one, so that no denominator is near zero.
clean_errors = st.integers(10, 300).map(lambda value: value / 1000)


def cell_errors(cells):
    """So many errors, a byte each: drawn at once, where a number each takes longer than the tests."""
    return st.binary(min_size=cells, max_size=cells).map(lambda bytes_: [(140 + byte) / 400 for byte in bytes_])


severity_sets = st.sets(st.sampled_from(SEVERITIES), min_size=1).map(lambda values: tuple(sorted(values)))
corruption_sets = st.sets(st.sampled_from(C15), min_size=1).map(lambda values: tuple(sorted(values)))


@st.composite
def two_models(draw):
    """Two models' results on the same cells."""
    keys = list(product(draw(corruption_sets), draw(severity_sets)))
    tables = [draw(cell_errors(len(keys))) for _ in range(2)]
    first, second = (dict(zip(keys, table, strict=True)) for table in tables)
    return (
        CellErrors.from_errors("one", first, draw(clean_errors)),
        CellErrors.from_errors("two", second, draw(clean_errors)),
    )


def uniform(error, clean, source="net"):
    return CellErrors.from_errors(source, dict.fromkeys(product(C15, SEVERITIES), error), clean)


def nested(accuracies):
    result = {}
    for (corruption, severity), error in accuracies.errors.items():
        result.setdefault(corruption, {})[severity] = error
    return result


def change(accuracies, function):
    errors = {key: function(error) for key, error in accuracies.errors.items()}
    return CellErrors.from_errors(accuracies.source, errors, function(accuracies.clean))


def test_resnet50_reproduces_its_published_figures(tmp_path):
    table = CellErrors.from_csv(write_resnet50(tmp_path / "resnet50.csv"))
    assert mean_corruption_error(table, ALEXNET).value == pytest.approx(76.70, abs=0.005)
    assert relative_mean_corruption_error(table, ALEXNET).value == pytest.approx(105.0, abs=0.05)
    assert mean_error(table).value == pytest.approx(60.83, abs=0.005)
    assert clean_error(table).value == pytest.approx(23.87)


def test_cifar_standard_reproduces_its_published_mean_error():
    by_name = {n: e for f, errors in CIFAR_STANDARD.items() for n, e in zip(FAMILIES[f], errors, strict=True)}
    errors = {(name, s): value / 100 for name, value in by_name.items() for s in SEVERITIES}
    assert mean_error(CellErrors.from_errors("Standard", errors, None)).value == pytest.approx(26.54, abs=0.005)


@pytest.mark.parametrize(("name", "error", "mean", "published"), PUSH_PULL_TABLE)
def test_push_pull_table_gives_its_r_net_within_rounding(name, error, mean, published):
    """The inputs have three digits: the published value lies in what inputs that round to them can give."""
    _, baseline_error, baseline_mean, _ = PUSH_PULL_TABLE[0]
    half = 0.0005
    if name == "ResNet50":  # the baseline against itself: both are the same unrounded numbers
        assert net_robustness(uniform(mean, error), uniform(mean, error)).value == published
        return
    values = [
        net_robustness(
            uniform(mean + signs[0] * half, error + signs[1] * half),
            uniform(baseline_mean + signs[2] * half, baseline_error + signs[3] * half),
        ).value
        for signs in product((-1, 1), repeat=4)
    ]
    assert min(values) - 0.005 <= published <= max(values) + 0.005
    assert max(values) - min(values) < 0.9


@settings(deadline=None)
@given(two_models())
def test_every_metric_equals_the_oracle(models):
    one, two = models
    errors, others = nested(one), nested(two)
    expected = {
        "clean_error": 100 * one.clean,
        "mean_error": oracle.mean_error(errors),
        "mCE": oracle.mean_corruption_error(errors, others),
        "relative_mCE": oracle.relative_mean_corruption_error(errors, one.clean, others, two.clean),
        "R_net": oracle.net_robustness(
            one.clean, oracle.mean_error(errors) / 100, two.clean, oracle.mean_error(others) / 100
        ),
    }
    metrics = headline_metrics(one, two, two)
    assert {metric.name: metric.value for metric in metrics} == pytest.approx(expected, rel=1e-9, abs=1e-9)
    for name in one.corruptions:
        value = oracle.corruption_error(errors, others, name)
        assert mean_corruption_error(one, two, [name]).value == pytest.approx(value, rel=1e-9)


@settings(deadline=None)
@given(two_models())
def test_against_oneself_mce_is_100_and_r_net_0(models):
    one, _ = models
    mce, relative, net = (metric.value for metric in headline_metrics(one, one, one)[2:])
    assert (mce, relative, net) == (pytest.approx(100), pytest.approx(100), 0)


@settings(deadline=None)
@given(two_models(), st.randoms(use_true_random=False))
def test_the_order_of_the_cells_does_not_matter_to_the_last_bit(models, random):
    one, two = models
    keys = list(one.errors)
    random.shuffle(keys)
    shuffled = CellErrors.from_errors("one", {key: one.errors[key] for key in keys}, one.clean)
    assert headline_metrics(shuffled, two, two) == headline_metrics(one, two, two)


@settings(deadline=None)
@given(two_models(), st.floats(0.1, 0.99))
def test_scale_mce_is_linear_in_the_errors_and_inverse_in_the_normalisers(models, factor):
    one, two = models
    mce = mean_corruption_error(one, two).value
    scaled = change(one, lambda error: factor * error)
    assert mean_corruption_error(scaled, two).value == pytest.approx(factor * mce)
    assert mean_corruption_error(one, change(two, lambda error: factor * error)).value == pytest.approx(mce / factor)
    relative = relative_mean_corruption_error(one, two).value
    assert relative_mean_corruption_error(scaled, two).value == pytest.approx(factor * relative)


@settings(deadline=None)
@given(two_models(), st.floats(0, 1))
def test_linearity_a_mixture_of_two_models_has_the_mixture_of_their_metrics(models, share):
    one, two = models
    mixed = {key: share * one.errors[key] + (1 - share) * two.errors[key] for key in one.errors}
    mixture = CellErrors.from_errors("mix", mixed, share * one.clean + (1 - share) * two.clean)
    parts = zip(headline_metrics(one, two, two), headline_metrics(two, two, two), strict=True)
    expected = [share * first.value + (1 - share) * second.value for first, second in parts]
    assert [metric.value for metric in headline_metrics(mixture, two, two)] == pytest.approx(expected, abs=1e-9)


def test_labels_carry_the_definition():
    run = make_run(make_errors(3), n=500, total=2000, source="published")
    labels = [metric.label for metric in headline_metrics(CellErrors.from_run(run), ALEXNET, uniform(0.5, 0.2, "base"))]
    assert labels == [
        "clean_error[500 of 2000]",
        "mean_error[c15,s1-5,500 of 2000]",
        "mCE[alexnet,c15,s1-5,500 of 2000]",
        "relative_mCE[alexnet,c15,s1-5,500 of 2000]",
        "R_net[base,c15,s1-5,500 of 2000]",
    ]


@pytest.mark.parametrize("source", ["generated", "generated-jpeg85"])
def test_labels_against_alexnet_say_if_the_images_are_not_the_published_ones(source):
    accuracies = CellErrors.from_run(make_run(source=source))
    assert labels_of(accuracies, ALEXNET) == [
        "mean_error[c15,s1-5]",
        "mCE[alexnet,generated,c15,s1-5]",
        "relative_mCE[alexnet,generated,c15,s1-5]",
    ]
    assert mean_corruption_error(accuracies, ALEXNET, ["fog"], "CE").label == "CE[alexnet,generated,fog,s1-5]"
    assert labels_of(accuracies, accuracies)[1] == "mCE[net,c15,s1-5]", "a run was measured on the same images"
    assert labels_of(accuracies, None)[1] == "mCE[none,c15,s1-5]"


def test_labels_of_published_images_and_of_csvs_are_the_plain_ones():
    for accuracies in (CellErrors.from_run(make_run(source="published")), uniform(0.5, 0.2)):
        assert labels_of(accuracies, ALEXNET)[1:] == ["mCE[alexnet,c15,s1-5]", "relative_mCE[alexnet,c15,s1-5]"]


def test_extra_corruptions_stay_out_of_the_headline():
    errors = {key: 0.5 if key[0] in C15 else 1.0 for key in product(C19, SEVERITIES)}
    metric = mean_error(CellErrors.from_errors("net", errors, None))
    assert (metric.label, metric.value) == ("mean_error[c15,s1-5]", 50)


def test_no_normaliser_and_no_baseline_are_reasons():
    found = reasons(uniform(0.5, 0.2))
    assert set(found) == {"mCE", "relative_mCE", "R_net"}
    assert "no normaliser" in found["mCE"]
    assert found["R_net"] == "no baseline given (--baseline RUN)"


def test_a_missing_cell_takes_its_means_with_it_and_is_named():
    errors = make_errors(5)
    del errors["snow", 2], errors["snow", 4]
    found = reasons(CellErrors.from_run(make_run(errors, status="interrupted")), ALEXNET, uniform(0.5, 0.2))
    assert set(found) == {"mean_error", "mCE", "relative_mCE", "R_net"}
    assert set(found.values()) == {"net lacks 2 of 75 cells: snow s2, snow s4"}


def test_a_normaliser_or_baseline_that_lacks_cells_is_named():
    part = CellErrors.from_errors("part", {("fog", 1): 0.5}, None)
    found = reasons(uniform(0.5, 0.2), part, part)
    assert found["mCE"] == "part lacks 74 of 75 cells: gaussian_noise s1, gaussian_noise s2, gaussian_noise s3, …"
    assert "part has no clean accuracy" in found["R_net"]


def test_no_clean_row_leaves_only_what_does_not_need_it():
    assert set(reasons(uniform(0.5, None), ALEXNET, uniform(0.5, 0.2))) == {
        "clean_error",
        "relative_mCE",
        "R_net",
    }


@pytest.mark.parametrize("sign", [-1, 0, 1])
def test_a_denominator_near_zero_is_a_reason_and_not_infinity(sign):
    flat = uniform(0.2 + sign * NEAR_ZERO / 2, 0.2, "flat")
    found = reasons(uniform(0.5, 0.2), flat, uniform(0.5, 0.0, "perfect"))
    assert set(found) == {"relative_mCE", "R_net"}
    assert found["relative_mCE"].startswith("the error of flat on gaussian_noise above clean is ")
    assert "clean error of perfect is 0 %" in found["R_net"]
    assert "too near zero" in reasons(uniform(0.5, 0.2), uniform(0, 0))["mCE"]


def test_only_clean_images():
    found = reasons(CellErrors.from_run(make_run({(CLEAN, 0): 0.1}, corruptions=())), ALEXNET)
    assert found["mean_error"] == "net has no corrupted cells"


# The law: with fixed denominators, value = constant + weights x cell errors = mean over images of each image's part.


@st.composite
def measured_models(draw):
    """Two runs of the same images with random bits, some cells missing, at some severities."""
    corruptions = in_order(draw(st.sets(st.sampled_from(C15), min_size=1, max_size=6)))
    severities = draw(severity_sets)
    n, seed = draw(st.integers(2, 60)), draw(st.integers(0, 2**32 - 1))
    cells = [(CLEAN, 0), *product(corruptions, severities)]
    missing = draw(st.sets(st.sampled_from(cells), max_size=2))
    random = np.random.default_rng(seed)
    models = []
    for name in ("one", "two"):
        rates = {cell: random.uniform(0.05, 0.4) if cell[0] == CLEAN else random.uniform(0.3, 1.0) for cell in cells}
        wrong = {cell: random.random(n) < rates[cell] for cell in cells if name == "two" or cell not in missing}
        run = make_run(
            {cell: hit.mean() for cell, hit in wrong.items()},
            name=name, n=n, corruptions=corruptions, severities=severities,
        )  # fmt: skip
        models.append(CellErrors.from_run(run, {cell: ~hit for cell, hit in wrong.items()}))
    return models


def cases_of(models):
    """Every quantity with its cases: the headline, one corruption and one cell; against AlexNet and the run."""
    one, two = models
    for quantity in QUANTITIES.values():
        for normalizer in (two, ALEXNET):
            yield quantity, case_of(one, normalizer, two)
            yield quantity, case_of(one, normalizer, two, one.corruptions[:1])
            yield quantity, case_of(one, normalizer, two, one.corruptions[-1:], one.severities[-1:])


def weighted_errors(weights, errors):
    known = {**errors.errors, **({} if errors.clean is None else {(CLEAN, 0): errors.clean})}
    return math.fsum(weight * known[cell] for cell, weight in weights.items())


@settings(deadline=None)
@given(measured_models())
def test_every_quantity_is_its_weights_times_the_cell_errors_and_the_mean_of_its_parts(models):
    for quantity, case in cases_of(models):
        metric = quantity.metric(case)
        if metric.value is None:
            assert metric.reason
            continue
        value, constant = metric.value / 100, quantity.constant(case)
        weights = quantity.weights(case)
        close = {"rel": 1e-9, "abs": 1e-9}
        assert constant + weighted_errors(weights, case.model) == pytest.approx(value, **close)
        assert constant + case.model.per_image.weighted(weights).mean() == pytest.approx(value, **close)
        other = {"normalizer": case.normalizer, "baseline": case.baseline}.get(quantity.reference)
        if isinstance(other, CellErrors):
            # Multiplying all errors of both models by one factor changes no ratio: the derivatives add up to 0.
            theirs = quantity.reference_weights(case)
            both = weighted_errors(weights, case.model) + weighted_errors(theirs, other)
            assert both == pytest.approx(0, abs=1e-9 * max(1.0, *map(abs, theirs.values())))


@settings(deadline=None)
@given(measured_models(), st.floats(-1e-6, 1e-6))
def test_reference_weights_are_the_derivative_of_the_value(models, step):
    one, two = models
    for quantity in QUANTITIES.values():
        case = case_of(one, two, two)
        if quantity.reference is None or quantity.metric(case).value is None:
            continue
        for (name, severity), weight in quantity.reference_weights(case).items():
            moved = {**two.errors, (CLEAN, 0): two.clean}
            moved[name, severity] += step
            clean = moved.pop((CLEAN, 0))
            there = replace(two, errors=moved, clean=clean)
            change = (quantity.value(case_of(one, there, there)) - quantity.value(case)) / 100
            assert change == pytest.approx(weight * step, rel=1e-2, abs=1e-9)


@settings(deadline=None)
@given(measured_models())
def test_against_itself_a_run_has_a_ratio_without_width(models):
    _, run = models
    intervals = RunIntervals(run, run.per_image, run, run, 0.95)
    for quantity in QUANTITIES.values():
        case = case_of(run, run, run)
        metric = intervals.with_interval(quantity, case, quantity.metric(case))
        if quantity.reference is not None and metric.value is not None:
            assert metric.interval.low == metric.value == metric.interval.high


class DoubleError(MeanError):
    """What a new metric needs: this class, and its entry in the table."""

    name = name_of_one = "double_error"
    formula = "2 M"
    meaning = "twice the mean error"
    rule = "harm"
    highest = 200.0

    def value(self, case):
        return 2 * super().value(case)

    def weights(self, case):
        return {cell: 2 * weight for cell, weight in super().weights(case).items()}


@pytest.fixture
def another(monkeypatch):
    monkeypatch.setitem(QUANTITIES, DoubleError.name, DoubleError())


def test_a_new_quantity_is_reported_compared_watched_waited_for_and_reproduced(another):
    run = make_run(make_errors(3), n=200, corruptions=C15)
    summary = summarise(run, bits=make_bits(run))
    shown = run_dict(summary)
    (metric,) = (metric for metric in shown["metrics"] if metric["name"] == "double_error")
    assert metric["value"] == pytest.approx(2 * shown["metrics"][1]["value"])
    assert metric["low"] < metric["value"] < metric["high"]
    assert shown["corruptions"][0]["double_error"] > 0
    assert run_sheets(summary)[1].header[-3:] == ("mean error", "±", "double error")
    assert run_sheets(summary, intervals=True)[2].header[-1] == "double error"
    first, second = (ComparedRun(run, make_bits(run, seed), name=f"net{seed}") for seed in range(2))
    compared = compare(first, second, None).differences
    groups = {difference.group for difference in compared if difference.metric == "double_error"}
    assert groups == {"metric", "double_error_family", "double_error_corruption"}
    (rule,) = resolve({"harm": 1.0}, run.protocol)
    assert sum(rule.weights.values()) == pytest.approx(2)
    label, weights = metric_weights("double_error", FakeSource(), C15, SEVERITIES, "none")
    assert label == "double_error[c15,s1-5]"
    assert sum(weights.values()) == pytest.approx(2)
    assert parse_column("double_error[c15,s2]").label == "double_error[c15,s2]"
    with pytest.raises(UsageError, match="unknown metric") as caught:
        metric_weights("double", FakeSource(), C15, SEVERITIES, "none")
    assert "double_error" in caught.value.hint


class FakeSource:
    """What stopping asks of a source."""

    kind, has_clean, num_classes, dataset = "published", True, 10, "fashion-mnist"
    class_names = tuple("0123456789")
