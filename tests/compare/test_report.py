import csv
import io
import json
from dataclasses import replace

from ppbench.cli.output import Format, written
from ppbench.compare.calibration import NO_INTERVAL
from ppbench.compare.comparison import compare
from ppbench.compare.report import ComparisonReport
from ppbench.compare.verdict import verdict_text
from ppbench.metrics.references import ALEXNET
from tests.compare.runs import ERRORS, NOISY, OLD, make_measured

EQUAL = make_measured(ERRORS, name="equal", seed=2, n=2000, weights="2")


def sheets(comparisons, **options):
    return ComparisonReport(comparisons, **options).sheets()


def export(comparisons, form, **options):
    return written(ComparisonReport(comparisons, **options), Format(form))


def test_the_formats_say_the_same():
    found = [compare(OLD, NOISY, None), compare(OLD, EQUAL, None)]
    content = json.loads(export(found, "json"))["comparisons"]
    rows = list(csv.DictReader(io.StringIO(export(found, "csv"))))
    differences = [row for row in rows if row["group"] != "error_consistency"]
    assert len(differences) == sum(len(c["differences"]) for c in content)
    assert [float(r["value"]) for r in differences if r["value"]] == [
        d["value"] for c in content for d in c["differences"] if d["value"] is not None
    ]
    assert content[0]["verdict"] == verdict_text(found[0])
    for pairs, tables in ((False, 1), (True, 3)):
        assert export(found, "latex", pairs=pairs).count(r"\toprule") == tables
        assert export(found, "markdown", pairs=pairs).count("### ") == tables
    assert len(export(found, "markdown", cells=True)) > 2 * len(export(found, "markdown"))


def test_more_metrics_are_in_tables_of_their_own_if_wanted():
    found = compare(OLD, NOISY, ALEXNET)
    main, ratios, calibration, consistency = sheets([found], all_metrics=True)
    assert consistency.header == ("", "kappa", "observed", "expected")
    assert main == sheets([found])[0]
    names = [line.cells[0] for line in ratios.lines]
    assert names[:3] == ["CE", "noise", "  gaussian_noise"]
    assert "relative CE" in names
    assert ratios.labels == ("CE[alexnet,generated,s1-5]", "relative_CE[alexnet,generated,s1-5]")
    assert calibration.header == ("%", "old", "new", "change")
    assert "log loss, nats" in [line.cells[0] for line in calibration.lines]
    assert any(NO_INTERVAL in note for note in calibration.notes)
    assert len(sheets([compare(OLD, NOISY, None)], all_metrics=True)) == 3  # without a normaliser there is no CE


def test_three_runs_stand_side_by_side_with_marks_where_a_change_is_shown():
    found = [compare(OLD, NOISY, ALEXNET), compare(OLD, EQUAL, ALEXNET)]
    (together,) = sheets(found)
    assert together.header == ("%", "old", "new", "equal")
    rows = {line.cells[0]: line.cells[1:] for line in together.lines}
    noise = next(d for d in found[0].group("family") if d.name == "noise")
    assert rows["noise"][1] == f"{noise.value:.2f} -2.00* ± {noise.points.margin:.2f}"
    assert "*" not in "".join(cells[2] for cells in rows.values() if len(cells) > 2)
    assert [line.kind for line in together.lines] == [line.kind for line in sheets(found[:1])[0].lines]
    assert together.notes[:2] == (verdict_text(found[0]), verdict_text(found[1]))
    assert sheets(found, pairs=True) == [together, *sheets(found[:1]), *sheets(found[1:])]


def test_an_unfinished_run_is_told_of_once():
    errors = {key: value for key, value in ERRORS.items() if key not in (("fog", 5), ("snow", 1))}
    half = make_measured(errors, name="half", n=2000, seed=1)
    for made in (
        sheets([compare(OLD, half, ALEXNET)]),
        sheets([compare(OLD, half, ALEXNET), compare(OLD, EQUAL, ALEXNET)]),
    ):
        told = [note for note in made[0].notes if "half" in note and "lacks" in note and not note.startswith("No ")]
        (words,) = [note for note in told if "Overall" not in note]
        assert words == (
            "half is incomplete: it lacks 2 of 76 cells (snow s1, fog s5). Only cells that both runs have are "
            "compared; means over a missing one are n/a."
        )


def test_latex_has_minus_signs_and_its_notes_below_the_table():
    text = export([compare(OLD, NOISY, None)], "latex")
    assert "$-$2.00 &" in text
    assert "s1-5" in text
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    assert "makes fewer errors" not in caption
    assert text.index(r"\end{tabular}") < text.index("makes fewer errors") < text.index(r"\end{table}")


def test_a_change_that_is_shown_is_for_the_better_or_the_worse_and_has_a_mark():
    found = [compare(OLD, NOISY, ALEXNET), compare(NOISY, OLD, ALEXNET)]
    for comparison, noise, r_net in zip(found, ("better", "worse"), ("better", "worse"), strict=True):
        (sheet,) = sheets([comparison])
        lines = {line.cells[0]: line for line in sheet.lines}
        assert lines["noise"].tones == {3: noise}
        assert lines["R_net"].tones in ({}, {3: r_net}), "more of it is better"
        assert lines["blur"].tones == {}
        assert all(line.cells[place][0] in "+-" for line in sheet.lines for place in line.tones)
    (together,) = sheets([compare(OLD, NOISY, ALEXNET), compare(OLD, EQUAL, ALEXNET)])
    marked = [line.cells[place] for line in together.lines for place in line.tones]
    assert marked
    assert all("*" in cell for cell in marked)


def test_a_change_that_is_printed_as_zero_has_no_mark():
    """With a single image of very many, what is shown may be smaller than what is printed."""
    found = compare(OLD, NOISY, None)
    tiny = [
        replace(d, points=d.points and d.points._replace(value=0.004), reference=1.0, value=1.004)
        for d in found.differences
    ]
    (together,) = sheets([replace(found, differences=tuple(tiny)), compare(OLD, EQUAL, None)])
    assert any(d.is_shown(0.05) for d in tiny)
    column = [line.cells[2] for line in together.lines if len(line.cells) > 2]
    assert all("+0.00" in cell and "*" not in cell for cell in column)
    assert not any(2 in line.tones for line in together.lines)
    assert "A change that rounds to zero has no *." in " ".join(together.notes)
    assert "rounds to zero" not in " ".join(sheets([found, compare(OLD, EQUAL, None)])[0].notes)
