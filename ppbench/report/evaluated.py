"""The report of an evaluation. What its runs are compared with is loaded before the evaluation starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.references import Normalizer
from ppbench.report.load import customary_normalizer, load_cell_errors, load_normalizer
from ppbench.report.report import RunReport
from ppbench.report.side_by_side import told_apart
from ppbench.report.stopped import how_it_ended
from ppbench.report.summary import summarise
from ppbench.run import MeasuredRun, Run
from ppbench.tables.sheet import Sheet


class EvalReport(RunReport):
    """The runs of an evaluation. In a terminal, several of them are also shown one by one, with their details."""

    def terminal_sheets(self) -> list[Sheet]:
        """The tables of each run, then the one that sets them side by side."""
        each = [sheet for run in self.runs for sheet in RunReport([run]).sheets()] if len(self.runs) > 1 else []
        return [*each, *self.sheets()]


@dataclass(frozen=True)
class References:
    """What the runs of an evaluation are compared with."""

    normalizer: Normalizer | None
    baseline: CellErrors | None
    is_customary: bool
    """Whether the user chose no normaliser, so that it depends on the images."""

    @classmethod
    def load(cls, normalizer: str | None, baseline: str | None) -> References:
        """Read what the options ``--normalizer`` and ``--baseline`` name.

        Raises:
            UsageError: If a value is not allowed.
            DataError: If a file is missing or damaged.
        """
        chosen = load_normalizer(normalizer) if normalizer else None
        return cls(chosen, load_cell_errors(Path(baseline)) if baseline else None, normalizer is None)

    def report(self, results: Sequence[MeasuredRun]) -> EvalReport:
        """Report runs. Of several without a baseline, the first one is the baseline of the others.

        Models of one name, such as ``best.pth`` of two folders, are numbered.
        """
        names = told_apart([result.run.model.name for result in results])
        results = [_renamed(result, name) for result, name in zip(results, names, strict=True)]
        first = results[0]
        own = (
            CellErrors.from_run(first.run, first.bits, trials=first.trials)
            if len(results) > 1 and self.baseline is None
            else None
        )
        baseline = self.baseline or own
        normalizer = customary_normalizer(first.run, baseline) if self.is_customary else self.normalizer
        return EvalReport([
            summarise(
                result.run,
                normalizer,
                baseline,
                bits=result.bits,
                predictions=result.predictions,
                trials=result.trials,
            )
            for result in results
        ])  # fmt: skip


def _renamed(result: MeasuredRun, name: str) -> MeasuredRun:
    if name == result.run.model.name:
        return result
    model = result.run.model.model_copy(update={"name": name})
    return replace(result, run=result.run.model_copy(update={"model": model}))


def interrupted_line(runs: Sequence[Run]) -> str:
    """One line for people, after Ctrl-C: what the same command does. Nothing of unknown weights is used again."""
    unknown = [run.called for run in runs if run.model.weights_sha256 is None]
    again = f"starts over with {', '.join(unknown)}, whose weights are unknown" if unknown else "resumes from there"
    return f"finished results are kept; the same command {again}"


def stopping_line(run: Run) -> str:
    """One line for people: where an evaluation that could stop early ended; empty for any other."""
    stopping, protocol = run.stopping, run.protocol
    if stopping is None:
        return ""
    return (
        f"{run.called}: {how_it_ended(stopping, protocol.n, protocol.total)}; {stopping.metric} "
        f"{stopping.value:.2f}, {100 * stopping.confidence:g} % interval {stopping.low:.2f} to {stopping.high:.2f}, "
        "valid at every look"
    )
