"""What is wanted of a card, and what a record of the check says of it. Free of torch."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ppbench.vocabulary import C15

Rows = list[dict[str, Any]]
Find = Callable[[Rows], float | None]


@dataclass(frozen=True)
class Goal:
    """A limit for one figure of a part."""

    name: str
    part: str
    find: Find
    """The figure, from the part's rows; None if it was not measured."""
    at_most: float | None = None
    at_least: float | None = None
    digits: int = 0
    is_exact: bool = False
    """Whether another figure than the goal's means wrong results, on a card."""
    is_of_card: bool = True
    """Whether only a card is asked for it; otherwise every device is."""

    def is_met(self, value: float) -> bool:
        """Whether a figure is good enough."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0)


def largest(key: str, **wanted: Any) -> Find:
    """The largest value of a column, over the rows with the wanted values."""
    return lambda rows: max(_values(rows, key, wanted), default=None)


def last(key: str) -> Find:
    """The last value of a column, of a part whose later rows replace the earlier ones."""
    return lambda rows: next((row[key] for row in reversed(rows) if row.get(key) is not None), None)


def total(key: str, **wanted: Any) -> Find:
    """The sum of a column."""

    def find(rows: Rows) -> float | None:
        values = list(_values(rows, key, wanted))
        return sum(values) if values else None

    return find


def over_c15(mean: Callable[[Iterable[float]], float]) -> Find:
    """A mean of the rates of the 15 common corruptions at the batch of the goals, made in the faster way.

    There are two ways: with compiled graphs, as evaluations of many images are made, and without.
    """

    def find(rows: Rows) -> float | None:
        faster = faster_way(rows)
        return None if faster is None else mean([row["rate"] for row in faster if row["name"] in C15])

    return find


def faster_way(rows: Rows) -> Rows | None:
    """The rows of the engine, at the batch of the goals, of the way with the higher median; None if none is whole."""
    ways: dict[str, Rows] = {}
    for row in rows:
        if row.get("is_main"):
            ways.setdefault(row["way"], []).append(row)
    rates = {way: {row["name"]: row["rate"] for row in found} for way, found in ways.items()}
    whole = {way: [found[name] for name in C15] for way, found in rates.items() if set(C15) <= set(found)}
    return ways[max(whole, key=lambda way: statistics.median(whole[way]))] if whole else None


def slowest(rows: Rows) -> float | None:
    """The lowest rate of a corruption, made in the faster way."""
    faster = faster_way(rows)
    return None if faster is None else min(row["rate"] for row in faster)


def _values(rows: Rows, key: str, wanted: dict[str, Any]) -> Iterable[float]:
    return (
        row[key] for row in rows if row.get(key) is not None and all(row.get(k) == v for k, v in wanted.items())
    )  # fmt: skip


GOALS = (
    Goal("corruptions: largest difference, levels", "corruptions", largest("largest"), at_most=1, is_of_card=False),
    Goal("definitions: largest difference, levels", "definition", largest("largest"), at_most=1, is_exact=True),
    Goal("C-bar: largest difference, levels", "c-bar", largest("largest"), at_most=1, is_of_card=False),
    Goal("sequences: largest difference, levels", "sequences", largest("largest"), at_most=1, is_of_card=False),
    Goal("JPEG: values that differ from libjpeg's", "jpeg", total("differing"), at_most=0, is_of_card=False),
    Goal(
        "push-pull layer: largest relative error, float32", "layer", largest("relative"),
        at_most=1e-4, digits=7, is_of_card=False,
    ),
    Goal(
        "networks: largest difference of a logit, fp32, in standard deviations", "networks",
        largest("largest", precision="fp32"), at_most=1e-3, digits=6, is_of_card=False,
    ),
    Goal(
        "run files: images that are right on one device alone", "run-files", total("flipped"),
        at_most=0, is_of_card=False,
    ),
    Goal("two processes: run files that differ", "processes", total("differ"), at_most=0, is_of_card=False),
    Goal("too large a batch: results that differ", "memory", total("differ"), at_most=0, is_exact=True),
    Goal("kill and resume: run files that differ", "resume", total("differ"), at_most=0, is_of_card=False),
    Goal(
        "compiled corruptions: largest difference, levels", "engine", largest("largest", way="compiled"), at_most=1,
        is_exact=True,
    ),
    Goal("engine, median over the 15, images/s", "engine", over_c15(statistics.median), at_least=60_000),
    Goal("engine, median over the 15, images/s, later", "engine", over_c15(statistics.median), at_least=200_000),
    Goal("engine, geometric mean over the 15, images/s", "engine", over_c15(statistics.geometric_mean)),
    Goal("engine, slowest corruption, images/s", "engine", slowest, at_least=20_000),
    Goal("evaluation on the fly / forward passes alone, bf16", "evaluation", last("ratio"), at_least=0.9, digits=3),
    Goal("ImageNet-C with ResNet-50, cold, minutes", "evaluation", last("cold_minutes"), at_most=10, digits=1),
    Goal("ImageNet-C with ResNet-50, warm, minutes", "evaluation", last("warm_minutes"), at_most=6, digits=1),
    Goal(
        "the same with --compile: evaluation / forward passes", "evaluation-compiled", last("ratio"),
        at_least=0.9, digits=3,
    ),
    Goal("the same with --compile: cold, minutes", "evaluation-compiled", last("cold_minutes"), 10, digits=1),
    Goal("the same with --compile: warm, minutes", "evaluation-compiled", last("warm_minutes"), 6, digits=1),
    Goal(
        "ResNet-50 push-pull / plain, inference", "push-pull", largest("ratio", work="inference"),
        at_most=1.03, digits=3,
    ),
    Goal(
        "ResNet-50 push-pull / plain, training step", "push-pull", largest("ratio", work="training step"),
        at_most=1.08, digits=3,
    ),
)  # fmt: skip

MET, MISSED, NOT_MEASURED, OF_A_CARD, NO_GOAL = "met", "missed", "not measured", "only for a card", "none"


def judged(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The goals of the parts of a record, each with its figure and whether it is met."""
    found = []
    is_card = record["settings"]["device"] != "cpu"
    for goal in GOALS:
        if goal.part not in record["parts"]:
            continue
        value = goal.find(record["parts"][goal.part]["rows"])
        if goal.is_of_card and not is_card:
            verdict = OF_A_CARD
        elif value is None:
            verdict = NOT_MEASURED
        elif goal.at_most is None and goal.at_least is None:
            verdict = NO_GOAL
        else:
            verdict = MET if goal.is_met(value) else MISSED
        found.append(
            {
                "name": goal.name, "part": goal.part, "value": value, "at_most": goal.at_most,
                "at_least": goal.at_least, "digits": goal.digits, "verdict": verdict,
                "is_equality": goal.is_exact or not goal.is_of_card,
            }
        )  # fmt: skip
    return found
