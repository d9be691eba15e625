import pytest

from ppbench.errors import DataError
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.csv_file import has_flips, read_flips

HEADER = "corruption,severity,accuracy\n"


def read(tmp_path, text):
    path = tmp_path / "net.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CellErrors.from_csv(path)


def test_a_file_of_many_columns_is_told_in_one_short_line(tmp_path):
    (tmp_path / "wide.csv").write_text(",".join(f"a column of a long name, number {i}" * 2 for i in range(40)) + "\n")
    with pytest.raises(DataError, match="no column 'corruption', only") as caught:
        CellErrors.from_csv(tmp_path / "wide.csv")
    assert len(caught.value.message) < 500


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
        (HEADER, "has a header but no rows", "corruption,severity,accuracy"),
        (
            "corruption,accuracy\nfog,0.5\n",
            "has no column 'severity', only 'corruption', 'accuracy'",
            "columns",
        ),
        (HEADER + "fogg,1,0.5\n", "line 2: unknown corruption 'fogg'", "did you mean 'fog'"),
        (HEADER + "sparkle,1,0.5\n", "line 2: unknown corruption 'sparkle'", "did you mean 'sparkles'"),
        (HEADER + "mist,1,0.5\n", "line 2: unknown corruption 'mist'", "lists all 46"),
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
        (HEADER + "fog,1,.5\nFog,1,.6\n", "line 3: fog at severity 1 is given twice", "Keep one"),
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


FLIPS = "perturbation,difficulty,flip_probability"


def test_flips_are_read_with_and_without_distances(tmp_path):
    path = tmp_path / "flips.csv"
    path.write_text("Difficulty,note,perturbation,flip_probability\n1,x,Rotate,0.25\n2.0,y,rotate,0.5\n")
    assert has_flips(path)
    assert read_flips(path) == ({("rotate", 1): 0.25, ("rotate", 2): 0.5}, None)
    path.write_text(f"{FLIPS},top5_distance\ntilt,3,0.1,2.5\n")
    assert read_flips(path).distances == {("tilt", 3): 2.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{FLIPS}\nrotated,1,0.1", "line 2: unknown perturbation 'rotated'"),
        (f"{FLIPS}\nrotate,4,0.1", "line 2: difficulty '4' of rotate is not allowed"),
        (f"{FLIPS}\nrotate,1,9.44", "line 2: flip_probability 9.44 is not allowed"),
        (f"{FLIPS}\nrotate,1,much", "line 2: flip_probability 'much' is not a number"),
        (f"{FLIPS}\nrotate,1,0.1\nrotate,1,0.2", "line 3: rotate at difficulty 1 is given twice"),
        (f"{FLIPS},top5_distance\nrotate,1,0.1,16", "line 2: top5_distance 16 is not allowed"),
        ("perturbation,difficulty\nrotate,1", "has no column 'flip_probability'"),
        (FLIPS, "has a header but no rows"),
    ],
)
def test_a_wrong_row_of_flips_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "flips.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_flips(path)
