"""Flip probability, flip rate and top-5 distance: against plain loops, and the law that all metrics keep."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.metrics.cell_errors import CellErrors, headline_perturbations
from ppbench.metrics.covariance import RunIntervals
from ppbench.metrics.of_sequences import OF_SEQUENCES
from ppbench.metrics.per_image import PerImage
from ppbench.metrics.quantities import case_of
from ppbench.metrics.references import ALEXNET
from ppbench.metrics.without_labels import has_labels, plain_of, quantities_of, wording
from ppbench.run import Sequences, Trials
from ppbench.vocabulary import CIFAR_P10, P4, P10, in_order
from tests.trial_runs import make_logits, measured, passes_run, sequence_run, trials_of

FLOWN = sequence_run("net", n=8, difficulties=(1, 2))
OTHER = sequence_run("other", n=8, difficulties=(1, 2), jump=0.3)

# Published by eminorhan/resnext-wsl: ResNeXt-101 32x8d on ImageNet-P, in the order of the paper's tables.
RESNEXT_FP = (10.63, 13.11, 4.46, 3.52, 5.78, 2.61, 4.02, 5.59, 3.31, 8.87)
RESNEXT_UT5D = (3.43, 3.97, 1.40, 1.09, 1.70, 0.96, 1.56, 1.98, 1.29, 2.68)


def errors_of(run):
    return CellErrors.from_run(run.run, run.bits, trials=run.trials)


def write_flips(path, flips, distances=None):
    header = ["perturbation,difficulty,flip_probability" + (",top5_distance" if distances else "")]
    rows = [
        f"{name},1,{flip / 100}" + (f",{distance}" if distances else "")
        for name, flip, distance in zip(P10, flips, distances or flips, strict=True)
    ]
    path.write_text("\n".join([*header, *rows]))
    return path


def test_every_metric_is_that_of_plain_loops_over_the_logits():
    fp, a, ut5d, d = {}, {}, {}, {}
    for name, jump, flips, places in (("net", 0.2, fp, ut5d), ("other", 0.3, a, d)):
        for place, perturbation in enumerate(P10):
            frames = 7 if perturbation == "translate" else 5
            logits = make_logits(place + sum(name.encode()), 8, frames, 10, jump)
            for difficulty in (1, 2):
                failed, moved = trials_of(logits, perturbation, difficulty)
                pairs = 8 * (frames - (1 if "noise" in perturbation else difficulty))
                flips[perturbation, difficulty] = sum(failed) / pairs
                places[perturbation, difficulty] = sum(moved) / pairs

    def rate(ours, theirs):
        return statistics.fmean((ours[p, 1] + ours[p, 2]) / (theirs[p, 1] + theirs[p, 2]) for p in P10)

    case = case_of(errors_of(FLOWN), errors_of(OTHER))
    found = {name: quantity.metric(case) for name, quantity in OF_SEQUENCES.items()}
    assert found["mFP"].value == pytest.approx(100 * statistics.fmean(fp.values()))
    assert found["uT5D"].value == pytest.approx(statistics.fmean(ut5d.values()))
    assert found["mFR"].value == pytest.approx(100 * rate(fp, a))
    assert found["mT5D"].value == pytest.approx(100 * rate(ut5d, d))
    assert [metric.label for metric in found.values()] == [
        "mFP[p10,d1-2,lossless]", "mFR[other,p10,d1-2,lossless]", "uT5D[p10,d1-2,lossless]",
        "mT5D[other,p10,d1-2,lossless]",
    ]  # fmt: skip
    assert [metric.unit for metric in found.values()] == ["%", "%", "places", "%"]


@st.composite
def two_runs(draw):
    """Two runs on the same images with random failures and distances."""
    names = in_order(draw(st.sets(st.sampled_from((*P10, *P4)), min_size=1, max_size=4)))
    levels = tuple(sorted(draw(st.sets(st.sampled_from((1, 2, 3)), min_size=1))))
    n, random = draw(st.integers(2, 9)), np.random.default_rng(draw(st.integers(0, 10**6)))
    sequences = Sequences(frames=dict.fromkeys(names, draw(st.integers(4, 31))), encoding="lossless")
    each = {(name, level): sequences.pairs((name, level)) for name in names for level in levels}
    found = []
    for called in ("one", "two"):
        # At least one flip in each cell, so that every ratio exists.
        failed = {key: np.append(1, random.integers(0, m + 1, n - 1)).astype(np.uint8) for key, m in each.items()}
        moved = {key: np.append(1, random.integers(0, 15 * m + 1, n - 1)).astype(np.uint16) for key, m in each.items()}
        found.append(measured(called, Trials(failed, moved), each, names, levels, {"sequences": sequences}))
    return found


@settings(max_examples=40, deadline=None)
@given(two_runs())
def test_a_metric_is_its_weighted_cells_and_the_mean_of_its_images(runs):
    """The law behind intervals, tests and rules."""
    one, two = map(errors_of, runs)
    case = case_of(one, two)
    for quantity in OF_SEQUENCES.values():
        value, weights = quantity.value(case), quantity.weights(case)
        cells = one.errors if quantity.of_errors else one.distances
        linear = quantity.scale * sum(weight * cells[cell] for cell, weight in weights.items())
        assert linear == pytest.approx(value, rel=1e-9)
        images = quantity.images(one)
        assert quantity.scale * images.weighted(weights).mean() == pytest.approx(value, rel=1e-5)
        moved = quantity.reference_weights(case)
        if quantity.reference:  # the weighted sum of both is 0, not the value
            both = images.weighted(weights) + quantity.images(two).weighted(moved)
            assert both.mean() == pytest.approx(0, abs=1e-4 * value)


def test_intervals_are_over_images():
    one, two = errors_of(FLOWN), errors_of(OTHER)
    intervals = RunIntervals(one, one.per_image, two, None, 0.95)
    case = case_of(one, two)
    for quantity in OF_SEQUENCES.values():
        metric = intervals.with_interval(quantity, case, quantity.metric(case))
        assert metric.interval.low < metric.value < metric.interval.high
        if quantity.name == "uT5D":
            parts = quantity.images(one).weighted(quantity.weights(case))
            half = 1.959964 * parts.std(ddof=1) / 8**0.5
            assert metric.interval.high == pytest.approx(metric.value + half)
    assert intervals.with_interval(quantity, case, quantity.metric(case)).interval.margin > 0


def test_the_covariance_of_shares_is_that_of_numpy():
    errors = errors_of(FLOWN).per_image
    assert errors.errors.dtype == np.float32
    found = RunIntervals(errors_of(FLOWN), errors, None, None, 0.95)._covariance.covariance
    assert found == pytest.approx(np.cov(errors.errors.astype(float)), abs=1e-7)


def test_ratios_need_a_normaliser_that_is_no_published_error():
    mfr, mt5d = OF_SEQUENCES["mFR"], OF_SEQUENCES["mT5D"]
    one = errors_of(FLOWN)
    assert mfr.metric(case_of(one)).reason == "no normaliser (--normalizer RUN or CSV)"
    for quantity in (mfr, mt5d):
        reason = quantity.metric(case_of(one, ALEXNET)).reason
        assert "in no source that could be read" in reason
        assert (
            "errors" in quantity.metric(case_of(one, CellErrors.from_run(passes_run(dataset="imagenet-p").run))).reason
        )
    other = errors_of(sequence_run("other", n=8, encoding="h264"))
    reason = mfr.metric(case_of(one, other)).reason
    assert reason == (
        "other was measured on other frames: 5 (translate 7) frames of h264 videos, here 5 (translate 7) lossless "
        "frames"
    )
    shorter = errors_of(sequence_run("other", n=8, difficulties=(1, 2), frames={"tilt": 4}))
    assert "other frames" in mt5d.metric(case_of(one, shorter)).reason
    # The frames of a perturbation that is not looked at do not matter.
    assert mfr.metric(case_of(one, shorter, corruptions=["rotate"])).value is not None


def test_a_normaliser_may_be_a_csv(tmp_path):
    path = write_flips(tmp_path / "resnext.csv", RESNEXT_FP, RESNEXT_UT5D)
    normalizer = CellErrors.from_csv(path)
    run = errors_of(sequence_run(n=8))
    case = case_of(run, normalizer)
    expected = statistics.fmean(100 * 100 * run.errors[p, 1] / fp for p, fp in zip(P10, RESNEXT_FP, strict=True))
    metric = OF_SEQUENCES["mFR"].metric(case)
    assert metric.label == "mFR[resnext,p10,d1,lossless]"
    assert metric.value == pytest.approx(expected)
    distances = [100 * run.distances[p, 1] / d for p, d in zip(P10, RESNEXT_UT5D, strict=True)]
    assert OF_SEQUENCES["mT5D"].metric(case).value == pytest.approx(statistics.fmean(distances))
    bare = CellErrors.from_csv(write_flips(tmp_path / "bare.csv", RESNEXT_FP))
    assert "no top-5 distances" in OF_SEQUENCES["mT5D"].metric(case_of(run, bare)).reason
    assert OF_SEQUENCES["mFP"].metric(case_of(normalizer)).value == pytest.approx(statistics.fmean(RESNEXT_FP))


def test_with_few_classes_there_is_no_top_five_distance():
    run = errors_of(sequence_run(n=6, distances=False))
    reason = OF_SEQUENCES["uT5D"].metric(case_of(run)).reason
    assert "fewer than 5 classes" in reason
    assert PerImage.of_distances(sequence_run(n=6, distances=False).run, Trials({})) is None


def test_headlines_are_over_the_ten_of_the_dataset():
    assert headline_perturbations([*P10, *P4]) == in_order(P10)
    assert headline_perturbations([*P10, *P4], "cifar10-p") == in_order(CIFAR_P10)
    assert headline_perturbations(["tilt", "snow"]) == ("snow", "tilt")
    run = sequence_run(n=4, perturbations=in_order([*P10, "spatter"]), dataset="cifar10-p")
    metric = OF_SEQUENCES["mFP"].metric(case_of(errors_of(run)))
    assert metric.label == "mFP[cifar-p10,d1,lossless]"


def test_runs_of_sequences_have_their_own_metrics_and_words():
    protocol = FLOWN.run.protocol
    assert quantities_of(protocol) is OF_SEQUENCES
    assert plain_of(protocol).name == "mFP"
    assert not has_labels(protocol)
    words = wording(protocol)
    assert (words.lost, words.what, words.level, words.letter) == (
        "flip probability",
        "perturbation",
        "difficulty",
        "d",
    )
