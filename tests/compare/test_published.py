import json

import pytest

from ppbench.cli.output import Format, written
from ppbench.compare.files import files_beside_published
from ppbench.compare.published import all_published, beside_published
from ppbench.errors import NotComparableError, UsageError
from ppbench.metrics.published import ADAPTED_MCE, CLEAN_ERROR, MCE, published_sets
from ppbench.run import Adaptation
from ppbench.vocabulary import SEVERITIES
from tests.builders import make_classes, make_errors, make_run
from tests.metrics.test_of_sequences import RESNEXT_FP, RESNEXT_UT5D, write_flips
from tests.trial_runs import sequence_run

NAME = "imagenet-c-resnet50"


def imagenet_run(**protocol):
    fields = {"dataset": "imagenet-c", "source": "published", "normalizer": "alexnet", **protocol}
    return make_run(make_errors(0), **fields)


def row_of(run):
    return beside_published([("mine", run)], NAME).sheets()[0].lines[-1].cells


def apart(run, name=NAME):
    """What a run has under labels that the set does not have: those labels with the figures."""
    sheets = beside_published([("mine", run)], name).sheets()
    return {label: figure for _, label, figure in (line.cells for line in sheets[1].lines)}, sheets


ADAPTED = f"{NAME}-batchnorm"


def test_a_run_of_the_same_label_stands_in_the_same_column():
    (sheet,) = beside_published([("mine", imagenet_run())], NAME).sheets()
    assert sheet.header == ("model", "mCE %", "clean error %", "source")
    assert sheet.labels == (MCE, "clean_error")
    assert row_of(imagenet_run())[3] == "this run"


@pytest.mark.parametrize(
    ("protocol", "word"),
    [
        ({"source": "generated-jpeg85"}, "generated"),
        ({"total": 50_000}, "1000 of 50000"),
        ({"classes": make_classes()}, "200 classes masked"),
        ({"severities": SEVERITIES[:3]}, "s1-3"),
        ({"corruptions": ("fog", "frost")}, "fog+frost"),
    ],
)
def test_a_run_of_another_label_never_stands_in_the_published_column(protocol, word):
    own, (beside, others) = apart(imagenet_run(**protocol))
    assert beside.header == ("model", "mCE %", "clean error %", "source")
    assert all(line.cells[1] == "–" for line in beside.lines if line.cells[-1] == "this run")
    assert any(word in label and label.startswith("mCE[") for label in own)
    assert any("do not rank the two" in note for note in others.notes)


def test_adapted_runs_stand_beside_plain_ones_and_never_in_their_column():
    adapted = imagenet_run(adaptation=Adaptation())
    sheet, others = beside_published([("plain", imagenet_run()), ("mine", adapted)], ADAPTED).sheets()
    own = "mCE[alexnet,c15,s1-5,batchnorm-adapted]"
    assert sheet.header == ("model", "mCE %", "mCE batchnorm-adapted in batches of 512 %", "source")
    assert sheet.labels == (MCE, ADAPTED_MCE)
    assert sheet.lines[-2].cells[:3] == ("Standard", "76.7", "62.2")
    plain = sheet.lines[-1].cells
    assert (plain[0], plain[2]) == ("plain", "–")
    assert others.lines[0].cells == ("mine", own, plain[1])
    assert any(own in note and "do not rank the two" in note for note in others.notes)


def test_the_plain_figures_of_both_tables_agree():
    plain = {row.name: row.values[MCE] for row in published_sets()[NAME].rows}
    adapted = published_sets()[ADAPTED].rows
    assert all(row.values[MCE] == plain[row.name] for row in adapted)
    assert all(row.values[ADAPTED_MCE] < row.values[MCE] for row in adapted)


def test_another_dataset_is_refused():
    with pytest.raises(
        NotComparableError, match="mine was measured on fashion-mnist, but imagenet-c-resnet50 is for imagenet-c"
    ):
        beside_published([("mine", make_run())], NAME)


def test_an_unknown_name_is_told():
    with pytest.raises(UsageError, match="did you mean 'imagenet-p-resnet50' or 'imagenet-c-resnet50'"):
        beside_published([], "imagenet-resnet50")


@pytest.mark.parametrize("form", ["json", "csv", "markdown", "latex"])
def test_formats(form):
    text = written(beside_published([("mine", imagenet_run())], NAME), Format(form))
    assert "53.6" in text
    assert "mine" in text


SETS = published_sets()


@pytest.mark.parametrize("name", SETS)
def test_two_labels_never_share_a_column(name):
    (sheet,) = beside_published([], name).sheets()
    labels = SETS[name].labels
    assert len(set(sheet.header)) == len(sheet.header) == len(labels) + 2
    for row, line in zip(SETS[name].rows, sheet.lines, strict=True):
        shown = dict(zip(labels, line.cells[1:-1], strict=True))
        assert {label for label, cell in shown.items() if cell != "–"} == set(row.values)


def test_figures_have_the_digits_they_were_published_with():
    by_name = {line.cells[0]: line.cells for line in beside_published([], NAME).sheets()[0].lines}
    assert by_name["APR"][1:3] == ("65.56", "24.39")
    assert by_name["Standard"][1:3] == ("76.7", "23.85")


def test_all_are_those_of_the_runs_dataset():
    report = beside_published([("mine", imagenet_run())], "all")
    assert [part.name for part in report.parts] == [name for name in SETS if SETS[name].dataset == "imagenet-c"]
    for part in report.parts:
        own = part.models[-1]
        assert own.name == "mine"
        assert own.metrics[MCE].value is not None
    # RobustBench's figures are for other images, so the run stands apart there.
    robustbench = next(part for part in report.parts if part.name == "imagenet-c-robustbench")
    sheet, others = robustbench.sheets()
    assert all(line.cells[-1] != "this run" for line in sheet.lines)
    assert [line.cells[0] for line in others.lines] == ["mine"] * 3
    assert any("do not rank the two" in note for note in others.notes)


def test_flips_are_divided_by_the_users_normalizer(tmp_path):
    sequence_run("mine", encoding="h264", n=20).write(tmp_path / "mine.json")
    name = "imagenet-p-resnet50"
    reason = "alexnet's errors are no flips"
    assert any(reason in note for note in files_beside_published([tmp_path / "mine.json"], name).sheets()[1].notes)
    write_flips(tmp_path / "resnext.csv", RESNEXT_FP, RESNEXT_UT5D)
    beside = files_beside_published([tmp_path / "mine.json"], name, str(tmp_path / "resnext.csv"))
    own = beside.models[-1].metrics
    assert list(own) == ["mFR[resnext,p10,d1,h264]", "mT5D[resnext,p10,d1,h264]"]
    flips = sequence_run("mine", encoding="h264", n=20).run.cells
    expected = sum(cell.error / fp for cell, fp in zip(flips, RESNEXT_FP, strict=True)) / len(flips)
    assert next(iter(own.values())).value == pytest.approx(10_000 * expected)
    sheet, others = beside.sheets()
    assert sheet.lines[-1].cells[-1] != "this run"
    assert any("mFR[resnext,p10,d1,h264] is not mFR[alexnet,p10,d1,h264]" in note for note in others.notes)
    # AlexNet measured by the user, from a file of that name, has the published label.
    write_flips(tmp_path / "alexnet.csv", RESNEXT_FP, RESNEXT_UT5D)
    same = files_beside_published([tmp_path / "mine.json"], name, str(tmp_path / "alexnet.csv"))
    assert same.sheets()[0].lines[-1].cells[1] != "–"


def test_all_without_any_is_refused():
    with pytest.raises(NotComparableError, match="no results are published for fashion-mnist"):
        beside_published([("mine", make_run())], "all")


def test_the_list_has_every_row_with_its_link_and_single_cells():
    found = json.loads(written(all_published(), Format.JSON))
    rows = [(row["set"], row["model"], row["label"]) for row in found["results"]]
    assert len(set(rows)) == len(rows) == sum(len(row.values) for one in SETS.values() for row in one.rows)
    assert all(row["link"].startswith("https://github.com/") for row in found["results"])
    assert len(found["cells"]) == 12 * 15 + 12 * 12
    assert all(len(row["accuracies"]) == 5 for row in found["cells"])


def test_a_runs_clean_error_stands_beside_published_ones():
    (sheet,) = beside_published([("mine", imagenet_run())], NAME).sheets()
    assert sheet.labels == (MCE, CLEAN_ERROR)
    fixup = next(line.cells for line in sheet.lines if line.cells[0] == "Fixup")
    assert fixup[1:3] == ("72.0", "–")
