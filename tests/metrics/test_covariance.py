import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.covariance import ErrorCovariance, paired_images
from ppbench.metrics.intervals import deviation
from ppbench.metrics.references import ALEXNET
from ppbench.report.summary import summarise
from ppbench.vocabulary import C15, SEVERITIES
from tests.builders import make_bits, make_errors, make_run
from tests.metrics.forms import estimated, mean_error, parts
from tests.metrics.synthetic import per_image
from tests.oracles.intervals import linear_interval, mean_interval

GRID = (C15, SEVERITIES)


def measured(seed, n=400, **fields):
    """A run with bits at random places, its accuracies and its images."""
    run = make_run(make_errors(seed), name=f"net{seed}", n=n, **fields)
    accuracies = CellErrors.from_run(run, make_bits(run, seed))
    return run, accuracies, accuracies.per_image


def test_models_of_other_images_are_not_paired():
    one, other = measured(0)[1], measured(1, 300)[1]
    assert paired_images(one, other) is None
    assert paired_images(one, measured(1)[1]) is not None


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
            ce = mean_interval(parts("mCE", images, *GRID, ALEXNET), 0.9)
            relative = mean_interval(parts("relative_mCE", images, *GRID, ALEXNET), 0.9)
        else:
            ce = linear_interval(*estimated("mCE", images, *GRID, others), 0.9)
            relative = linear_interval(*estimated("relative_mCE", images, *GRID, others), 0.9)
        net = linear_interval(*estimated("R_net", images, *GRID, others), 0.9)
        for metric, expected in zip(document.metrics[2:], (ce, relative, net), strict=True):
            assert metric.interval == pytest.approx(expected.scaled(100), rel=1e-9), metric.name
        mean = mean_interval(mean_error(images, *GRID), 0.9)
        # Wilson's shape differs from the normal one by little where many images are in.
        assert document.metrics[1].interval == pytest.approx(mean.scaled(100), abs=0.02)
    assert accuracies.source == document.cell_errors.source
