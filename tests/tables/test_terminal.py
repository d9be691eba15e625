import io
import re

import pytest
from rich.console import Console

from ppbench.tables.sheet import NOT_AVAILABLE, Line, Sheet, short_name
from ppbench.tables.terminal import drawn, with_letters
from ppbench.tables.text import to_latex, to_markdown

SHEET = Sheet(
    "A title that is wider than the table",
    ("corruption", "s1", "s2"),
    (
        Line(("weather", "60.0", NOT_AVAILABLE), "group"),
        Line(("  fog", "50.0", "10.0"), worst=2, tones={1: 0.5, 2: 0.1}),
        Line(("mean of 1", "50.0", "10.0"), "total"),
    ),
    notes=("One sentence.", "Another one."),
)


def shown(*sheets, width=60, color=False):
    system = {"force_terminal": True, "color_system": "truecolor"} if color else {}
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
    (worst,) = re.findall(r"\x1b\[([0-9;]*)m10.0\x1b\[0m *\n", text)[:1]
    assert {"1", "4"} <= set(worst.split(";")), "bold and underlined: no colour alone says it"
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


def test_a_table_in_several_parts_repeats_its_title():
    wide = Sheet("Errors · imagenet-c", ("name", *("x" * 12 for _ in range(6))), (Line(("a", *"123456")),))
    assert "Errors · imagenet-c" in shown(wide)
    assert shown(wide).count(" Errors (continued) ") == 1
    assert "(continued)" not in shown(wide, width=120)


def test_labels_in_full_stand_once_below_the_notes_and_in_captions():
    label = "mCE[a-very-long-name-of-a-model,c15,s1-5,200 classes masked,500 of 2000]"
    sheet = Sheet(
        "T", ("metric", "value"), (Line((short_name(label), "50.0")),), notes=("N.",), labels=(label, "clean_error")
    )
    text = shown(sheet, width=120)
    assert text.splitlines()[-1].strip() == f"In full: {label}."
    narrow = " ".join(shown(sheet, width=60).split())
    assert "500 of 2000]" in narrow, "a label breaks between its parts"
    assert f"In full: {label.replace('[', chr(92) + '[')}." in to_markdown(sheet)
    assert f"\\caption{{T. In full: {label}.}}" in to_latex(sheet)
    plain = Sheet("T", ("metric",), (Line(("clean error",)),), labels=("clean_error",))
    assert "In full" not in shown(plain) + to_markdown(plain) + to_latex(plain)


def test_a_short_name_is_words_and_r_net_is_a_name():
    names = [short_name(label) for label in ("clean_error", "relative_mCE[none,c15,s1-5]", "R_net[a,c15]", "mCE[a]")]
    assert names == ["clean error", "relative mCE", "R_net", "mCE"]


COLOURS = r"\x1b\[[0-9;]*(?:3|4)[0-7][0-9;]*m|\x1b\[[0-9;]*[34]8;"


def test_accuracies_are_shaded_the_more_the_less_is_kept():
    shares = (0.95, 0.8, 0.7, 0.5, 0.3, 0.01)
    cells = [f"{100 * share:.1f}" for share in shares]
    sheet = Sheet("T", ("", *map(str, shares)), (Line(("x", *cells), tones=dict(enumerate(shares, 1))),))
    text = shown(sheet, color=True)
    shades = {number: shade for shade, number in re.findall(r"\x1b\[30;(48;2;[0-9;]*)m *([0-9.]+)", text)}
    assert list(shades) == cells[1:], "what is kept has no shade"
    assert len(set(shades.values())) == 5


def test_green_and_red_stand_only_where_the_text_says_it_too():
    lines = (
        Line(("a", "-2.00*"), tones={1: "better"}),
        Line(("b", "+2.00*"), tones={1: "worse"}),
        Line(("c", "+0.10")),
    )
    text = shown(Sheet("T", ("", "change"), lines), color=True)
    assert "\x1b[32m-2.00*" in text
    assert "\x1b[31m+2.00*" in text
    assert not re.search(r"\x1b\[3[0-7]m\+0\.10", text)


def test_there_is_no_colour_if_it_is_not_wanted_or_nobody_sees_it(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(COLOURS, shown(SHEET, color=True))
    monkeypatch.delenv("NO_COLOR")
    assert re.search(COLOURS, shown(SHEET, color=True))
    assert "\x1b" not in shown(SHEET)


@pytest.mark.parametrize("width", range(1, 12))
def test_a_table_is_drawn_however_narrow_the_console_is(width):
    console = Console(width=width, file=io.StringIO())
    console.print(drawn([SHEET]))
    assert console.file.getvalue(), "it ends, and something is drawn"


NAMES = ("fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3")
NAMED = Sheet("Errors", ("%", *NAMES, "change"), (Line(("clean error", "7.22", "5.00", "-2.22")),), names=(1, 2))


def test_names_that_fold_over_more_than_two_lines_become_letters_with_a_legend():
    narrow, legend = with_letters(NAMED, 40)
    assert narrow.header == ("%", "A", "B", "change")
    assert legend == [f"A: {NAMES[0]}", f"B: {NAMES[1]}"]
    lines = [line.split() for line in shown(NAMED, width=40).splitlines()]
    assert lines.index(["Errors"]) < lines.index(["A:", NAMES[0]]) < lines.index(["%", "A", "B", "change"])


def test_names_that_fit_stay():
    for width in (60, 80):
        assert with_letters(NAMED, width) == (NAMED, [])


def test_other_headers_and_more_models_than_letters_stay():
    header = ("%", *(f"a-model-of-long-name-{number}" for number in range(27)))
    many = Sheet("Errors", header, (Line(("a", *["1"] * 27)),), names=tuple(range(1, 28)))
    assert with_letters(many, 20) == (many, [])
    columns = ("%", "a-column-of-words-that-fold")
    assert with_letters(Sheet("Errors", columns, (Line(("a", "1")),)), 10)[1] == []
