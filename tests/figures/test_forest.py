from __future__ import annotations

from ppbench.compare.comparison import compare
from ppbench.compare.difference import Difference
from ppbench.figures.forest import Forest, ForestRow
from tests.figures.runs import better, difference, plain


def test_a_forest_has_the_differences_with_their_marks() -> None:
    content = Forest.of(difference())
    headline, by_family = content.sections
    assert [row.name for row in headline.rows] == ["clean error", "mean error", "mCE", "relative mCE", "R_net"]
    assert [row.name for row in by_family.rows] == ["noise", "gaussian_noise", "shot_noise", "weather", "snow", "fog"]
    differences = {d.key: d for d in difference().differences}
    for row in (*headline.rows, *by_family.rows):
        assert row.difference is differences[row.difference.key]
        assert row.is_shown == row.difference.is_shown(0.05)
    verdicts = {row.name: row.verdict for row in by_family.rows}
    assert verdicts["noise"] == "better"
    assert verdicts["weather"] == "worse"


def test_more_of_r_net_is_better() -> None:
    def verdict(metric: str, change: float, is_shown: bool = True) -> str:
        difference = Difference("metric", metric, metric, metric, 50.0, 50.0 + change)
        return ForestRow(metric, "metric", difference, is_shown).verdict

    assert [verdict("R_net", 1.0), verdict("R_net", -1.0)] == ["better", "worse"]
    assert [verdict("mean_error", 1.0), verdict("mean_error", -1.0)] == ["worse", "better"]
    assert [verdict("mCE", 1.0, is_shown=False), verdict("mCE", 0.0)] == ["undecided", "undecided"]


def test_the_axis_of_a_section_has_zero_and_all_intervals() -> None:
    for section in Forest.of(difference()).sections:
        ends = [end for row in section.rows if (i := row.metric.interval) for end in (i.low, i.high)]
        assert section.ticks[0] <= min(0, *ends)
        assert section.ticks[-1] >= max(0, *ends)
        assert 0 in section.ticks


def test_without_a_normaliser_a_forest_leaves_out_what_needs_one() -> None:
    names = [row.name for row in Forest.of(compare(plain(), better(), None)).sections[0].rows]
    assert names == ["clean error", "mean error", "R_net"]


def test_a_single_image_has_differences_without_intervals() -> None:
    content = Forest.of(compare(plain(n=1), better(n=1), None))
    assert all(row.metric.interval is None and row.verdict == "undecided" for s in content.sections for row in s.rows)
