"""A verdict as a table of text, and in the formats of the other reports."""

from __future__ import annotations

from typing import Any

from ppbench.check.verdict import Outcome, Status, Verdict, column_of_interval, describe, interval_words
from ppbench.tables.escapes import to_json
from ppbench.tables.numbers import decimals
from ppbench.tables.rows import csv_of_records, rounded
from ppbench.tables.sheet import Kind, Line, Sheet
from ppbench.tables.text import to_latex, to_markdown


def sheet(verdict: Verdict) -> Sheet:
    """A line for each rule, and in words below what is not a pass."""
    header = ("rule", "verdict", "drop", "allowed", column_of_interval(verdict.confidence), "shows")
    lines = tuple(_line(outcome, verdict) for outcome in verdict.outcomes)
    notes = [
        f"{outcome.rule.name}: {describe(outcome, verdict.confidence)}."
        for outcome in verdict.outcomes
        if outcome.status is not Status.PASS or verdict.fails(outcome)
    ]
    notes += [f"Warning: {warning}." for warning in verdict.warnings]
    notes.append(
        "Drop: points of accuracy lost since the baseline, paired by image; the verdict is read from its interval, "
        "which holds for all rules at once; shows: the smallest drop that these images show four times of five."
    )
    return Sheet(verdict.headline, header, lines, (0, 1), tuple(notes))


def export(verdict: Verdict, form: str) -> str:
    """Write as ``json``, ``csv``, ``markdown`` or ``latex``."""
    if form in ("markdown", "latex"):
        return {"markdown": to_markdown, "latex": to_latex}[form](sheet(verdict))
    if form == "json":
        return to_json(as_dict(verdict))
    records = [_outcome_dict(outcome) for outcome in verdict.outcomes]
    return csv_of_records(list(records[0]), records)


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The verdict as lists, dicts, texts and numbers; drops in points."""
    return {
        "verdict": "pass" if verdict.passed else "regression",
        "exit_code": verdict.exit_code,
        "run": verdict.run,
        "baseline": verdict.baseline,
        "n": verdict.n,
        "confidence": verdict.confidence,
        "fail_on": str(verdict.strictness.fail_on),
        "on_powerless": str(verdict.strictness.on_powerless),
        "rules": [_outcome_dict(outcome) for outcome in verdict.outcomes],
        "warnings": list(verdict.warnings),
    }


def _outcome_dict(outcome: Outcome) -> dict[str, Any]:
    drop, adjusted = outcome.drop, outcome.adjusted
    return {
        "rule": outcome.rule.name,
        "max_drop": outcome.rule.max_drop,
        "status": str(outcome.status),
        "powerless": outcome.is_powerless,
        "drop": rounded(drop and drop.value),
        "low": rounded(drop and drop.low),
        "high": rounded(drop and drop.high),
        "adjusted_low": rounded(adjusted and adjusted.low),
        "adjusted_high": rounded(adjusted and adjusted.high),
        "p": outcome.p,
        "detectable": rounded(outcome.detectable),
        "detectable_worse": rounded(outcome.detectable_worse),
        "images_needed": outcome.images_needed,
        "reason": outcome.reason,
    }


def _line(outcome: Outcome, verdict: Verdict) -> Line:
    drop, interval = interval_words(outcome)
    shows = "n/a" if outcome.detectable is None else decimals(outcome.detectable, 2)
    kind: Kind = "group" if verdict.fails(outcome) else "plain"
    cells = (outcome.rule.name, outcome.label, drop, f"{outcome.rule.max_drop:g}", interval, shows)
    return Line(cells, kind)
