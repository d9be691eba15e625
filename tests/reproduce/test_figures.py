"""Figures over seeds: against plain loops over the bits, and intervals against a bootstrap over images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ppbench.cli.output import Format, written
from ppbench.errors import DataError
from ppbench.reproduce.figures import Results, SeedRun, compute
from ppbench.reproduce.report import TableReport
from ppbench.run import MeasuredRun
from ppbench.vocabulary import C15, CLEAN, SEVERITIES
from tests.builders import Key, make_run
from tests.oracles.bootstrap import standard_error
from tests.oracles.corruption_error import net_robustness
from tests.reproduce.miniature import make_table

N = 400
Bits = dict[Key, NDArray[np.bool_]]
TABLE = make_table()


def draw(seed: int, shift: float) -> Bits:
    """Where a model is wrong: images have a difficulty of their own, the same for all models."""
    difficulty = np.random.default_rng(99).normal(size=N)
    random = np.random.default_rng(seed)
    keys = [(CLEAN, 0), *((c, s) for c in C15 for s in SEVERITIES)]
    return {
        key: difficulty + random.normal(size=N) + shift + 0.25 * key[1] + 0.05 * (len(key[0]) % 5) > 1.2 for key in keys
    }


def measured(seed: int, wrong: Bits, name: str = "net") -> SeedRun:
    run = make_run({key: hit.mean() for key, hit in wrong.items()}, name=name, n=N)
    return SeedRun(seed, MeasuredRun(run, {key: ~hit for key, hit in wrong.items()}))


PLAIN = [draw(1, 0.0), draw(2, 0.1)]
OTHER = [draw(3, -0.1), draw(4, -0.2)]


@pytest.fixture(scope="module")
def results() -> Results:
    networks = {
        "plain": [measured(seed, wrong) for seed, wrong in enumerate(PLAIN)],
        "pp3": [measured(seed, wrong) for seed, wrong in enumerate(OTHER)],
    }
    return compute(TABLE, TABLE.rows, networks, {})


def clean(models: list[Bits], places: NDArray[np.int64]) -> float:
    """Percent, mean over models."""
    return 100 * float(np.mean([model[CLEAN, 0][places].mean() for model in models]))


def corrupted(models: list[Bits], places: NDArray[np.int64], names: tuple[str, ...] = C15) -> float:
    """Percent, mean over models, corruptions and severities."""
    return 100 * float(np.mean([model[c, s][places].mean() for model in models for c in names for s in SEVERITIES]))


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


def test_the_seeds_stand_beside_each_other(results: Results) -> None:
    sheet = TableReport(results).sheets()[-1]
    assert sheet.title == "By seed: 0, 1"
    values = [figure.by_seed for figure in results.rows[1].figures]
    assert sheet.lines[1].cells[1] == f"{values[0][0]:.2f} / {values[0][1]:.2f}"
    assert sheet.lines[1].cells[3] == f"{values[1][0]:.2f} / {values[1][1]:.2f}"
    changes = results.rows[1].against[1].by_seed
    assert sheet.lines[1].cells[-1] == f"{changes[0]:+.2f} / {changes[1]:+.2f}"
    assert sheet.lines[0].cells[-1] == "–"


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


def test_a_table_that_is_not_finished_says_what_is_missing() -> None:
    failures = {"plain": {"plain-0": DataError("the loss is not finite")}}
    nothing = compute(TABLE, TABLE.rows, {}, failures)
    (table,) = TableReport(nothing).sheets()
    assert [line.cells[1:] for line in table.lines] == [("–", "–", "–")] * 2
    assert "ResNet-8: plain-0 failed (the loss is not finite)." in table.notes
    assert any("not trained or not measured yet: + PP3" in note for note in table.notes)
    without = compute(TABLE, TABLE.rows, {"pp3": [measured(0, OTHER[0])]}, {})
    assert without.rows[1].figures[2].metric.reason == "the row plain is not measured"
    assert any("n/a: R_net[plain,c15,s1-5]" in note for note in TableReport(without).sheets()[0].notes)


def test_one_seed_has_no_range_and_says_so() -> None:
    results = compute(TABLE, TABLE.rows, {"plain": [measured(0, PLAIN[0])], "pp3": [measured(0, OTHER[0])]}, {})
    assert results.rows[1].figures[0].range is None
    tables = TableReport(results).sheets()
    assert [table.title for table in tables[1:]] == ["Against ResNet-8"]
    assert any("One training a row" in note for note in tables[0].notes)


def test_published_figures_stand_beside_the_measured() -> None:
    published = {"clean_error": 26.9, "R_net[plain,c15,s1-5]": 1.67}
    rows = [TABLE.rows[0], TABLE.rows[1].model_copy(update={"published": published})]
    table = make_table(rows=rows, protocol_differences=["Other images."])
    results = compute(table, table.rows, {"plain": [measured(0, PLAIN[0])], "pp3": [measured(0, OTHER[0])]}, {})
    sheet = TableReport(results).sheets()[0]
    assert sheet.header[1:3] == ("clean_error published", "clean_error measured")
    assert [sheet.lines[1].cells[place] for place in (1, 3, 5)] == ["26.90", "–", "1.67"]
    assert "Differs from the publication: Other images." in sheet.notes


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
    assert any("checkpoints' cards" in note for note in TableReport(results).sheets()[0].notes)


def test_all_formats_tell_the_same(results: Results) -> None:
    report = TableReport(results)
    content = report.as_dict()
    value = results.rows[1].figures[1].metric.value
    assert value is not None
    assert content["rows"][1]["measured"][1]["value"] == pytest.approx(value)
    csv = written(report, Format.CSV).splitlines()
    assert csv[0] == "row,what,label,seed,value,unit,low,high,p,reason"
    line = next(line for line in csv if line.startswith('pp3,measured,"mean_error[c15,s1-5]",,'))
    assert float(line.split('",,')[1].split(",")[0]) == pytest.approx(value)
    for form in (Format.MARKDOWN, Format.LATEX):
        assert f"{value:.2f}" in written(report, form)
