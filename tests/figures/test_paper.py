from __future__ import annotations

import re
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")

import matplotlib as mpl

from ppbench.figures.colours import HEAT
from ppbench.figures.content import HeatMap, SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.notebook import paper_figure
from ppbench.figures.paper import FORMS, WIDTHS, PaperFigure
from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.report.summary import summarise
from tests.builders import make_run
from tests.compare.runs import make_measured
from tests.figures.runs import HOSTILE, better, calibrated, difference, plain, summary_of, with_gaps

CONTENTS = {
    "heatmap": HeatMap.of_errors(summary_of(plain())),
    "severity": SeverityCurves.of([summary_of(with_gaps())]),
    "forest": (Forest.of(difference()),),
    "reliability": Reliability.of(calibrated()),
    "scatter": Scatter.of([summary_of(plain()), summary_of(with_gaps())]),
}
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


IN_PDF = ("forest", "scatter")
"""PDF takes longest. Other tests write the other kinds in it: test_notebook.py and those of the command."""


@cache
def drawn(kind: str) -> PaperFigure:
    """One figure, drawn once for all tests that read it and change nothing."""
    return paper_figure(CONTENTS[kind])


@cache
def written(kind: str) -> dict[str, bytes]:
    """It in all formats: SVG, PDF, PNG, in turn."""
    figure = drawn(kind)
    return {form: figure.to_bytes(form) for form in ("svg", "pdf", "png") if form != "pdf" or kind in IN_PDF}


def bytes_of(kind: str, form: str) -> bytes:
    return written(kind)[form]


def texts_of(figure: PaperFigure) -> list[str]:
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind != "forest"])
def test_every_kind_in_every_format_has_the_same_bytes_every_time(kind: str) -> None:
    """The PDF of a forest is written several times below."""
    assert kind not in IN_PDF or bytes_of(kind, "pdf").startswith(STARTS["pdf"])
    figure = paper_figure(CONTENTS[kind])
    for form in ("png", "svg"):  # each comes at another place than in the figure that it is compared with
        content = figure.to_bytes(form)
        assert content.startswith(STARTS[form])
        assert content == bytes_of(kind, form)


@pytest.mark.parametrize("kind", CONTENTS)
def test_every_kind_is_as_wide_as_asked(kind: str) -> None:
    for name, inches in WIDTHS.items():
        figure = drawn(kind) if name == "single" else paper_figure(CONTENTS[kind], name)
        assert figure.get_figwidth() == inches
        assert 1 < figure.get_figheight() < 9


def test_text_stays_within_the_figure() -> None:
    for figure in map(drawn, CONTENTS):
        figure.freeze()
        for text in figure.findobj(mpl.text.Text):
            if text.get_text() and text.get_visible():
                box = text.get_window_extent().transformed(figure.transFigure.inverted())
                # Ticks beyond the limits have texts too, which are not drawn.
                if text.axes is None or text in text.axes.texts:
                    assert box.x0 > -0.01
                    assert box.x1 < 1.01, text.get_text()


def test_files_carry_no_time_and_embed_their_fonts() -> None:
    pdf, svg = bytes_of("scatter", "pdf"), bytes_of("scatter", "svg")
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"dc:date" not in svg
    assert b"<text" not in svg


def test_savefig_and_a_notebook_write_what_the_command_writes(tmp_path: Path) -> None:
    """For a forest, every format at two other places than in the figure that both are compared with."""
    saved, shown_here = paper_figure(CONTENTS["forest"]), paper_figure(CONTENTS["forest"])
    for place, form in enumerate(FORMS):
        content = bytes_of("forest", form)
        assert content.startswith(STARTS[form])
        saved.savefig(tmp_path / f"figure.{form}")
        assert (tmp_path / f"figure.{form}").read_bytes() == content
        shown = BytesIO()
        shown_here.canvas.print_figure(shown, format=FORMS[place - 2], dpi=300)
        assert shown.getvalue() == bytes_of("forest", FORMS[place - 2])
        assert not any(one in content for one in (b"/Type3", b"CreationDate", b"dc:date"))


def test_metadata_that_is_asked_for_is_written(tmp_path: Path) -> None:
    paper_figure(CONTENTS["scatter"]).savefig(tmp_path / "figure.svg", metadata={"Title": "mine"})
    content = (tmp_path / "figure.svg").read_text()
    assert "<dc:title>mine</dc:title>" in content
    assert "dc:date" not in content


def test_a_long_name_is_shortened_alone() -> None:
    cells = {("clean", 0): 0.1, ("fog", 1): 0.5}
    name = f"{'very-' * 20}long-pp3"
    summary = summary_of(make_measured(cells, name=name, corruptions=("fog",), severities=(1,)))
    title = next(text for text in texts_of(paper_figure(HeatMap.of_errors(summary))) if "Top-1" in text)
    fixed, shown = title.split("\n")
    assert fixed == "Top-1 error by corruption and severity, %"
    assert shown.startswith("very-")
    assert shown.endswith("long-pp3")
    assert "…" in shown


def test_a_forest_says_what_its_marks_are() -> None:
    (note,) = (text for text in texts_of(drawn("forest")) if "left of 0" in text)
    assert "each for its row alone" in note
    assert "filled and *: a test finds it, after the correction for many tests (Holm)" in note


def test_axes_of_a_scatter_are_short_and_its_note_is_in_full() -> None:
    scatter = CONTENTS["scatter"]
    assert isinstance(scatter, Scatter)
    texts = texts_of(drawn("scatter"))
    assert scatter.y_name in texts
    assert any(scatter.axes_in_full in text.replace("\n", " ") for text in texts)


def test_settings_of_matplotlib_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    paper_figure(CONTENTS["severity"]).to_bytes("png")
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in __import__("sys").modules or not mpl._pylab_helpers.Gcf.get_all_fig_managers()


def test_a_heat_map_has_the_colours_of_the_page() -> None:
    svg = bytes_of("heatmap", "svg").decode().lower()
    content = CONTENTS["heatmap"]
    assert isinstance(content, HeatMap)
    used = {content.scale.step(cell.value or 0) for row in content.rows for cell in row.cells[:6] if cell}
    assert all(f"fill: {HEAT[step].lower()}" in svg for step in used)


@pytest.mark.parametrize("name", [HOSTILE, "$\\frac{", "畫像分類模型", "نموذج"])
def test_any_name_is_drawn_as_it_is(name: str, recwarn: pytest.WarningsRecorder) -> None:
    cells = {("clean", 0): 0.1, ("fog", 1): 0.5}
    measured = make_measured(cells, name=name, corruptions=("fog",), severities=(1,))
    summary = summary_of(measured)
    for content, form in ((HeatMap.of_errors(summary), "svg"), (SeverityCurves.of([summary]), "pdf")):
        figure = paper_figure(content)
        assert figure.to_bytes(form).startswith(STARTS[form])
        assert not any("\u202e" in text or "\x1b" in text for text in texts_of(figure))
    assert not recwarn.list


def test_numbers_in_a_heat_map_and_a_forest_are_those_of_the_content() -> None:
    heat = CONTENTS["heatmap"]
    assert isinstance(heat, HeatMap)
    texts = texts_of(paper_figure(heat, "double"))
    assert any(text.startswith(f"{heat.rows[1].cells[0].value:.1f} ±") for text in texts)  # type: ignore[union-attr]
    forest = texts_of(drawn("forest"))
    assert any(re.fullmatch(r"-6\.0 ±\d\.\d\*", text) for text in forest)


def test_a_line_does_not_cross_a_gap() -> None:
    axes = next(one for one in drawn("severity").axes if one.get_title(loc="left") == "fog")
    (line,) = axes.lines
    values = list(line.get_ydata())
    assert [value == value for value in values] == [True, True, True, False, True, True]


def test_several_runs_in_a_forest_have_markers_and_a_legend() -> None:
    figure = paper_figure((Forest.of(difference()), Forest.of(difference())))
    assert texts_of(figure).count("better") == 2
    markers = {line.get_marker() for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    assert markers == {"o", "s"}


def test_what_is_missing_is_drawn_as_missing() -> None:
    empty = summarise(make_run({}, corruptions=("fog",), severities=(1, 2), labels_only=True))
    for content in (HeatMap.of_errors(empty), SeverityCurves.of([empty]), Scatter.of([empty])):
        assert paper_figure(content).to_bytes("svg").startswith(STARTS["svg"])
    assert "–" in texts_of(paper_figure(HeatMap.of_errors(empty)))
    bare = paper_figure(Reliability.of(make_run(labels_only=True)))
    assert "clean: ECE n/a" in texts_of(bare)
    scatter = texts_of(drawn("scatter"))
    assert "gaps (n/a)" in scatter


def test_a_picture_of_a_page_of_published_results_names_those_that_have_room() -> None:
    run = make_run(dataset="imagenet-c", source="published")
    from ppbench.metrics.references import ALEXNET

    texts = texts_of(paper_figure(Scatter.of([summarise(run, ALEXNET)]), "double"))
    assert {"Standard", "SIN", "published results"} <= set(texts)


def test_a_png_has_300_dots_per_inch() -> None:
    png = bytes_of("scatter", "png")
    width = int.from_bytes(png[16:20])
    assert width == round(3.35 * 300)
    assert zlib.crc32(png[12:29]) == int.from_bytes(png[29:33])


def test_a_single_image_is_drawn() -> None:
    from ppbench.compare.comparison import compare

    forest = Forest.of(compare(plain(n=1), better(n=1), None))
    assert paper_figure((forest,)).to_bytes("png").startswith(STARTS["png"])
    assert paper_figure(SeverityCurves.of([summary_of(plain(n=1))])).to_bytes("png").startswith(STARTS["png"])
