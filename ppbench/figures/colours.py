"""The colours of all figures, and the style sheet through which drawings for pages get them.

Lines also differ by dash and marker, and coloured cells have their number in them, so that colour is never the only
sign. Every step of a scale has its own colour of text, with a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ppbench.figures.scales import DIVERGING_STEPS, SEQUENTIAL_STEPS


class LineStyle(NamedTuple):
    """How the line of one run differs from the others."""

    light: str
    """Colour on a light ground."""
    dark: str
    """Colour on a dark ground."""
    dash: tuple[float, ...]
    """Lengths of dashes and gaps, in widths of the line; empty for a solid line."""
    marker: str
    """``circle``, ``square``, ``triangle``, ``diamond``, ``cross`` or ``plus``."""


LINE_STYLES = (
    LineStyle("#0072B2", "#56B4E9", (), "circle"),
    LineStyle("#C24A00", "#F08A3C", (5, 2), "square"),
    LineStyle("#007A5A", "#2CC79A", (1.5, 1.5), "triangle"),
    LineStyle("#A04D85", "#E39BC8", (6, 2, 1.5, 2), "diamond"),
    LineStyle("#7D5F00", "#E0C341", (3, 1.5), "cross"),
    LineStyle("#3D3D3D", "#DDDDDD", (8, 2, 1.5, 2, 1.5, 2), "plus"),
)
"""Hues of Okabe and Ito's palette for colour-blind readers, darker or lighter where the ground needs it."""

MOST_LINES = len(LINE_STYLES)
"""The most runs in one figure."""

HEAT = (
    "#FFFFE5", "#FFF7BC", "#FEE999", "#FED570", "#FEB743", "#F9931F", "#E8740F", "#C24A00", "#8F3104", "#5C2206",
)  # fmt: skip
"""Errors from 0 to 100 % on a light ground: lightness falls with every step, so the order survives in grey."""

HEAT_DARK = (
    "#221D18", "#33261A", "#4A2F18", "#643A14", "#80470F", "#A35B0C", "#C97A1B", "#E69A36", "#F7BD62", "#FFE0A0",
)  # fmt: skip
"""The same on a dark ground, where lightness rises."""

SIGNED_HEAT = (
    "#0B559F", "#4A98C9", "#93C4DF", "#CCDFF1", "#F6F6F4", "#FDDBB0", "#F8B071", "#E07B2A", "#A84A00",
)  # fmt: skip
"""From better (blue) through no difference to worse (orange) on a light ground."""

SIGNED_HEAT_DARK = (
    "#8CC8F5", "#4C9AD4", "#2B6CA3", "#20435F", "#2A2C2F", "#533619", "#85501A", "#C4792C", "#F7B266",
)  # fmt: skip

_INKS = {
    "ink": ("#1B1F24", "#E8EAED"),
    "faint": ("#59616B", "#A7AFB9"),
    "axis": ("#808892", "#7C848E"),
    "grid": ("#E3E6EA", "#2E343B"),
    "ground": ("#FFFFFF", "#14171A"),
    "reference": ("#7A7F86", "#8E959E"),
    "better": ("#0B559F", "#6DB6EE"),
    "worse": ("#B04A00", "#F2994A"),
    "undecided": ("#69707A", "#A0A7B0"),
}
"""Light and dark colours by name, for what is not a line of a run or a step of a scale."""


def ink(name: str) -> str:
    """The light colour of this name, as papers have it."""
    return _INKS[name][0]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 to 1 (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    lower, upper = sorted((luminance(one), luminance(other)))
    return (upper + 0.05) / (lower + 0.05)


def text_on(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour."""
    return max(("#000000", "#FFFFFF"), key=lambda text: contrast_ratio(text, colour))


def _properties(is_dark: bool) -> str:
    heat, signed = (HEAT_DARK, SIGNED_HEAT_DARK) if is_dark else (HEAT, SIGNED_HEAT)
    lines = [style.dark if is_dark else style.light for style in LINE_STYLES]
    found = {f"--fig-{name}": pair[is_dark] for name, pair in _INKS.items()}
    found |= {f"--fig-line-{place}": colour for place, colour in enumerate(lines)}
    for name, scale in (("h", heat), ("d", signed)):
        found |= {f"--fig-{name}{place}": colour for place, colour in enumerate(scale)}
        found |= {f"--fig-{name}{place}-text": text_on(colour) for place, colour in enumerate(scale)}
    return "".join(f"{name}:{colour};" for name, colour in found.items())


def figure_css() -> str:
    """The style sheet of all drawings for pages: light, dark and print.

    The ground is the reader's choice in the browser or, where the page has one, ``data-theme`` of its root. Everything
    begins with ``--fig-`` or ``.fig-``.
    """
    light, dark = _properties(False), _properties(True)
    steps = "".join(
        f".fig-{name}{place}{{background:var(--fig-{name}{place});fill:var(--fig-{name}{place});"
        f"color:var(--fig-{name}{place}-text)}}"
        for name, count in (("h", SEQUENTIAL_STEPS), ("d", DIVERGING_STEPS))
        for place in range(count)
    )
    lines = "".join(_line_css(place, style) for place, style in enumerate(LINE_STYLES))
    return (
        f":root{{{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f":root[data-theme=dark]{{{dark}}}\n"
        f"@media print{{:root,:root:not([data-theme=light]),:root[data-theme=dark]{{{light}}}}}\n"
        f"{_rules(_RULES)}{steps}{lines}\n"
    )


def _line_css(place: int, style: LineStyle) -> str:
    dash = f"stroke-dasharray:{' '.join(f'{1.6 * length:g}' for length in style.dash)};" if style.dash else ""
    colour = f"var(--fig-line-{place})"
    return (
        f".fig-line-{place}{{stroke:{colour};{dash}}}.fig-band-{place}{{fill:{colour};fill-opacity:.18}}"
        f".fig-mark-{place}{{fill:{colour};stroke:{colour}}}"
    )


def _rules(rules: Mapping[str, str | Sequence[str]]) -> str:
    return "".join(
        f"{selector}{{{one}}}\n"
        for selector, body in rules.items()
        for one in ([body] if isinstance(body, str) else body)
    )


_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"

_RULES: dict[str, str | Sequence[str]] = {
    ".fig": f"{_FONT};color:var(--fig-ink);margin:0;max-width:100%;overflow-wrap:anywhere;"
    "font-variant-numeric:tabular-nums",
    ".fig svg": "display:block;width:100%;height:auto;overflow:hidden",
    ".fig svg text": "fill:var(--fig-ink);font-size:11px;stroke:none;unicode-bidi:isolate",
    ".fig svg .fig-small": "fill:var(--fig-faint)",
    ".fig svg .fig-strong": "font-weight:600",
    ".fig-axis": "stroke:var(--fig-axis);stroke-width:1;fill:none",
    ".fig-grid": "stroke:var(--fig-grid);stroke-width:1;fill:none",
    ".fig-line": "fill:none;stroke-width:1.6;stroke-linejoin:round",
    ".fig-band": "stroke:none",
    ".fig-reference": "stroke:var(--fig-reference);fill:none;stroke-width:1.2;stroke-dasharray:3 2",
    ".fig-reference-mark": "fill:var(--fig-ground);stroke:var(--fig-reference);stroke-width:1.2",
    ".fig-better": "stroke:var(--fig-better);fill:var(--fig-better)",
    ".fig-worse": "stroke:var(--fig-worse);fill:var(--fig-worse)",
    ".fig-undecided": "stroke:var(--fig-undecided);fill:var(--fig-ground)",
    ".fig-whisker": "fill:none;stroke-width:1.4",
    ".fig-bar": "fill:var(--fig-line-0);fill-opacity:.75",
    ".fig-bar.fig-few": "fill-opacity:.2;stroke:var(--fig-line-0);stroke-width:.5;stroke-dasharray:2 2",
    ".fig-count": "fill:var(--fig-grid);stroke:var(--fig-axis);stroke-width:.5",
    ".fig-panels": "display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:8px",
    ".fig-panels>*": "min-width:0",
    ".fig-legend": "display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:0 0 8px;padding:0;font-size:13px",
    ".fig-legend li": "display:flex;align-items:center;gap:6px;min-width:0;overflow-wrap:anywhere",
    ".fig-legend svg": "width:36px;height:14px;flex:none",
    ".fig-forest,.fig-scatter": "max-width:860px",
    ".fig-scatter svg[role]": "max-width:460px",
    ".fig-note": "font-size:12px;color:var(--fig-faint);margin:6px 0 0",
    ".fig-steps": "display:flex;flex-wrap:wrap;align-items:center;gap:4px 8px;font-size:12px;margin:6px 0 0;"
    "color:var(--fig-faint)",
    ".fig-steps svg": "width:160px;max-width:45%;height:12px;flex:none",
    ".fig-heat,.fig-steps": "max-width:860px",
    ".fig-heat": "border-collapse:separate;border-spacing:1px;width:100%;font-size:12px;line-height:1.25;"
    "table-layout:auto",
    ".fig-heat caption": "text-align:left;padding:0 0 6px;font-size:13px",
    ".fig-heat th": "font-weight:400;text-align:left;padding:2px 4px 2px 0;overflow-wrap:anywhere",
    ".fig-heat thead th": "font-weight:600;text-align:right;padding:2px 4px;overflow-wrap:normal;width:11%",
    ".fig-heat thead th:first-child": "text-align:left;padding-left:0;width:auto",
    # Its few columns would stand far from the names.
    ".fig-heat[data-quantity=CE]": "width:auto",
    ".fig-heat[data-quantity=CE] thead th:not(:first-child)": "width:auto;padding-left:20px",
    ".fig-heat tbody th": "padding-left:10px;min-width:6.8em",
    ".fig-heat .fig-family th,.fig-heat .fig-mean th": "font-weight:600;padding-left:0",
    ".fig-heat .fig-family td,.fig-heat .fig-mean td": "font-weight:600",
    ".fig-heat td": "text-align:right;padding:2px 4px;border-radius:2px;white-space:nowrap;overflow-wrap:normal",
    ".fig-heat .fig-margin": "display:block;white-space:normal;font-size:11px;font-weight:400",
    ".fig-heat .fig-missing": "color:var(--fig-faint)",
    "@media (max-width:480px)": ".fig-heat{font-size:11px}.fig-heat td,.fig-heat thead th{padding:2px 1px}"
    ".fig-heat tbody th{padding-left:4px}",
    "@media (forced-colors:active)": ".fig-heat td,.fig svg{forced-color-adjust:none}",
    "@media print ": ".fig-heat td{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    ".fig-panels>*,.fig-heat tr{break-inside:avoid}",
}
