"""From runs to the content of one kind of figure, for the command line and for notebooks. Needs no matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ppbench.compare.comparison import Comparison
from ppbench.compare.files import compare_files
from ppbench.compare.measured import distinct_names
from ppbench.errors import DataError, UsageError
from ppbench.figures.content import HeatMap, SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.over_time import OverTime
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.files import is_same_file
from ppbench.lookup import check_name
from ppbench.metrics.without_labels import has_labels, without_classes
from ppbench.report.load import load_results, load_summary
from ppbench.report.summary import RunSummary
from ppbench.run import Run, read_bits, read_run

KINDS: dict[str, tuple[str, ...]] = {
    "heatmap": ("error", "CE", "difference"),
    "severity": (),
    "forest": (),
    "reliability": (),
    "scatter": ("mCE", "mean_error"),
    "stream": (),
}
"""The kinds of figures, with the quantities that each can be of, if there is a choice."""

RunOrFile = Path | Run
"""A run file or CSV, or a run in memory."""

Content = HeatMap | SeverityCurves | tuple[Forest, ...] | Reliability | Scatter | OverTime


@dataclass(frozen=True)
class PlotRequest:
    """What the user wants to see."""

    kind: str
    """One of `KINDS`."""
    runs: tuple[RunOrFile, ...]
    baseline: RunOrFile | None = None
    """The run that differences start from; severity curves have it in grey, a scatter plot as a point."""
    normalizer: str | None = None
    """A value for `ppbench.report.load.load_normalizer`; None for the customary one."""
    confidence: float = 0.95
    allow: tuple[str, ...] = ()
    """Fields of the protocol that may differ."""
    quantity: str | None = None
    """One of the kind's quantities; None for the first that the runs have."""

    def content(self) -> Content:
        """Read what is needed and take its numbers.

        Raises:
            UsageError: If a value is not allowed, or there are too few or too many runs.
            DataError: If a file is missing or damaged, or has no bits where the kind needs them.
            NotComparableError: If the runs were not measured in the same way.
        """
        check_name("kind of figure", self.kind, KINDS, "ppbench plot --help")
        quantities = KINDS[self.kind]
        if self.quantity is not None:
            if not quantities:
                raise UsageError(
                    f"--quantity {self.quantity} is not allowed with {self.kind}", "That figure has one quantity."
                )
            check_name(f"quantity of a {self.kind} figure", self.quantity, quantities, "ppbench plot --help")
        made: dict[str, Callable[[], Content]] = {
            "heatmap": self._heat_map,
            "severity": self._curves,
            "forest": self._forests,
            "reliability": self._reliability,
            "scatter": self._scatter,
            "stream": self._over_time,
        }
        return made[self.kind]()

    def _heat_map(self) -> HeatMap:
        only = self._only_run()
        if self.quantity in ("error", "CE"):
            self._require_labels([self._summary(only)], f"--quantity {self.quantity}")
        if self.quantity != "difference":
            made = HeatMap.of_ratios if self.quantity == "CE" else HeatMap.of_errors
            return made(self._summary(only))
        if self.baseline is None:
            raise UsageError("a heat map of differences needs a baseline", "Add `--baseline RUN`.")
        return HeatMap.of_differences(self._comparisons([self.baseline, only])[0])

    def _curves(self) -> SeverityCurves:
        baseline = None if self.baseline is None else self._summary(self.baseline)
        runs = self._others() or self.runs
        return SeverityCurves.of([self._summary(run) for run in runs], _names(runs), baseline, self.allow)

    def _forests(self) -> tuple[Forest, ...]:
        others = self._others()
        runs = self.runs if self.baseline is None else (self.baseline, *others)
        if self.baseline is not None and not others:
            raise UsageError(
                f"--baseline {_file_of(self.baseline)} is the run itself",
                "Give the run that it is compared with: `--baseline OTHER.json`.",
            )
        if len(runs) < 2:
            raise UsageError("a forest plot needs two runs", "Add `--baseline RUN`, or name the reference first.")
        return tuple(map(Forest.of, self._comparisons(runs)))

    def _reliability(self) -> Reliability:
        only = self._only_run()
        run = only if isinstance(only, Run) else load_results(only)
        if not isinstance(run, Run):
            raise DataError(f"{only} is a CSV, which has no probabilities", "Give a run file of `ppbench eval`.")
        self._require_labels([self._summary(run)], "a reliability diagram")
        return Reliability.of(run, confidence=self.confidence)

    def _scatter(self) -> Scatter:
        runs = self.runs if self.baseline is None else (self.baseline, *self._others())
        summaries = [self._summary(run) for run in runs]
        self._require_labels(summaries, "a scatter plot of errors")
        return Scatter.of(summaries, _names(runs), self.quantity, self.allow)

    def _over_time(self) -> OverTime:
        sources = self.runs if self.baseline is None else (self.baseline, *self._others())
        files = [_file_of(source) for source in sources]
        runs = [read_run(file) for file in files]
        bits = [read_bits(file, run) for file, run in zip(files, runs, strict=True)]
        return OverTime.of(runs, bits, _names(sources), self.confidence, self.allow)

    @staticmethod
    def _require_labels(summaries: Sequence[RunSummary], what: str) -> None:
        """Raise `UsageError` for a figure of errors or accuracies of a run without labels."""
        for summary in summaries:
            protocol = summary.cell_errors.protocol
            if not has_labels(protocol):
                raise UsageError(
                    f"{what} of {summary.cell_errors.source} cannot be drawn: {without_classes(protocol)}",
                    "Draw `--kind heatmap`, `severity` or `forest`, without --quantity.",
                )

    def _only_run(self) -> RunOrFile:
        if len(self.runs) != 1:
            raise UsageError(
                f"a {self.kind} figure is of one run, and {len(self.runs)} are given",
                "Draw one figure for each; `--kind severity` and `--kind scatter` take several.",
            )
        return self.runs[0]

    def _others(self) -> tuple[RunOrFile, ...]:
        """The runs without the baseline."""
        return tuple(run for run in self.runs if self.baseline is None or not _is_same(run, self.baseline))

    def _summary(self, source: RunOrFile) -> RunSummary:
        baseline = None if self.baseline is None else str(_file_of(self.baseline))
        return load_summary(source, self.normalizer, baseline, self.confidence)

    def _comparisons(self, sources: Sequence[RunOrFile]) -> list[Comparison]:
        return compare_files([_file_of(one) for one in sources], self.normalizer, self.confidence, list(self.allow))


def _names(sources: Sequence[RunOrFile]) -> list[str]:
    """Names as `ppbench compare` gives them: the models', or the files' if models share a name."""
    models = []
    for source in sources:
        results = source if isinstance(source, Run) else load_results(source)
        models.append(results.called if isinstance(results, Run) else results.source)
    files = [source if isinstance(source, Path) else source.path or Path(source.model.name) for source in sources]
    return distinct_names(files, models)


def _is_same(one: RunOrFile, other: RunOrFile) -> bool:
    files = [source.path if isinstance(source, Run) else source for source in (one, other)]
    return one is other or (files[0] is not None and files[1] is not None and is_same_file(files[0], files[1]))


def _file_of(source: RunOrFile) -> Path:
    """The file of a run, which must still hold it.

    Raises:
        DataError: If the run is in no file, so that nobody has its results image by image.
    """
    if isinstance(source, Path):
        return source
    hint = "Write it with `ppbench.evaluate(…, output='run.json')`, and read it with `ppbench.load_run('run.json')`."
    if source.path is None:
        raise DataError(f"the run of {source.model.name} is in no file, so it has no bits to pair", hint)
    if read_run(source.path).cells != source.cells:
        raise DataError(f"{source.path} no longer holds this run of {source.model.name}", hint)
    return source.path
