"""Figures for papers, through matplotlib: the same contents and colours as the drawings for pages. Needs matplotlib.

Figures belong to no window and no global state. The same figure gives the same bytes with the same matplotlib.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.lines import Line2D

from ppbench.figures.colours import LINE_STYLES, ink
from ppbench.figures.markup import shortened
from ppbench.tables.escapes import for_xml

WIDTHS: Mapping[str, float] = MappingProxyType({"single": 3.35, "double": 6.9})
"""Widths in inches of one column of a paper with two, and of both."""

FORMS = ("png", "svg", "pdf")
"""File formats."""

_DPI = 300

_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "x", "plus": "+"}

_PAPER_STYLE: dict[Any, Any] = {
    "font.size": 7,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 7,
    "axes.titlelocation": "left",
    "axes.titlepad": 3,
    "axes.labelsize": 7,
    "axes.labelpad": 2,
    "axes.linewidth": 0.6,
    "axes.edgecolor": ink("axis"),
    "axes.labelcolor": ink("ink"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,  # as in tables
    "grid.color": ink("grid"),
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "xtick.color": ink("axis"),
    "ytick.color": ink("axis"),
    "xtick.labelcolor": ink("ink"),
    "ytick.labelcolor": ink("ink"),
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2,
    "ytick.major.size": 2,
    "text.color": ink("ink"),
    "text.parse_math": False,  # a dollar sign in a name begins no formula
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 2.6,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,  # fonts are embedded as TrueType: some publishers refuse Type 3
    "svg.fonttype": "path",  # letters are outlines, so that they look alike where the font is not installed
    "svg.hashsalt": "ppbench",  # ids are random otherwise
    "savefig.dpi": _DPI,
}


_METADATA: Mapping[str, Mapping[str, None]] = MappingProxyType(
    {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
)
"""What files do not say, so that they have the same bytes every time, by format."""


class PaperFigure(Figure):
    """A matplotlib figure that is written in the style that it was drawn in, and shows itself in notebooks."""

    def to_bytes(self, form: str) -> bytes:
        """The content of a file: ``png`` with 300 dots per inch, ``svg`` or ``pdf``."""
        file = io.BytesIO()
        self.savefig(file, format=form)
        return file.getvalue()

    def savefig(self, fname: Any, *, transparent: bool | None = None, **kwargs: Any) -> None:
        """Write a file as `ppbench plot` does: with the same style, and without a date.

        Args:
            fname: Path or file.
            transparent: As in matplotlib.
            kwargs: As in matplotlib; what ``metadata`` says comes on top.
        """
        # The resolution is read from the settings before the canvas draws.
        with paper_style():
            super().savefig(fname, transparent=transparent, **kwargs)

    def freeze(self) -> None:
        """Lay the axes out once: the layout moves a little each time, and with the resolution of the format."""
        if not isinstance(self.get_layout_engine(), PlaceHolderLayoutEngine):  # which "none" leaves there
            self.draw_without_rendering()
            self.set_layout_engine("none")

    def _repr_png_(self) -> bytes:
        return self.to_bytes("png")


class _PaperCanvas(FigureCanvasAgg):
    """A canvas that writes in the style of papers, whoever calls it: notebooks call it past the figure."""

    def print_figure(self, filename: Any, *args: Any, **kwargs: Any) -> Any:
        form = kwargs.get("format")
        if form is None and isinstance(filename, (str, os.PathLike)):
            form = Path(filename).suffix.removeprefix(".")
        absent = _METADATA.get((form or self.get_default_filetype()).lower())
        if absent is not None:
            kwargs["metadata"] = {**absent, **(kwargs.get("metadata") or {})}
        with paper_style(), warnings.catch_warnings():
            # A name may have letters that the font lacks. They are drawn as boxes.
            warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
            if isinstance(self.figure, PaperFigure):
                self.figure.freeze()
            return super().print_figure(filename, *args, **kwargs)


@contextmanager
def paper_style() -> Iterator[None]:
    """Apply the style within a ``with`` block, and restore matplotlib's settings afterwards."""
    with mpl.rc_context(_PAPER_STYLE):
        yield


def blank_figure(width: float, height: float) -> PaperFigure:
    """A figure of a size in inches, without axes."""
    figure = PaperFigure(figsize=(width, height), dpi=_DPI)
    _PaperCanvas(figure)
    return figure


def shown_name(name: str) -> str:
    """A name as a figure has it, with what would reorder or break a line made visible."""
    return for_xml(name.replace("\n", " "))


def line_of(number: int) -> dict[str, Any]:
    """How matplotlib draws the line of a run, by its place."""
    style = LINE_STYLES[number]
    return {
        "color": style.light,
        "linestyle": (0, style.dash) if style.dash else "-",
        "marker": _MARKERS[style.marker],
        "markeredgecolor": style.light,
    }


def mark_of(colour: int, shape: str) -> dict[str, Any]:
    """How matplotlib draws the point of a run."""
    light = LINE_STYLES[colour].light
    return {"color": light, "marker": _MARKERS[shape], "markeredgecolor": light, "linestyle": "none"}


REFERENCE_LINE: dict[str, Any] = {
    "color": ink("reference"),
    "linestyle": (0, (3, 2)),
    "linewidth": 0.9,
    "marker": "o",
    "markerfacecolor": "white",
    "markeredgewidth": 0.7,
}
"""How matplotlib draws baselines and published results."""


def add_legend(figure: Figure, names: Sequence[str], looks: Sequence[dict[str, Any]], columns: int) -> None:
    """A legend above all axes of a figure."""
    handles = [Line2D([], [], label=shown_name(name), **look) for name, look in zip(names, looks, strict=True)]
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, handlelength=3.2, borderpad=0.1)


def add_title(figure: Figure, lines: Sequence[str]) -> None:
    """A title at the left edge of a figure. Each line is shortened to its width alone."""
    # A letter of this size is about .052 inches wide.
    most = int(figure.get_figwidth() / 0.052) - 3
    figure.set_figheight(figure.get_figheight() + 0.11 * (len(lines) - 1))
    figure.suptitle("\n".join(shortened(line, most) for line in lines), fontsize=6.5, x=0.01, ha="left")


def without_frame(axes: Axes) -> None:
    """Remove the frame of axes and the small lines of their ticks."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
