import pytest

from ppbench.cli.output import Format, written
from ppbench.compare.published import beside_published
from ppbench.errors import NotComparableError, UsageError
from ppbench.metrics.references import ADAPTED_MCE, MCE, PUBLISHED
from ppbench.run import Adaptation
from ppbench.vocabulary import SEVERITIES
from tests.builders import make_classes, make_errors, make_run

NAME = "imagenet-c-resnet50"


def imagenet_run(**protocol):
    fields = {"dataset": "imagenet-c", "source": "published", "normalizer": "alexnet", **protocol}
    return make_run(make_errors(0), **fields)


def row_of(run):
    return beside_published([("mine", run)], NAME).sheets()[0].lines[-1].cells


ADAPTED = f"{NAME}-batchnorm"


def test_every_published_figure_has_a_source_and_the_label_it_was_computed_by():
    for name, (_, rows) in PUBLISHED.items():
        for row in rows:
            assert set(row.values) == {MCE, ADAPTED_MCE if name == ADAPTED else "clean_error"}
            assert row.source
    assert PUBLISHED[NAME][1][-1].values == {MCE: 76.7, "clean_error": 23.9}


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
    beside = beside_published([("mine", imagenet_run(**protocol))], NAME).sheets()[0]
    assert beside.lines[-1].cells[1] == "–"
    own = [place for place, name in enumerate(beside.header) if word in name]
    assert own
    assert all(line.cells[place] == "–" for line in beside.lines[:-1] for place in own)
    assert any("do not rank the two" in note for note in beside.notes)


def test_adapted_runs_stand_beside_plain_ones_and_never_in_their_column():
    adapted = imagenet_run(adaptation=Adaptation())
    (sheet,) = beside_published([("plain", imagenet_run()), ("mine", adapted)], ADAPTED).sheets()
    own = "mCE[alexnet,c15,s1-5,batchnorm-adapted]"
    assert sheet.header == ("model", f"{MCE} %", f"{ADAPTED_MCE} %", f"{own} %", "source")
    assert sheet.lines[-3].cells[:3] == ("Standard", "76.7", "62.2")
    plain, mine = (line.cells for line in sheet.lines[-2:])
    assert plain[1] == mine[3] != "–"
    assert (plain[2], plain[3], mine[1], mine[2]) == ("–",) * 4
    assert any(own in note and "do not rank the two" in note for note in sheet.notes)


def test_the_plain_figures_of_both_tables_agree():
    plain = {row.name: row.values[MCE] for row in PUBLISHED[NAME][1]}
    assert all(row.values[MCE] == plain[row.name] for row in PUBLISHED[ADAPTED][1])
    assert all(row.values[ADAPTED_MCE] < row.values[MCE] for row in PUBLISHED[ADAPTED][1])


def test_another_dataset_is_refused():
    with pytest.raises(
        NotComparableError, match="mine was measured on fashion-mnist, but imagenet-c-resnet50 is for imagenet-c"
    ):
        beside_published([("mine", make_run())], NAME)


def test_an_unknown_name_is_told():
    with pytest.raises(UsageError, match="did you mean 'imagenet-c-resnet50'"):
        beside_published([], "imagenet-resnet50")


@pytest.mark.parametrize("form", ["json", "csv", "markdown", "latex"])
def test_formats(form):
    text = written(beside_published([("mine", imagenet_run())], NAME), Format(form))
    assert "53.6" in text
    assert "mine" in text
