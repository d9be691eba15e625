"""The report of runs as one page: every number is computed before a template sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ppbench.compare.consistency import consistency_sheet
from ppbench.figures.content import HeatMap, SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.heat_table import heat_table
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.figures.svg import curves_svg, forest_svg
from ppbench.figures.svg_diagrams import reliability_svg, scatter_svg
from ppbench.metrics.metric import Metric
from ppbench.metrics.without_labels import Wording, has_labels, has_normalizer, wording
from ppbench.page.conditions import Condition, Lack, lacks, protocol_conditions, run_conditions
from ppbench.page.embedded import HeldRun, held_run
from ppbench.page.explained import compare_command_line, definitions_table, show_command_line
from ppbench.page.html_table import (
    FamilyRow,
    HtmlTable,
    curve_table,
    families_table,
    forest_table,
    metric_data,
    reliability_table,
    scatter_table,
    sheet_table,
)
from ppbench.page.inputs import PageInputs, PageRun
from ppbench.page.over_time import over_time
from ppbench.page.pictures import PictureStrip
from ppbench.page.rendering import page_of
from ppbench.page.verdict import PageVerdict, pair_verdict, run_verdict, unpaired_verdict
from ppbench.report.by_image_sheets import by_image_sheets
from ppbench.report.stream_sheet import stream_sheet
from ppbench.run import MeasuredRun
from ppbench.tables.numbers import decimals, margin
from ppbench.tables.sheet import short_name
from ppbench.versions import __version__

LARGEST_PAGE = 2_000_000
"""Bytes."""

_NOTES = 2_000
"""Bytes kept free for the note on what does not fit."""


@dataclass(frozen=True)
class Tile:
    """One headline number."""

    name: str
    value: str
    margin: str
    label: str
    data: Markup


@dataclass(frozen=True)
class View:
    """One of the drawings of a figure that a switch chooses from."""

    name: str
    drawing: Markup


@dataclass(frozen=True)
class RunPart:
    """What a page says of one run alone."""

    name: str
    tiles: tuple[Tile, ...]
    conditions: tuple[Condition, ...]
    heat: tuple[View, ...]
    reliability: Markup | None
    reliability_table: HtmlTable
    no_reliability: str
    by_image: tuple[HtmlTable, ...]


@dataclass(frozen=True)
class PairPart:
    """What a page says of two runs."""

    name: str
    forest: Markup
    table: HtmlTable


@dataclass(frozen=True)
class ReportPage:
    """All content of a report, but for the run that it holds."""

    title: str
    subject: str
    verdicts: tuple[PageVerdict, ...]
    conditions: tuple[Condition, ...]
    runs: tuple[RunPart, ...]
    baseline: tuple[Condition, ...]
    """How the baseline was measured; empty without one."""
    baseline_name: str
    definitions: HtmlTable
    words: Wording
    """What the numbers are called."""
    is_stream: bool
    """Whether there are the frames of a stream in place of cells."""
    has_labels: bool
    """Whether each image has a label and one prediction; otherwise there is no confidence to set against accuracy."""
    curves: Markup
    curve_table: HtmlTable
    scatter: Markup | None
    """Clean error against error on corrupted images, if there is more than one point."""
    scatter_table: HtmlTable | None
    pairs: tuple[PairPart, ...]
    no_pairs: str
    families: HtmlTable
    consistency: HtmlTable | None
    pictures: PictureStrip
    """Of the first run."""
    lacks: tuple[Lack, ...]
    held_name: str
    show_command: str
    compare_command: str
    version: str = __version__

    @property
    def has_cells(self) -> bool:
        """Whether results are by corruption and severity; a stream has one cell, whose frames are in order."""
        return not self.is_stream

    @property
    def has_curves(self) -> bool:
        """Whether there is more than one level, or the curves of errors begin at the clean images."""
        if self.is_stream:
            return bool(self.curves)
        return not self.words.shows_lost or len(self.curve_table.header) > 3

    @property
    def has_classes(self) -> bool:
        """Whether there can be results by class and image: not where each image has several predictions."""
        return any(run.by_image for run in self.runs) and not self.is_stream

    @property
    def curves_called(self) -> str:
        """The name of the section of curves."""
        return "Accuracy over time" if self.is_stream else f"{self.words.level.capitalize()} curves"

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Anchor and name of each section, in order."""
        found = [
            ("measured", "What was measured"),
            ("heat", "Heat map" if self.has_cells else ""),
            ("severity", self.curves_called if self.has_curves else ""),
            ("differences", "Differences" if self.pairs or self.no_pairs else ""),
            ("families", "Families" if self.has_cells else ""),
            ("reliability", "Confidence" if self.has_labels else ""),
            ("classes", ("Classes" if self.has_labels else "First flips") if self.has_classes else ""),
            ("pictures", "Pictures"),
            ("consistency", "Error consistency" if self.consistency else ""),
            ("data", "The run inside"),
        ]
        return [(anchor, name) for anchor, name in found if name]


def report_page(inputs: PageInputs, pictures: PictureStrip) -> ReportPage:
    """Gather the content of a report; ``pictures`` are of the first run (`ppbench.pictures.strip`)."""
    names = [run.name for run in inputs.runs]
    curves = SeverityCurves.of(
        [run.summary for run in inputs.runs],
        names,
        inputs.drawn_baseline.summary if inputs.drawn_baseline else None,
        inputs.allow,
    )
    first = inputs.runs[0].run.protocol
    with_labels = has_labels(first)
    scatter = _scatter(inputs) if with_labels else None
    has_points = scatter is not None and len(scatter.runs) + len(scatter.published) > 1
    against = f" against {inputs.baseline.name}" if inputs.baseline else ""
    paired = inputs.comparisons if with_labels and not first.has_trials else ()
    consistency = sheet_table(consistency_sheet(paired)) if paired else None
    return ReportPage(
        title=f"{', '.join(names)}{against} on {first.dataset}",
        subject=first.dataset,
        verdicts=tuple(_verdicts(inputs)),
        conditions=tuple(protocol_conditions(inputs)),
        runs=tuple(_run_part(inputs, run, f"r{place}") for place, run in enumerate(inputs.runs)),
        baseline=tuple(run_conditions(inputs.baseline)) if inputs.baseline else (),
        baseline_name=inputs.baseline.name if inputs.baseline else "",
        definitions=definitions_table(first),
        words=wording(first),
        is_stream=first.stream is not None,
        has_labels=with_labels and not first.has_trials,
        curves=Markup(curves_svg(curves, "curves") if first.stream is None else over_time(inputs)),
        curve_table=curve_table(curves) if first.stream is None else sheet_table(stream_sheet(inputs.runs[0].summary)),
        scatter=Markup(scatter_svg(scatter, "scatter")) if scatter is not None and has_points else None,
        scatter_table=scatter_table(scatter) if scatter is not None else None,
        pairs=tuple(_pairs(inputs)),
        no_pairs=inputs.no_comparison or "",
        families=_families(inputs),
        consistency=consistency,
        pictures=pictures,
        lacks=tuple(lacks(inputs)),
        held_name=names[0],
        show_command=show_command_line(inputs),
        compare_command=compare_command_line(inputs),
    )


def report_html(page: ReportPage, measured: MeasuredRun, name: str) -> tuple[str, HeldRun]:
    """Write a report as HTML, with as much of its first run inside as fits.

    Args:
        page: The content.
        measured: The first run.
        name: The name of its file.

    Returns:
        The page, and what it holds of the run.
    """
    nothing = HeldRun(Markup(), (), ())
    bare = page_of("report.html.j2", page=page, held=nothing)
    held = held_run(measured, name, LARGEST_PAGE - len(bare.encode()) - _NOTES)
    return page_of("report.html.j2", page=page, held=held), held


def _scatter(inputs: PageInputs) -> Scatter:
    shown = [*inputs.runs, *([inputs.drawn_baseline] if inputs.drawn_baseline else [])]
    return Scatter.of([run.summary for run in shown], [run.name for run in shown], allow=inputs.allow)


def _verdicts(inputs: PageInputs) -> list[PageVerdict]:
    found = [pair_verdict(comparison) for comparison in inputs.comparisons]
    reference = inputs.reference
    if inputs.no_comparison and reference is not None:
        others = [run for run in inputs.runs if run is not reference]
        found += [unpaired_verdict(run.name, run.summary, reference.summary, inputs.no_comparison) for run in others]
    return [*found, *(run_verdict(run.name, run.summary) for run in inputs.runs)]


def _run_part(inputs: PageInputs, run: PageRun, key: str) -> RunPart:
    several = run.run.protocol.has_trials
    reliability = Reliability.of(run.run, run.name, inputs.confidence)
    return RunPart(
        name=run.name,
        tiles=tuple(_tile(metric) for metric in run.summary.metrics if metric.value is not None),
        conditions=tuple(run_conditions(run)),
        heat=tuple(_heat(inputs, run, key)),
        reliability=Markup(reliability_svg(reliability, f"{key}-rel")) if reliability.has_values else None,
        reliability_table=reliability_table(reliability),
        no_reliability=" ".join(f"{reason}." for reason in reliability.reasons),
        by_image=tuple(map(sheet_table, by_image_sheets(run.by_image))) if run.by_image and not several else (),
    )


def _tile(metric: Metric) -> Tile:
    digits = 3 if metric.unit == "nats" else 2
    text = f"{decimals(metric.value, digits)} {metric.unit}".strip()
    spread = "" if metric.spread is None else f"sd {decimals(metric.spread, digits)} over passes"
    return Tile(
        short_name(metric.label),
        text,
        " · ".join(filter(None, [margin(metric.interval, digits) if metric.interval else "", spread])),
        metric.label,
        metric_data(metric),
    )


def _heat(inputs: PageInputs, run: PageRun, key: str) -> list[View]:
    protocol = run.run.protocol
    views = [View(wording(protocol).lost, Markup(heat_table(HeatMap.of_errors(run.summary), f"{key}-error")))]
    ratios = HeatMap.of_ratios(run.summary) if has_normalizer(protocol) else None
    if ratios is not None and ratios.has_values:
        views.append(View("FR and T5D" if protocol.sequences else "CE", Markup(heat_table(ratios, f"{key}-ce"))))
    for comparison in inputs.comparisons:
        if comparison.other.name == run.name:
            views.append(View("difference", Markup(heat_table(HeatMap.of_differences(comparison), f"{key}-diff"))))
    return views


def _pairs(inputs: PageInputs) -> list[PairPart]:
    found = []
    for place, comparison in enumerate(inputs.comparisons):
        forest = Forest.of(comparison)
        name = f"{comparison.other.name} against {comparison.reference.name}"
        found.append(PairPart(name, Markup(forest_svg(forest, f"pair{place}")), forest_table(forest)))
    return found


def _families(inputs: PageInputs) -> HtmlTable:
    shown: Sequence[PageRun] = (*inputs.runs, *([inputs.drawn_baseline] if inputs.drawn_baseline else []))
    members = {row.name: ", ".join(row.corruptions) for run in shown for row in run.summary.families}
    rows = []
    for family, words in members.items():
        found = [next((row for row in run.summary.families if row.name == family), None) for run in shown]
        rows.append(FamilyRow(family, words, tuple(row.mean_error if row else None for row in found)))
    return families_table(inputs.comparisons, [run.name for run in shown], rows, wording(shown[0].run.protocol))
