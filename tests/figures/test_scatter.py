from __future__ import annotations

import pytest

from ppbench.errors import NotComparableError, UsageError
from ppbench.figures.scatter import MOST_POINTS_OF_RUNS, Scatter, point_style
from ppbench.metrics.published import CLEAN_ERROR, MCE, published_sets
from ppbench.metrics.references import ALEXNET
from ppbench.report.run_data import run_dict
from ppbench.report.summary import RunSummary, summarise
from ppbench.tables.rows import low_and_high, rounded
from tests.builders import make_run
from tests.figures.runs import better, plain, summary_of, with_gaps


def test_points_are_the_metrics_of_show() -> None:
    summaries = [summary_of(plain()), summary_of(better())]
    content = Scatter.of(summaries)
    assert (content.x_label, content.y_label) == ("clean_error", summaries[0].metrics[2].label)
    for point, summary in zip(content.runs, summaries, strict=True):
        report = {metric["name"]: metric for metric in run_dict(summary)["metrics"]}
        for metric in (point.x, point.y):
            assert rounded(metric.value) == report[metric.name]["value"]
            assert low_and_high(metric.interval) == {end: report[metric.name][end] for end in ("low", "high")}


def test_without_a_common_normaliser_the_mean_error_is_drawn() -> None:
    bare = summarise(better().run)
    assert bare.metrics[2].value is None
    assert Scatter.of([summary_of(plain()), bare]).y_label == bare.overall.mean_error.label
    assert Scatter.of([summary_of(plain())], quantity="mean_error").runs[0].y.name == "mean_error"


def test_a_run_with_gaps_has_no_place_and_a_reason() -> None:
    point = Scatter.of([summary_of(plain()), summary_of(with_gaps())]).runs[1]
    assert not point.has_values
    assert "gaps lacks 3 of 20 cells" in str(point.y.reason)


def of_imagenet(**protocol: object) -> RunSummary:
    wanted = {"dataset": "imagenet-c", "source": "published", **protocol}
    return summarise(make_run(**wanted), ALEXNET)  # type: ignore[arg-type]


def test_published_results_stand_beside_runs_of_their_label_alone() -> None:
    content = Scatter.of([of_imagenet()])
    assert [(point.name, point.y.value) for point in content.published] == [
        (row.name, row.values[MCE])
        for one in published_sets().values()
        for row in one.rows
        if {MCE, CLEAN_ERROR} <= set(row.values)
    ]
    assert all(point.source for point in content.published)
    others = (
        {"total": 50_000}, {"source": "generated-jpeg85"}, {"dataset": "tiny-imagenet-c"}, {"severities": (1, 2)},
    )  # fmt: skip
    assert not [other for other in others if Scatter.of([of_imagenet(**other)]).published]
    assert not Scatter.of([of_imagenet()], quantity="mean_error").published


def test_ticks_reach_around_points_and_intervals() -> None:
    content = Scatter.of([summary_of(plain()), summary_of(better())])
    for marks, metrics in (
        (content.x_ticks, [p.x for p in content.runs]),
        (content.y_ticks, [p.y for p in content.runs]),
    ):
        assert marks[0] <= min(m.interval.low for m in metrics if m.interval)
        assert marks[-1] >= max(m.interval.high for m in metrics if m.interval)


def test_a_plot_without_any_place_has_axes() -> None:
    content = Scatter.of([summary_of(with_gaps())])
    assert content.x_ticks == content.y_ticks == [0, 25, 50, 75, 100]


def test_other_protocols_and_too_many_runs_are_refused() -> None:
    with pytest.raises(NotComparableError, match="was not measured like plain"):
        Scatter.of([summary_of(plain()), of_imagenet()])
    with pytest.raises(UsageError, match="37 runs"):
        Scatter.of([summary_of(plain())] * 37)


def test_no_two_points_look_alike() -> None:
    assert len({point_style(number) for number in range(MOST_POINTS_OF_RUNS)}) == MOST_POINTS_OF_RUNS
