"""The report of a verdict: its table, its JSON and its CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ppbench.check.verdict import RuleOutcome, Status, Verdict, outcome_text
from ppbench.tables.numbers import decimals, ends, percent, signed
from ppbench.tables.report import Rows
from ppbench.tables.rows import rounded
from ppbench.tables.sheet import NOT_AVAILABLE, Line, Sheet, Tone


@dataclass(frozen=True)
class CheckReport:
    """The report of a verdict."""

    verdict: Verdict

    def sheets(self) -> list[Sheet]:
        """A line for each rule, and a note on each that does not pass."""
        verdict = self.verdict
        header = ("rule", "verdict", "drop", "allowed", f"{percent(verdict.confidence)} interval", "detects")
        notes = [
            f"{outcome.rule.name}: {outcome_text(outcome, verdict.confidence)}."
            for outcome in verdict.outcomes
            if outcome.status is not Status.PASS or verdict.fails(outcome)
        ]
        notes += [f"Warning: {warning}." for warning in verdict.warnings]
        rising = [f"{o.rule.name}: {o.rule.unit} gained" for o in verdict.outcomes if o.rule.change == "rise"]
        others = "".join(f"; {words}" for words in rising)
        notes.append(
            f"Drop: points of {verdict.kept} lost since the baseline, paired by {verdict.unit}{others}. The verdict "
            "follows from its interval, which holds for all rules at once. Detects: the smallest drop that these "
            "images would reveal with 80 % probability."
        )
        lines = tuple(_line(outcome, fails=verdict.fails(outcome)) for outcome in verdict.outcomes)
        return [Sheet(verdict.headline, header, lines, (0, 1), tuple(notes))]

    def as_dict(self) -> dict[str, Any]:
        """The verdict, with drops in the unit of each rule: points, or places of the top-5 distance."""
        verdict = self.verdict
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

    def rows(self) -> Rows:
        """A row for each rule."""
        records = [_outcome_dict(outcome) for outcome in self.verdict.outcomes]
        return Rows.of_records(records, list(records[0]))


def _line(outcome: RuleOutcome, *, fails: bool) -> Line:
    drop = outcome.adjusted
    numbers = (NOT_AVAILABLE, NOT_AVAILABLE) if drop is None else (signed(drop.value, 2), ends(drop, 2))
    cells = (
        outcome.rule.name,
        outcome.label,
        numbers[0],
        f"{outcome.rule.max_drop:g}",
        numbers[1],
        decimals(outcome.detects, 2),
    )
    is_pass = outcome.status is Status.PASS and not outcome.is_powerless
    tones: dict[int, Tone] = {1: "worse"} if fails else {1: "better"} if is_pass else {}
    return Line(cells, "group" if fails else "plain", tones=tones)


def _outcome_dict(outcome: RuleOutcome) -> dict[str, Any]:
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
        "detectable": rounded(outcome.detects),
        "detectable_worse": rounded(outcome.detectable_worse),
        "images_needed": outcome.images_needed,
        "reason": outcome.reason,
        "unit": outcome.rule.unit,
    }
