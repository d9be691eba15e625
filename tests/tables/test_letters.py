"""Letters for long names in the header of a narrow table."""

from __future__ import annotations

from ppbench.tables.letters import with_letters
from ppbench.tables.sheet import Line, Sheet
from tests.tables.test_terminal import shown

NAMES = ("fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3")
SHEET = Sheet("Errors", ("%", *NAMES, "change"), (Line(("clean error", "7.22", "5.00", "-2.22")),), names=(1, 2))


def test_names_that_fold_over_more_than_two_lines_become_letters_with_a_legend():
    narrow, legend = with_letters(SHEET, 40)
    assert narrow.header == ("%", "A", "B", "change")
    assert legend == [f"A: {NAMES[0]}", f"B: {NAMES[1]}"]
    lines = [line.split() for line in shown(SHEET, width=40).splitlines()]
    assert lines.index(["Errors"]) < lines.index(["A:", NAMES[0]]) < lines.index(["%", "A", "B", "change"])


def test_names_that_fit_stay():
    for width in (60, 80):
        assert with_letters(SHEET, width) == (SHEET, [])


def test_other_headers_and_more_models_than_letters_stay():
    header = ("%", *(f"a-model-of-long-name-{number}" for number in range(27)))
    many = Sheet("Errors", header, (Line(("a", *["1"] * 27)),), names=tuple(range(1, 28)))
    assert with_letters(many, 20) == (many, [])
    columns = ("%", "a-column-of-words-that-fold")
    assert with_letters(Sheet("Errors", columns, (Line(("a", "1")),)), 10)[1] == []
