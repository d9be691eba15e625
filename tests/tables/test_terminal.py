import io

from rich.console import Console

from ppbench.tables.sheet import NOT_AVAILABLE, Line, Sheet
from ppbench.tables.terminal import drawn

SHEET = Sheet(
    "A title that is wider than the table",
    ("corruption", "s1", "s2"),
    (
        Line(("weather", "60.0", NOT_AVAILABLE), "group"),
        Line(("  fog", "50.0", "10.0"), worst=2),
        Line(("mean of 1", "50.0", "10.0"), "total"),
    ),
    notes=("One sentence.", "Another one."),
)


def shown(*sheets, width=60, color=False):
    system = {"force_terminal": True, "color_system": "standard"} if color else {}
    console = Console(file=io.StringIO(), width=width, **system)
    console.print(drawn(sheets))
    return console.file.getvalue()


def test_title_table_and_notes_stand_below_each_other():
    lines = [line.strip() for line in shown(SHEET).splitlines() if line.strip()]
    assert lines[0] == SHEET.title
    assert lines[1].split() == ["corruption", "s1", "s2"]
    assert [line.split()[0] for line in lines if "─" not in line][2:5] == ["weather", "fog", "mean"]
    assert lines[-2:] == list(SHEET.notes)
    assert sum("─" in line for line in lines) == 1, "below the header"


def test_the_worst_cell_and_what_is_not_available_are_coloured():
    text = shown(SHEET, color=True)
    assert "\x1b[1;31m10.0" in text
    assert text.count("\x1b[1;31m") == 1
    assert f"\x1b[1;33m {NOT_AVAILABLE}" in text
    assert "\x1b" not in shown(SHEET)


def test_nothing_that_a_terminal_obeys_is_drawn():
    sheet = Sheet("a\x1b[31m", ("b\x1b[2J", "c\u202e"), (Line(("d\r", "e\n")),), notes=("f\x07",))
    text = shown(sheet)
    assert not set(text) & set("\x1b\r\x07\u202e")
    assert all(escape in text for escape in (r"a\x1b[31m", r"b\x1b", r"c\u202e", r"d\r", r"e\n", r"f\x07"))


def test_several_sheets_are_drawn_in_their_order():
    text = shown(SHEET, Sheet("Second", ("x",), (Line(("1",)),)))
    assert text.index("A title") < text.index("Second")
