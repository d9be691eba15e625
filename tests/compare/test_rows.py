from dataclasses import replace

from ppbench.compare.comparison import compare
from ppbench.compare.report import ComparisonReport
from ppbench.metrics.references import ALEXNET
from ppbench.run import Adaptation
from tests.compare.runs import ERRORS, NOISY, OLD, make_measured


def sheets(comparisons):
    return ComparisonReport(comparisons).sheets()


def test_rows_have_short_names_and_the_sheet_their_labels_in_full():
    old, new = (
        make_measured(ERRORS, name=name, n=500, total=2000, seed=seed) for name, seed in (("a-name", 0), ("b", 1))
    )
    (made,) = sheets([compare(old, new, old.cell_errors)])
    assert made.title == "b against a-name · fashion-mnist · 500 of 2000 images · normaliser the reference"
    names = [line.cells[0] for line in made.lines[:6]]
    assert names == ["clean error", "mean error", "mCE", "relative mCE", "R_net", "mean error by family"]
    part = "500 of 2000"
    assert made.labels == (
        f"clean_error[{part}]", f"mean_error[c15,s1-5,{part}]", f"mCE[a-name,c15,s1-5,{part}]",
        f"relative_mCE[a-name,c15,s1-5,{part}]", f"R_net[a-name,c15,s1-5,{part}]", f"mean_error[s1-5,{part}]",
    )  # fmt: skip


def test_two_definitions_of_a_metric_have_no_short_name():
    one, other = (replace(OLD, name="a"), replace(NOISY, name="b"))
    known = compare(one, other, ALEXNET)
    masked = [replace(d, label=d.label.replace("]", ",masked]")) for d in known.differences]
    (made,) = sheets([known, replace(known, differences=tuple(masked))])
    names = [line.cells[0] for line in made.lines]
    assert {"mCE[alexnet,generated,c15,s1-5]", "mCE[alexnet,generated,c15,s1-5,masked]"} <= set(names)
    assert "mCE" not in names


def test_an_adapted_run_has_the_short_names_of_a_plain_one():
    plain = make_measured(ERRORS, name="net", n=500)
    adapted = make_measured(ERRORS, name="adapted", n=500, seed=1, adaptation=Adaptation())
    (made,) = sheets([compare(plain, adapted, plain.cell_errors)])
    names = [line.cells[0] for line in made.lines[:6]]
    assert names == ["clean error", "mean error", "mCE", "relative mCE", "R_net", "mean error by family"]
    assert made.labels[0] == "clean_error / clean_error[batchnorm-adapted]"
