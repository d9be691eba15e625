"""Rankings: which runs are in one, which ranks they get, and which ranks the intervals allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ppbench.metrics.intervals import Interval
from ppbench.page.ranking import Entry, placed, rankings
from ppbench.report.summary import summarise
from tests.builders import make_classes, make_errors, make_run

CORRUPTIONS = ("fog", "snow")


def entry(error: float = 0.4, name: str = "net", margin: float | None = None, **fields: object) -> Entry:
    """A run of one error in all cells; with a margin in points its ranking metric has an interval."""
    corruptions = fields.pop("corruptions", CORRUPTIONS)
    errors = dict.fromkeys(make_errors(0, corruptions), error)  # type: ignore[arg-type]
    run = make_run(errors, name=name, corruptions=corruptions, **fields)  # type: ignore[arg-type]
    summary = summarise(run)
    if margin is not None:
        metrics = [
            replace(m, interval=Interval(m.value, m.value - margin, m.value + margin)) if m.name == "mean_error" else m
            for m in summary.metrics
        ]
        summary = replace(summary, metrics=tuple(metrics))
    return Entry(f"{name}.json", (), run, summary, f"runs/{name}.html")


def test_ranks_go_by_the_mean_error_and_equal_errors_share_one() -> None:
    places = placed([entry(0.5, "c"), entry(0.2, "a"), entry(0.3, "b"), entry(0.3, "d")])
    assert [(place.rank, place.entry.run.model.name) for place in places] == [(1, "a"), (2, "b"), (2, "d"), (4, "c")]
    assert all(place.reach == "" for place in places)  # without bits nobody knows


def test_the_range_has_all_ranks_that_the_intervals_allow() -> None:
    runs = [entry(0.20, "a", 2), entry(0.22, "b", 1), entry(0.30, "c", 3), entry(0.34, "d", 2), entry(0.50, "e", 1)]
    found = {place.entry.run.model.name: (place.best, place.worst, place.reach) for place in placed(runs)}
    assert found == {
        "a": (1, 2, "1 to 2"), "b": (1, 2, "1 to 2"), "c": (3, 4, "3 to 4"), "d": (3, 4, "3 to 4"), "e": (5, 5, "5"),
    }  # fmt: skip


def test_a_run_without_an_interval_could_be_anywhere_among_the_others() -> None:
    ranked = placed([entry(0.2, "a", 1), entry(0.3, "b"), entry(0.4, "c", 1)])
    places = {place.entry.run.model.name: place for place in ranked}
    assert (places["a"].best, places["a"].worst) == (1, 2)
    assert (places["b"].best, places["b"].worst, places["b"].rank) == (None, None, 2)
    assert (places["c"].best, places["c"].worst) == (2, 3)


@pytest.mark.parametrize(
    "fields",
    [
        {"recipe": "cifar-c"},
        {"dataset": "imagenet-c"},
        {"corruptions": ("fog",)},
        {"seed": 1},
        {"precision": "fp16"},
        {"ids_sha256": "9" * 64},
        {"classes": make_classes(n=5, outputs=10)},
        {"n": 500},
    ],
)
def test_runs_that_were_not_measured_alike_are_never_in_one_ranking(fields: dict[str, object]) -> None:
    found = rankings([entry(0.4, "a"), entry(0.3, "b", **fields), entry(0.2, "c")])
    assert [[one.run.model.name for one in ranking.entries] for ranking in found] == [["c", "a"], ["b"]]
    assert len({ranking.key for ranking in found}) == 2


def test_what_may_differ_does_not_part_runs() -> None:
    found = rankings([entry(0.4, "a"), entry(0.3, "b", preprocessing="otherwise")])
    assert len(found) == 1
    assert found[0].label == "mean_error[fog+snow,s1-5]"


def test_runs_without_a_value_have_no_rank() -> None:
    whole = entry(0.4, "a")
    errors = {cell: 0.1 for cell in make_errors(0, CORRUPTIONS) if cell != ("snow", 5)}
    run = make_run(errors, name="part", corruptions=CORRUPTIONS)
    part = Entry("part.json", (), run, summarise(run), "")
    found = rankings([part, whole])
    assert [len(ranking.places) for ranking in found] in ([1], [1, 0])
    assert sum(len(ranking.unranked) for ranking in found) == 1
