import pytest

from ppbench.metrics.cell_errors import CellErrors, headline_corruptions
from ppbench.metrics.metric import Unavailable
from ppbench.metrics.quantities import CleanError, case_of
from ppbench.run import Adaptation
from ppbench.vocabulary import C15, C19, C_3D, C_BAR, CLEAN
from tests.builders import make_classes, make_errors, make_run, write_csv


def test_a_run_and_its_csv_hold_the_same_errors(tmp_path):
    run = make_run(make_errors(1))
    path = write_csv(tmp_path / "net.csv", {cell.key: cell.top1 / cell.n for cell in run.cells})
    from_run, from_csv = CellErrors.from_run(run), CellErrors.from_csv(path)
    assert from_run.errors == pytest.approx(from_csv.errors, abs=1e-12)
    assert from_run.clean == pytest.approx(from_csv.clean)
    assert (from_run.corruptions, from_run.severities) == (from_csv.corruptions, from_csv.severities)


def test_headline_is_c15_where_it_is_whole_else_what_is_there():
    assert headline_corruptions(C19) == C15
    assert headline_corruptions(reversed(C15)) == C15
    assert headline_corruptions(("saturate", "frost", "fog")) == ("frost", "fog", "saturate")
    assert headline_corruptions((*C_BAR, *C15)) == C15
    assert headline_corruptions(reversed(C_BAR)) == C_BAR
    assert headline_corruptions(("mist", "haze", *C_3D)) == (*C_3D, "haze", "mist")


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (C_BAR, "cbar"),
        (C_3D, "3dcc"),
        (C_3D[:11], "11/12#737a25ea"),
        (("mist", "haze"), "haze+mist"),
        (tuple("abcde"), "5 corruptions#bdf1dfc0"),
    ],
)
def test_corruptions_beyond_the_nineteen_are_the_headline(tmp_path, names, label):
    table = CellErrors.from_run(make_run(make_errors(4, names), corruptions=names))
    assert table.label("M", corruptions=table.headline, severities=(3,)) == f"M[{label},s3]"
    assert table.mean_error(table.headline, table.severities) > 0
    assert CellErrors.from_errors("net", table.errors, None).corruptions == table.corruptions
    if label in ("cbar", "3dcc"):
        path = write_csv(tmp_path / "net.csv", {key: 1 - error for key, error in table.errors.items()})
        assert CellErrors.from_csv(path).errors == pytest.approx(table.errors)


def test_a_mean_over_an_incomplete_grid_names_the_missing_cells():
    errors = make_errors(2)
    del errors["fog", 3]
    table = CellErrors.from_run(make_run(errors))
    with pytest.raises(Unavailable, match="net lacks 1 of 75 cells: fog s3"):
        table.mean_error(C15, (1, 2, 3, 4, 5))
    assert table.mean_error(("fog",), (1, 2)) > 0


def test_severities_of_errors_are_those_of_the_headline_corruptions():
    errors = {**dict.fromkeys([(name, 3) for name in C15], 0.5), ("saturate", 5): 0.9}
    table = CellErrors.from_errors("net", errors, None)
    assert table.severities == (3,)
    assert table.mean_error(table.headline, table.severities) == 0.5


def test_worst_cell_is_the_first_of_the_highest_errors_and_may_be_an_extra():
    errors = {("fog", 1): 0.5, ("frost", 2): 0.75, ("frost", 4): 0.75, ("saturate", 1): 0.25}
    assert CellErrors.from_errors("net", errors, 0.1).worst_cell() == ("frost", 2, 0.25)
    assert CellErrors.from_errors("net", {**errors, ("saturate", 2): 1.0}, 0.1).worst_cell()[0] == "saturate"
    assert CellErrors.from_errors("net", {}, 0.1).worst_cell() is None


def test_labels_carry_set_severities_and_subset():
    whole, part = (CellErrors.from_run(make_run(n=500, total=total)) for total in (500, 2000))
    grid = {"corruptions": C15, "severities": (1, 2, 3, 4, 5)}
    assert whole.label("mCE", "alexnet", **grid) == "mCE[alexnet,c15,s1-5]"
    assert part.label("mCE", "alexnet", **grid) == "mCE[alexnet,c15,s1-5,500 of 2000]"
    assert whole.label("mean_error", corruptions=("fog", "frost"), severities=(3,)) == "mean_error[fog+frost,s3]"


def test_only_clean_images_leave_no_corrupted_cells():
    table = CellErrors.from_run(make_run({(CLEAN, 0): 0.1}, corruptions=()))
    with pytest.raises(Unavailable, match="no corrupted cells"):
        table.mean_error(table.headline, table.severities)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (make_classes(outputs=200, logits="own"), "200 classes"),
        (make_classes(logits="masked"), "200 classes masked"),
        (make_classes(logits="all"), "200 of 1000 classes"),
    ],
)
def test_labels_say_which_classes_compete(classes, words):
    whole, part = (CellErrors.from_run(make_run(n=500, total=t, classes=classes)) for t in (500, 10_000))
    assert (whole.classes, whole.images, whole.subset) == (words, None, words)
    assert (part.images, part.subset) == ("500 of 10000", f"{words},500 of 10000")
    label = part.label("mean_error", corruptions=C15, severities=(1, 2, 3, 4, 5))
    assert label == f"mean_error[c15,s1-5,{words},500 of 10000]"
    assert CellErrors.from_run(make_run()).subset is None


def test_labels_of_adapted_networks_say_so_at_the_end():
    one = CellErrors.from_run(make_run(make_errors(0), adaptation=Adaptation()))
    part = CellErrors.from_run(make_run(make_errors(0), adaptation=Adaptation(source_images=16), total=2000))
    labels = [one_of.label("M", "alexnet", corruptions=C15, severities=(1, 2)) for one_of in (one, part)]
    assert labels == [
        "M[alexnet,c15,s1-2,batchnorm-adapted]",
        "M[alexnet,c15,s1-2,1000 of 2000,batchnorm:16-adapted]",
    ]
    assert CleanError().label(case_of(one)) == "clean_error[batchnorm-adapted]"
    assert part.subset == "1000 of 2000"  # titles have it
    assert one.source == "net (batchnorm-adapted)"
