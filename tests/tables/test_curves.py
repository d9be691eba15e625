import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ppbench.tables.curves import ASCII_BLOCKS, BLOCKS, curve_text, with_curves
from ppbench.tables.sheet import Curves, Line, Sheet
from ppbench.tables.terminal import drawn
from ppbench.tables.text import to_latex, to_markdown

SHEET = Sheet(
    "Title",
    ("corruption", "s1", "s2"),
    (Line(("fog", "87.0", "13.0"), curve=(0.0, 0.13, 0.87)), Line(("frost",), curve=(None, 0.5, None))),
    notes=("One note.",),
    curves=Curves("curve", "Curve: error by severity"),
)


def shown(sheet, width, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    Console(file=file, width=width).print(drawn([sheet]))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def test_each_block_is_an_eighth_of_the_scale():
    assert curve_text([0, 0.12, 0.125, 0.49, 0.5, 0.874, 0.875, 1]) == "▁▁▂▄▅▇██"
    assert curve_text([0, 0.12, 0.125, 0.49, 0.5, 0.874, 0.875, 1], ascii_only=True) == "__.=+%##"
    assert curve_text([None, 0.3]) == "·▃"
    assert curve_text([None, 0.3], ascii_only=True) == "?:"
    assert curve_text([]) == ""


@given(st.lists(st.floats(0, 1), min_size=2))
def test_a_larger_value_never_has_a_lower_block(values):
    for blocks, ascii_only in ((BLOCKS, False), (ASCII_BLOCKS, True)):
        heights = [blocks.index(block) for block in curve_text(sorted(values), ascii_only=ascii_only)]
        assert heights == sorted(heights)


def test_a_wide_terminal_has_the_column_and_its_meaning():
    lines = [line.split() for line in shown(SHEET, 100).splitlines()]
    assert ["corruption", "s1", "s2", "curve"] in lines
    assert ["fog", "87.0", "13.0", "▁▂▇"] in lines
    assert ["frost", "·▅·"] in lines
    assert shown(SHEET, 100).splitlines()[-1].strip() == (
        "Curve: error by severity, from ▁ (below 12.5 %) to █ (87.5 % and more)."
    )


@pytest.mark.parametrize("width", [60, 80, 99])
def test_a_narrower_one_has_neither(width):
    text = shown(SHEET, width)
    assert not set(text) & set(BLOCKS)
    assert "urve" not in text


def test_an_encoding_without_blocks_has_ascii():
    assert ["fog", "|87.0", "|13.0", "|_.%"] in [line.split() for line in _ascii(100).splitlines()]
    assert "from _ (below 12.5 %) to # (87.5 % and more)" in _ascii(100)


def _ascii(width):
    """The text as an ASCII terminal gets it, whose stream replaces what it lacks (`ppbench.cli.streams`)."""

    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    Console(file=file, width=width).print(drawn([SHEET]))
    file.flush()
    return file.buffer.getvalue().decode()


def test_a_table_without_room_for_the_column_does_without_it():
    header = ("corruption", *(f"{number:07}" for number in range(10)))
    row = Line(("fog", *["1234567"] * 10), curve=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    sheet = Sheet("T", header, (row,), curves=SHEET.curves)
    assert "▁" not in shown(sheet, 104)
    assert "▁▂▃▄▅▅" in shown(sheet, 120)


def test_documents_have_no_curves():
    for text in (to_markdown(SHEET), to_latex(SHEET)):
        assert "urve" not in text
        assert not set(text) & set(BLOCKS)


def test_a_sheet_without_curves_stays_as_it_is():
    sheet = Sheet("T", ("a",), (Line(("1",)),))
    assert with_curves(sheet) is sheet
    assert "curve" not in shown(sheet, 120)
