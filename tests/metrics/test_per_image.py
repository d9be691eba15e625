import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.metrics import headline_metrics, mean_corruption_error
from ppbench.metrics import mean_error as mean_error_of
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import ErrorCovariance
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.per_image import PerImage, shared_images
from ppbench.metrics.quantities import QUANTITIES
from ppbench.metrics.references import ALEXNET
from ppbench.vocabulary import C15, CLEAN, SEVERITIES
from tests.builders import make_bits, make_errors, make_run
from tests.metrics.forms import case, estimated, mean_error, parts
from tests.metrics.synthetic import THREE, draw, per_image, truth
from tests.oracles import bootstrap
from tests.oracles.intervals import linear_interval, mean_interval

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
    assert parts("clean_error", images, *GRID).mean() == pytest.approx(values[0], rel=1e-12)
    assert mean_error(images, *GRID).mean() == pytest.approx(values[1], rel=1e-12)
    assert parts("mCE", images, *GRID, ALEXNET).mean() == pytest.approx(values[2], rel=1e-12)
    assert parts("relative_mCE", images, *GRID, ALEXNET).mean() == pytest.approx(values[3], rel=1e-12)
    assert parts("R_net", images, *GRID, others).mean() == pytest.approx(values[4], rel=1e-12)
    for value, name in zip(against[2:], ("mCE", "relative_mCE", "R_net"), strict=True):
        found, influence = estimated(name, images, *GRID, others)
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
    whole, joint = mean_error(images, *GRID), ErrorCovariance([images]).covariance
    for module in ("per_image", "covariance"):
        monkeypatch.setattr(f"ppbench.metrics.{module}.BLOCK", 7)
    np.testing.assert_allclose(mean_error(images, *GRID), whole)
    np.testing.assert_allclose(ErrorCovariance([images]).covariance, joint)


def test_missing_cells_have_no_values():
    errors = make_errors(0)
    del errors["fog", 3], errors[CLEAN, 0]
    run = make_run(errors)
    images = PerImage.from_run(run, make_bits(run))
    with pytest.raises(Unavailable, match="net lacks 1 of 75 cells: fog s3"):
        mean_error(images, *GRID)
    with pytest.raises(Unavailable, match="net lacks the clean images"):
        parts("clean_error", images, *GRID)
    with pytest.raises(Unavailable, match="no corrupted cells"):
        mean_error(images, ("fog",), ())
    with pytest.raises(Unavailable, match="no published error for spatter at s1: only its mean over s1-5"):
        parts("mCE", images, ("spatter",), (1,), ALEXNET)
    assert mean_error(images, ("fog",), (1,)).shape == (1000,)


def test_no_ratio_to_nothing():
    run = make_run({**make_errors(0), **{("fog", s): 0.0 for s in SEVERITIES}})
    images = PerImage.from_run(run, make_bits(run))
    with pytest.raises(Unavailable, match="the error of net on fog is 0 %, too near zero"):
        estimated("mCE", images, *GRID, images)


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
        lambda a, b: mean_interval(mean_error(a, *SMALL)),
        lambda a, b, p: bootstrap.mean_error(a[0], p),
    ),
    "mCE": (
        lambda a, b: mean_interval(parts("mCE", a, *SMALL, Fixed())),
        lambda a, b, p: bootstrap.mean_corruption_error(a[0], DENOMINATORS, p),
    ),
    "relative mCE": (
        lambda a, b: mean_interval(parts("relative_mCE", a, *SMALL, Fixed())),
        lambda a, b, p: bootstrap.relative_mean_corruption_error(*a, DENOMINATORS, 0.3, p),
    ),
    "mCE against a run": (
        lambda a, b: linear_interval(*estimated("mCE", a, *SMALL, b)),
        lambda a, b, p: bootstrap.mean_corruption_error_against(a[0], b[0], p),
    ),
    "relative mCE against a run": (
        lambda a, b: linear_interval(*estimated("relative_mCE", a, *SMALL, b)),
        lambda a, b, p: bootstrap.relative_against(*a, *b, p),
    ),
    "R_net": (
        lambda a, b: linear_interval(*estimated("R_net", a, *SMALL, b)),
        lambda a, b, p: bootstrap.net_robustness(*a, *b, p),
    ),
    "difference": (
        lambda a, b: mean_interval(mean_error(a, *SMALL) - mean_error(b, *SMALL)),
        lambda a, b, p: bootstrap.difference(a[0], b[0], p),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_closed_forms_agree_with_the_bootstrap(two, name):
    closed, resampled = CASES[name]
    a, b = map(rows_of, two)
    draws = 400
    expected = bootstrap.standard_error(lambda places: resampled(a, b, places), 500, draws)
    found = 100 * closed(*two).margin / 1.959964
    # The bootstrap's own noise is one part in sqrt(2 draws), 3.5 %; 500 images leave second-order terms of the ratios.
    assert found == pytest.approx(expected, rel=4 / np.sqrt(2 * draws))


def test_accuracies_with_bits_equal_those_without():
    run, accuracies, _ = measured(0)
    assert accuracies == CellErrors.from_run(run)
    assert "per_image" not in repr(accuracies)
    assert mean_error_of(accuracies) == mean_error_of(CellErrors.from_run(run))
    assert mean_corruption_error(accuracies, accuracies).value == pytest.approx(100)


def test_weights_of_a_mean_sum_to_one():
    assert sum(QUANTITIES["mean_error"].weights(case(measured(0)[2], *GRID)).values()) == pytest.approx(1)


IMAGE_KEYS = st.lists(st.integers(0, 40), unique=True).map(lambda keys: np.array(keys, np.uint64))


@given(IMAGE_KEYS, IMAGE_KEYS)
def test_the_places_are_of_the_same_images_whichever_side_is_first(one, other):
    shared = shared_images(one, other)
    assert one[shared.one].tolist() == sorted({*one.tolist()} & {*other.tolist()})
    assert other[shared.other].tolist() == one[shared.one].tolist()
    turned = shared_images(other, one)
    assert (turned.one.tolist(), turned.other.tolist()) == (shared.other.tolist(), shared.one.tolist())


def test_nothing_is_known_without_keys():
    assert shared_images(None, np.arange(3, dtype=np.uint64)) is None
    assert shared_images(np.arange(3, dtype=np.uint64), None) is None
