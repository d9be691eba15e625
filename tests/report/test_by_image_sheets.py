import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from ppbench.cli.output import Format, written
from ppbench.metrics.by_class import ClassError
from ppbench.report.by_image import by_image
from ppbench.report.by_image_sheets import by_image_sheets
from ppbench.report.report import RunReport
from ppbench.report.summary import summarise
from ppbench.tables.terminal import drawn
from ppbench.tables.text import to_latex, to_markdown
from tests.report import images

FOUND = by_image(images.run(), images.bits(), images.predictions())


def cells(sheet):
    return [line.cells for line in sheet.lines]


def test_the_worst_classes_stand_above_the_mean_of_all():
    sheet = by_image_sheets(FOUND)[0]
    assert sheet.title == "Worst classes, all 3, errors in %"
    assert sheet.header == ("class", "images", "clean error", "mean error", "p")
    assert [row[:2] for row in cells(sheet)] == [("cat", "4"), ("dog", "4"), ("owl", "4"), ("all classes", "12")]
    assert cells(sheet)[0][3].startswith("56.2 [")
    assert cells(sheet)[-1] == ("all classes", "12", "8.3", "25.0", "")
    assert "adjusted over the 3 classes (Holm)" in sheet.notes[0]
    assert "high by chance" in sheet.notes[0]
    assert sheet.labels == ("mean_error[fog+snow,s1-2]",)


def test_of_many_classes_ten_are_shown():
    many = tuple(ClassError(number, 3, None, 0.5, None, None) for number in range(12))
    found = type(FOUND)(FOUND.cell_errors, 0.95, {number: f"c{number}" for number in range(12)}, many)
    sheet = by_image_sheets(found)[0]
    assert sheet.title == "Worst classes, 10 of 12, errors in %"
    assert len(sheet.lines) == 11
    assert cells(sheet)[0] == ("c0", "3", "n/a", "50.0", "–")
    assert cells(sheet)[-1] == ("all classes", "36", "n/a", "50.0", "")


def test_confusions_name_both_classes_and_say_what_p_counts():
    sheet = by_image_sheets(FOUND)[1]
    assert cells(sheet)[0][:4] == ("cat", "dog", "25.0", "56.2")
    assert cells(sheet)[0][4].startswith("31.2 [")
    assert "Corrupted: mean over fog+snow,s1-2." in sheet.notes[0]
    assert "all pairs of classes (Bonferroni)" in sheet.notes[0]


def test_without_added_confusions_the_table_says_so():
    clean = images.predictions().classes["clean", 0]
    same = type(images.predictions())(
        images.LABELS, dict.fromkeys(images.predictions().classes, clean), None, images.NAMES
    )
    sheet = by_image_sheets(by_image(images.run(), None, same))[1]
    assert sheet.lines == ()
    assert sheet.notes == ("No class is taken for another one more often than without corruption.",)


def test_classes_of_a_single_image_are_said_to_be_left_out_of_confusions():
    classes = (*FOUND.classes, ClassError(9, 1, None, 0.5, None, None))
    found = replace(FOUND, classes=classes, names={**FOUND.names, 9: "emu"}, confusions=())
    assert by_image_sheets(found)[1].notes[-1] == "Classes of a single image are left out."
    assert not any("single image" in note for note in by_image_sheets(FOUND)[1].notes)


def test_flips_stand_under_their_families_above_the_mean():
    sheet = by_image_sheets(FOUND)[2]
    assert sheet.title == "First flips, % of the 11 images that are right without corruption"
    assert sheet.header == ("corruption", "s1", "s2", "never", "returned")
    assert [row[0] for row in cells(sheet)] == ["weather", "  snow", "  fog", "mean of 2"]
    assert cells(sheet)[2][1:3] == ("9.1", "27.3")
    assert cells(sheet)[2][3].startswith("63.6 [")
    assert by_image_sheets(FOUND, intervals=True)[2].lines[2].cells[1].startswith("9.1 [")


def test_missing_tables_are_named_with_the_reason_once():
    (sheet,) = by_image_sheets(by_image(images.run(), None, None, no_bits="lost", no_predictions="not kept"))
    assert sheet.title == "By class and image: not available"
    assert cells(sheet) == [
        ("worst classes, confusions that corruptions add", "not kept"),
        ("first flips", "lost"),
    ]


HOSTILE = ("\x1b[2J<script>", '=1+1|"x"', "\u202egnp.exe_{}$\\input{a}")


@pytest.mark.parametrize("form", ["markdown", "latex", "csv", "json"])
def test_names_of_classes_are_data_in_every_format(form):
    found = by_image(images.run(), images.bits(), images.predictions(HOSTILE))
    text = written(RunReport([summarise(images.run())], by_image=found), Format(form))
    assert not set(text) & {"\x1b", "\u202e"}
    if form == "markdown":
        assert text.count("<script>") == text.count(r"\<script>") > 0
        assert r"=1+1\|" in text
    if form == "latex":
        assert r"\input{" not in text
    if form == "csv":
        names = {row["class"] for row in csv.DictReader(io.StringIO(text))}
        assert '\'=1+1|"x"' in names
    if form == "json":
        assert {one["class"] for one in json.loads(text)["by_image"]["class_errors"]} == set(HOSTILE)


def test_names_of_classes_are_data_in_a_terminal():
    found = by_image(images.run(), images.bits(), images.predictions(HOSTILE))
    console = Console(file=io.StringIO(), width=100)
    console.print(drawn(by_image_sheets(found)))
    text = console.file.getvalue()
    assert not set(text) & {"\x1b", "\u202e"}
    assert r"\x1b[2J<script>" in text


def test_markdown_and_latex_have_the_tables():
    for write in (to_markdown, to_latex):
        assert "cat" in write(by_image_sheets(FOUND)[0])
