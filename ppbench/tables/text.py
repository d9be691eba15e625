"""Sheets as Markdown and as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ppbench.tables.escapes import for_latex, for_markdown
from ppbench.tables.sheet import Line, Sheet


def to_markdown(sheet: Sheet) -> str:
    """A pipe table with its title as a heading and its notes as a list."""
    rules = ["---" if index in sheet.text_columns else "---:" for index in range(len(sheet.header))]
    rows = [_markdown_row(map(for_markdown, sheet.header)), _markdown_row(rules)]
    rows += [_markdown_row(_emphasise(line, for_markdown, "**{}**", sheet)) for line in sheet.lines]
    notes = [f"- {for_markdown(note)}" for note in sheet.notes]
    caption = [f"### {for_markdown(sheet.title)}", "", *([for_markdown(sheet.in_full), ""] if sheet.in_full else [])]
    return "\n".join([*caption, *rows, *([""] if notes else []), *notes])


def to_latex(sheet: Sheet) -> str:
    """A ``table`` with booktabs rules and its notes below. It needs ``\\usepackage{booktabs}``."""
    columns = "".join("l" if index in sheet.text_columns else "r" for index in range(len(sheet.header)))
    body = []
    for line in sheet.lines:
        body += [r"\midrule"] if line.kind == "total" else []
        body.append(_latex_row(_emphasise(line, for_latex, r"\textbf{{{}}}", sheet)))
    notes = [rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {for_latex(note)}}}" for note in sheet.notes]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{for_latex(f'{sheet.title}. {sheet.in_full}')}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _latex_row([for_latex(name) for name in sheet.header]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *notes,
            r"\end{table}",
        ]
    )


def _emphasise(line: Line, escape: Callable[[str], str], bold: str, sheet: Sheet) -> list[str]:
    """The escaped cells of a line, padded to the sheet's width. Headings, totals and the worst cell are bold."""
    cells = [escape(cell) for cell in line.cells] + [""] * (len(sheet.header) - len(line.cells))
    marked = [cell and (line.kind != "plain" or index == line.worst) for index, cell in enumerate(cells)]
    return [bold.format(cell) if mark else cell for cell, mark in zip(cells, marked, strict=True)]


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _latex_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
