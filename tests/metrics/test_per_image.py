import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.corruption_error import headline_metrics, mean_corruption_error, mean_error
from ppbench.metrics.covariance import ErrorCovariance
from ppbench.metrics.intervals import deviation, linear_interval, mean_interval, ratio_influence
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.references import ALEXNET
from ppbench.metrics.weights import mean_error_weights
from ppbench.report.summary import summarise
from ppbench.vocabulary import C15, CLEAN, SEVERITIES
from tests.builders import make_bits, make_errors, make_run
from tests.metrics.synthetic import THREE, draw, per_image, truth
from tests.oracles import bootstrap

GRID = (C15, SEVERITIES)


def measured(seed, n=400, **fields):
    """A run with bits at random places, its accuracies and its images."""
    run = make_run(make_errors(seed), name=f"net{seed}", n=n, **fields)
    accuracies = CellErrors.from_run(run, make_bits(run, seed))
    return run, accuracies, accuracies.per_image


def test_means_over_images_are_the_metrics():
    _, accuracies, images = measured(0)
    _, other, others = measured(1)
    values = [metric.value / 100 for metric in headline_metrics(accuracies, ALEXNET, other)]
    against = [metric.value / 100 for metric in headline_metrics(accuracies, other, other)]
    assert images.clean().mean() == pytest.approx(values[0], rel=1e-12)
    assert images.mean_error(*GRID).mean() == pytest.approx(values[1], rel=1e-12)
    assert images.corruption_error(ALEXNET, *GRID).mean() == pytest.approx(values[2], rel=1e-12)
    assert images.relative_corruption_error(ALEXNET, *GRID).mean() == pytest.approx(values[3], rel=1e-12)
    above, below = images.net_robustness_ratio(others, *GRID)
    assert above.mean() / below.mean() == pytest.approx(values[4], rel=1e-12)
    for value, (found, influence) in zip(
        against[2:4],
        (images.corruption_error_ratio(others, *GRID), images.relative_corruption_error_ratio(others, *GRID)),
        strict=True,
    ):
        assert found == pytest.approx(value, rel=1e-12)
        assert influence.shape == (400,)
        assert influence.mean() == pytest.approx(0, abs=1e-12)


def test_the_errors_are_where_the_bits_are_not():
    run, _, images = measured(0)
    bits = make_bits(run, 0)
    assert images.errors.dtype == bool
    assert (images.errors[images.cells["fog", 3]] == ~bits["fog", 3]).all()
    assert images.n == 400


def test_blocks_of_images_change_nothing(monkeypatch):
    _, _, images = measured(0)
    whole, joint = images.mean_error(*GRID), ErrorCovariance([images]).covariance
    for module in ("per_image", "covariance"):
        monkeypatch.setattr(f"ppbench.metrics.{module}.BLOCK", 7)
    np.testing.assert_allclose(images.mean_error(*GRID), whole)
    np.testing.assert_allclose(ErrorCovariance([images]).covariance, joint)


def test_missing_cells_have_no_values():
    errors = make_errors(0)
    del errors["fog", 3], errors[CLEAN, 0]
    run = make_run(errors)
    images = PerImage.from_run(run, make_bits(run))
    with pytest.raises(Unavailable, match="net lacks 1 of 75 cells: fog s3"):
        images.mean_error(*GRID)
    with pytest.raises(Unavailable, match="net lacks 1 of 1 cells: clean s0"):
        images.clean()
    with pytest.raises(Unavailable, match="no corrupted cells"):
        images.mean_error(("fog",), ())
    with pytest.raises(Unavailable, match="no published error for spatter at s1: only its mean over s1-5"):
        images.corruption_error(ALEXNET, ("spatter",), (1,))
    assert images.mean_error(("fog",), (1,)).shape == (1000,)


def test_no_ratio_to_nothing():
    run = make_run({**make_errors(0), **{("fog", s): 0.0 for s in SEVERITIES}})
    images = PerImage.from_run(run, make_bits(run))
    with pytest.raises(Unavailable, match="the error of net on fog is 0 %, too near zero"):
        images.corruption_error_ratio(images, *GRID)


def test_models_of_other_images_are_not_paired():
    with pytest.raises(ValueError, match="net0 has 400 images, net1 300"):
        measured(0)[2].net_robustness_ratio(measured(1, 300)[2], *GRID)


@given(st.integers(0, 1000))
def test_joint_errors_have_the_deviation_of_the_images(seed):
    random = np.random.default_rng(seed)
    models = [per_image([("fog", s) for s in SEVERITIES], random.random((5, 50)) < 0.3) for _ in range(2)]
    weights = [{("fog", s): float(random.normal()) for s in SEVERITIES} for _ in models]
    values = sum(model.weighted(own) for model, own in zip(models, weights, strict=True))
    assert ErrorCovariance(models).deviation(*weights) == pytest.approx(deviation(values), rel=1e-9)


def test_what_a_report_shows_is_the_closed_form():
    run, accuracies, images = measured(0)
    _, other, others = measured(1)
    for normalizer in (ALEXNET, other):
        document = summarise(run, normalizer, other, bits=make_bits(run, 0), confidence=0.9)
        if normalizer is ALEXNET:
            ce = mean_interval(images.corruption_error(ALEXNET, *GRID), 0.9)
            relative = mean_interval(images.relative_corruption_error(ALEXNET, *GRID), 0.9)
        else:
            ce = linear_interval(*images.corruption_error_ratio(others, *GRID), 0.9)
            relative = linear_interval(*images.relative_corruption_error_ratio(others, *GRID), 0.9)
        net = linear_interval(*ratio_influence(*images.net_robustness_ratio(others, *GRID)), 0.9)
        for metric, expected in zip(document.metrics[2:], (ce, relative, net), strict=True):
            assert metric.interval == pytest.approx(expected.scaled(100), rel=1e-9), metric.name
        mean = mean_interval(images.mean_error(*GRID), 0.9)
        # Wilson's shape differs from the normal one by little where many images are in.
        assert document.metrics[1].interval == pytest.approx(mean.scaled(100), abs=0.02)
    assert accuracies.source == document.accuracies.source


# Three corruptions of two models, with cells that are correlated as those of images are.
KEYS = [(CLEAN, 0), *((name, s) for name in THREE for s in (1, 3, 5))]
SMALL = (THREE, (1, 3, 5))


@pytest.fixture(scope="module")
def two():
    errors = truth(THREE, (1, 3, 5))
    better = {key: 0.85 * value for key, value in errors.items()}
    return [per_image(KEYS, hit) for hit in draw(np.random.default_rng(7), [errors, better], 500)]


def rows_of(model):
    """The errors as the oracle takes them."""
    rows = {name: {s: model.errors[model.cells[name, s]].astype(int).tolist() for s in (1, 3, 5)} for name in THREE}
    return rows, model.errors[0].astype(int).tolist()


DENOMINATORS = {name: dict.fromkeys((1, 3, 5), 0.8) for name in THREE}


class Fixed:
    source = "fixed"

    def mean_error(self, corruptions, severities):
        return 0.8

    def clean_error(self):
        return 0.3


CASES = {
    "mean error": (
        lambda a, b: mean_interval(a.mean_error(*SMALL)),
        lambda a, b, p: bootstrap.mean_error(a[0], p),
    ),
    "mCE": (
        lambda a, b: mean_interval(a.corruption_error(Fixed(), *SMALL)),
        lambda a, b, p: bootstrap.mean_corruption_error(a[0], DENOMINATORS, p),
    ),
    "relative mCE": (
        lambda a, b: mean_interval(a.relative_corruption_error(Fixed(), *SMALL)),
        lambda a, b, p: bootstrap.relative_mean_corruption_error(*a, DENOMINATORS, 0.3, p),
    ),
    "mCE against a run": (
        lambda a, b: linear_interval(*a.corruption_error_ratio(b, *SMALL)),
        lambda a, b, p: bootstrap.mean_corruption_error_against(a[0], b[0], p),
    ),
    "relative mCE against a run": (
        lambda a, b: linear_interval(*a.relative_corruption_error_ratio(b, *SMALL)),
        lambda a, b, p: bootstrap.relative_against(*a, *b, p),
    ),
    "R_net": (
        lambda a, b: linear_interval(*ratio_influence(*a.net_robustness_ratio(b, *SMALL))),
        lambda a, b, p: bootstrap.net_robustness(*a, *b, p),
    ),
    "difference": (
        lambda a, b: mean_interval(a.mean_error(*SMALL) - b.mean_error(*SMALL)),
        lambda a, b, p: bootstrap.difference(a[0], b[0], p),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_closed_forms_agree_with_the_bootstrap(two, name):
    closed, resampled = CASES[name]
    a, b = map(rows_of, two)
    draws = 800
    expected = bootstrap.standard_error(lambda places: resampled(a, b, places), 500, draws)
    found = 100 * closed(*two).margin / 1.959964
    # The bootstrap's own noise is one part in sqrt(2 draws), 2.5 %; 500 images leave second-order terms of the ratios.
    assert found == pytest.approx(expected, rel=4 / np.sqrt(2 * draws))


def test_accuracies_with_bits_equal_those_without():
    run, accuracies, _ = measured(0)
    assert accuracies == CellErrors.from_run(run)
    assert "per_image" not in repr(accuracies)
    assert mean_error(accuracies) == mean_error(CellErrors.from_run(run))
    assert mean_corruption_error(accuracies, accuracies).value == pytest.approx(100)


def test_weights_of_a_mean_sum_to_one():
    assert sum(mean_error_weights(*GRID).values()) == pytest.approx(1)
