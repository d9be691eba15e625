import pytest

from ppbench.errors import DataError
from ppbench.metrics.cell_errors import CellErrors, headline_corruptions
from ppbench.metrics.metric import Unavailable
from ppbench.vocabulary import C15, C19, C_3D, C_BAR, CLEAN
from tests.builders import make_classes, make_errors, make_run, write_csv

HEADER = "corruption,severity,accuracy\n"


def read(tmp_path, text):
    path = tmp_path / "net.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CellErrors.from_csv(path)


def test_a_csv_gives_errors_clean_error_and_its_name(tmp_path):
    table = read(tmp_path, HEADER + "clean,0,0.75\nfog,1,0.5\nfog,3,0.25\n")
    assert table.source == "net"
    assert table.clean == 0.25
    assert table.errors == {("fog", 1): 0.5, ("fog", 3): 0.75}
    assert (table.corruptions, table.severities) == (("fog",), (1, 3))


def test_columns_may_stand_in_any_order_with_others_between_blanks_and_a_byte_order_mark(tmp_path):
    text = "\ufeffmodel, Accuracy ,severity,n,corruption\nx,0.5, 2 ,9,Fog\n,,,,\n\nx,0.25,3.0,9,fog\n"
    assert read(tmp_path, text).errors == {("fog", 2): 0.5, ("fog", 3): 0.75}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is empty", "corruption,severity,accuracy"),
        (HEADER, "has a header and no rows", "corruption,severity,accuracy"),
        (
            "corruption,accuracy\nfog,0.5\n",
            "has no column 'severity', only 'corruption', 'accuracy'",
            "columns",
        ),
        (HEADER + "fogg,1,0.5\n", "line 2: unknown corruption 'fogg'", "did you mean 'fog'"),
        (HEADER + "sparkle,1,0.5\n", "line 2: unknown corruption 'sparkle'", "did you mean 'sparkles'"),
        (HEADER + "mist,1,0.5\n", "line 2: unknown corruption 'mist'", "lists all 41"),
        (HEADER + "fog,1,.5\n,2,.5\n", "line 3: unknown corruption ''", "ppbench list corruptions"),
        (HEADER + "fog,6,0.5\n", "line 2: severity '6' of fog is not allowed", "1 to 5"),
        (HEADER + "fog,0,0.5\n", "line 2: severity '0' of fog is not allowed", "1 to 5"),
        (HEADER + "fog,2.5,0.5\n", "line 2: severity '2.5' of fog is not allowed", "1 to 5"),
        (HEADER + "clean,1,0.5\n", "line 2: severity '1' of clean is not allowed", "severity 0"),
        (HEADER + "\nfog,1,76.13\n", "line 3: accuracy 76.13 is not allowed", "76.13 % is written 0.7613"),
        (HEADER + "fog,1,-0.1\n", "line 2: accuracy -0.1 is not allowed", "fractions"),
        (HEADER + "fog,1,nan\n", "line 2: accuracy nan is not allowed", "fractions"),
        (HEADER + "fog,1,\n", "line 2: accuracy '' is not a number", "fog,3,0.4583"),
        (HEADER + "fog,1,half\n", "line 2: accuracy 'half' is not a number", "fog,3,0.4583"),
        (HEADER + "fog,1,.5\nFog,1,.6\n", "line 3: fog at severity 1 stands twice", "Keep one"),
        (HEADER + "fog,1,.5\nfog,2,.5,.6,7\n", "line 3: 5 fields under 3 columns", "columns"),
        (HEADER + "fog,1,.5,9\n", "line 2: 4 fields under 3 columns", "columns"),
        (b"\xff\xfe\x00\x80\x81", "is not a CSV", "columns"),
    ],
)
def test_a_bad_csv_is_answered_with_the_line_the_value_and_the_mend(tmp_path, text, message, hint):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert "net.csv" in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="cannot read"):
            CellErrors.from_csv(path)


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
