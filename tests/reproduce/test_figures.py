"""Figures over seeds: against plain loops over the bits, and intervals against a bootstrap over images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ppbench.reproduce.figures import Results, SeedRun, compute
from ppbench.reproduce.report import ReproduceReport
from ppbench.vocabulary import C15, CLEAN, SEVERITIES
from tests.oracles.bootstrap import standard_error
from tests.oracles.corruption_error import net_robustness
from tests.reproduce.miniature import make_table
from tests.reproduce.synthetic import OTHER, PLAIN, TABLE, Bits, N, draw, make_results, measured


@pytest.fixture(scope="module")
def results() -> Results:
    return make_results()


def clean(models: list[Bits], places: NDArray[np.int64]) -> float:
    """Percent, mean over models."""
    return 100 * float(np.mean([model[CLEAN, 0][places].mean() for model in models]))


def corrupted(models: list[Bits], places: NDArray[np.int64], names: tuple[str, ...] = C15) -> float:
    """Percent, mean over models, corruptions and severities."""
    bits = np.stack([model[c, s] for model in models for c in names for s in SEVERITIES])
    return 100 * float(bits[:, places].mean())


def net(places: NDArray[np.int64]) -> float:
    own = (clean(OTHER, places) / 100, corrupted(OTHER, places) / 100)
    base = (clean(PLAIN, places) / 100, corrupted(PLAIN, places) / 100)
    return float(net_robustness(*own, *base))


ALL = np.arange(N)


def test_figures_are_means_over_the_seeds(results: Results) -> None:
    values = [[figure.metric.value for figure in row.figures] for row in results.rows]
    assert values[0] == pytest.approx([clean(PLAIN, ALL), corrupted(PLAIN, ALL), 0.0])
    assert values[1] == pytest.approx([clean(OTHER, ALL), corrupted(OTHER, ALL), net(ALL)])


def test_each_seed_is_told_with_the_range(results: Results) -> None:
    for row, models in zip(results.rows, (PLAIN, OTHER), strict=True):
        error = row.figures[1]
        single = [corrupted([model], ALL) for model in models]
        assert list(error.by_seed.values()) == pytest.approx(single)
        assert error.range == pytest.approx(max(single) - min(single))
    own_net = results.rows[1].figures[2].by_seed
    expected = [
        net_robustness(
            clean([o], ALL) / 100, corrupted([o], ALL) / 100, clean([p], ALL) / 100, corrupted([p], ALL) / 100
        )
        for o, p in zip(OTHER, PLAIN, strict=True)
    ]
    assert list(own_net.values()) == pytest.approx(expected)


def test_intervals_are_those_of_a_bootstrap_over_images(results: Results) -> None:
    statistics = (lambda places: clean(OTHER, places), lambda places: corrupted(OTHER, places), net)
    for figure, statistic in zip(results.rows[1].figures, statistics, strict=True):
        assert figure.metric.interval is not None
        half = (figure.metric.interval.high - figure.metric.interval.low) / 2
        assert half == pytest.approx(1.96 * standard_error(statistic, N, draws=400), rel=0.12)
    assert results.rows[0].figures[2].metric.interval is None  # R_net of the baseline is 0 whatever the images


def test_differences_are_paired(results: Results) -> None:
    against = {difference.name: difference for difference in results.rows[1].against}
    assert list(against) == ["clean_error", "mean_error[c15,s1-5]", "noise", "blur", "weather", "digital"]
    noise = ("gaussian_noise", "shot_noise", "impulse_noise")

    def difference(places: NDArray[np.int64]) -> float:
        return corrupted(OTHER, places, noise) - corrupted(PLAIN, places, noise)

    found = against["noise"]
    assert found.points.value == pytest.approx(difference(ALL))
    assert found.points.margin == pytest.approx(1.96 * standard_error(difference, N, draws=400), rel=0.12)
    single = [corrupted([o], ALL, noise) - corrupted([p], ALL, noise) for o, p in zip(OTHER, PLAIN, strict=True)]
    assert list(found.by_seed.values()) == pytest.approx(single)
    assert results.rows[0].against == ()


def test_p_values_are_adjusted_for_the_rows() -> None:
    row = TABLE.rows[1]
    twice = make_table(rows=[*TABLE.rows, row.model_copy(update={"id": "again"})])
    plain, other = [measured(0, PLAIN[0])], [measured(0, draw(7, 0.03))]
    alone = compute(TABLE, TABLE.rows, {"plain": plain, "pp3": other}, {})
    both = compute(twice, twice.rows, {"plain": plain, "pp3": other, "again": other}, {})
    single, adjusted = (results.rows[1].against[1].p for results in (alone, both))
    assert 0 < single < 0.5
    assert adjusted == pytest.approx(2 * single)


def test_a_clean_error_that_only_the_card_has_is_used_without_interval() -> None:
    """A published set of corrupted images has no clean ones."""

    def unclean(seed: int, wrong: Bits, accuracy: float) -> SeedRun:
        whole = measured(seed, {key: hit for key, hit in wrong.items() if key != (CLEAN, 0)}).measured
        model = whole.run.model.model_copy(update={"card": {"clean_accuracy": accuracy}})
        return SeedRun(seed, replace(whole, run=whole.run.model_copy(update={"model": model})))

    networks = {"plain": [unclean(0, PLAIN[0], 0.7)], "pp3": [unclean(0, OTHER[0], 0.75)]}
    results = compute(TABLE, TABLE.rows, networks, {})
    error, mean, r_net = (figure.metric for figure in results.rows[1].figures)
    assert error.value == pytest.approx(25)
    assert mean.interval is not None
    expected = net_robustness(0.25, corrupted(OTHER[:1], ALL) / 100, 0.3, corrupted(PLAIN[:1], ALL) / 100)
    assert r_net.value == pytest.approx(expected)
    assert error.interval is None
    assert r_net.interval is None
    assert results.rows[1].against[0].name == "mean_error[c15,s1-5]"
    assert any("checkpoints' cards" in note for note in ReproduceReport(results).sheets()[0].notes)
