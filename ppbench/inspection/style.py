"""The style of the figures, and their files. Needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from PIL import Image

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
"""Colours of Okabe & Ito's palette, which colour-blind readers can distinguish."""

INK, FAINT = "#222222", "#8a8a8a"
"""Colours of text and axes, and of what is in the background."""

SIGNED, MAGNITUDE = "RdBu_r", "cividis"
"""Colour maps for values around zero, and for values from zero upwards."""

ACROSS = 7.2
"""Width of a figure in inches: two columns of a paper."""

_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "svg.hashsalt": "ppbench",  # ids in SVG files are random otherwise
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style within a ``with`` block, and restore matplotlib's settings afterwards."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, which opens no window."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write(figure: Figure, form: str) -> bytes:
    """Return the figure as ``png`` (180 dots per inch) or ``svg``. The same figure always gives the same bytes."""
    file = io.BytesIO()
    # Otherwise the bytes would depend on the version of matplotlib and on the day.
    metadata = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
    with house_style():
        figure.savefig(file, format=form, dpi=180, metadata=metadata)
    return _with_a_palette(file.getvalue()) if form == "png" else file.getvalue()


def _with_a_palette(png: bytes) -> bytes:
    """The picture in 256 colours, which takes a third of the space; unchanged if the difference would be visible."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(png), formats=("PNG",)) as opened:
        image = opened.convert("RGB")
    few = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    error = np.abs(np.asarray(image, np.int16) - np.asarray(few.convert("RGB"), np.int16))
    if error.mean() > 1 or np.quantile(error, 0.999) > 12:  # grey levels of 256
        return png
    few.save(file, format="png", optimize=True)
    return file.getvalue()


_GAP = 0.12
"""Gap between the tiles of a group, in tiles. Between groups it is four times as wide."""


def draw_tiles(
    axes: Axes, groups: Sequence[Sequence[NDArray[Any]]], columns: int, **how: Any
) -> tuple[AxesImage, list[tuple[float, float]]]:
    """Draw groups of small images in a grid, each group with its number above it.

    All pixels have the same size, so a smaller image in a group is drawn smaller, in the middle of its cell.

    Args:
        axes: Axes to draw on, whose frame is removed.
        groups: Images ``(h, w)`` or ``(h, w, 3)``.
        columns: Groups in a row.
        how: Arguments for ``imshow``.

    Returns:
        One of the images, for a colour bar, and the upper left corner of each cell, group by group; a cell is 1 wide.
    """
    side = max(max(tile.shape[:2]) for group in groups for tile in group)
    members = max(map(len, groups))
    step_x, step_y = members + (members + 3) * _GAP, 1 + 4 * _GAP
    corners, image = [], None
    for number, group in enumerate(groups):
        top = (number // columns) * step_y
        for place, tile in enumerate(group):
            left = (number % columns) * step_x + place * (1 + _GAP)
            corners.append((left, top))
            inset = [(1 - length / side) / 2 for length in tile.shape[:2]]
            extent = (left + inset[1], left + 1 - inset[1], top + 1 - inset[0], top + inset[0])
            image = axes.imshow(tile, extent=extent, interpolation="nearest", **how)
        axes.text(corners[-len(group)][0], top - 0.06, str(number), fontsize=6, color=FAINT, va="bottom")
    width, height = columns * step_x - 4 * _GAP, -(-len(groups) // columns) * step_y - 4 * _GAP
    axes.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.4), aspect="equal")
    axes.axis("off")
    assert image is not None
    return image, corners


def tile_height(groups: int, members: int, columns: int) -> float:
    """Return the height in inches of a full-width figure with `draw_tiles`, a colour bar and a title."""
    across = columns * (members + (members + 3) * _GAP)
    down = -(-groups // columns) * (1 + 4 * _GAP) + 0.3
    return 0.86 * ACROSS * down / across + 0.45


def sideways(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return sideways places for dots ``(n,)``, within ± ``width`` / 2, so that equal values do not hide each other."""
    # Multiples of the golden ratio spread evenly, and are always the same.
    order = np.empty(len(values))
    order[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ((order * 0.6180339887 + 0.5) % 1 - 0.5) * width
