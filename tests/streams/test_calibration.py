"""Files of accuracies: written and read, their hash, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.streams.calibration import Calibration, read_calibration, write_calibration
from tests.streams.calibrations import falling

NAMES = ("fog", "snow", "frost")
HEADER = "first,second,first_severity,second_severity,accuracy\n"


def with_pairs() -> Calibration:
    known, draw = falling(), np.random.default_rng(1)
    pairs = {(one, other): draw.random((21, 21)) for one in NAMES for other in NAMES if one != other}
    return Calibration(pairs, {name: known.singles[name] for name in NAMES})


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    written = with_pairs()
    write_calibration(tmp_path / "c.csv", written, "of a\nnetwork")
    text = (tmp_path / "c.csv").read_text()
    assert text.startswith("# of a network\n" + HEADER)
    read = read_calibration(tmp_path / "c.csv")
    assert read.sha256(NAMES) == written.sha256(NAMES)
    assert all((read.table(*pair) == table).all() for pair, table in written.pairs.items())
    assert not read.is_of_products(NAMES)


def test_the_hash_is_of_the_accuracies_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    write_calibration(tmp_path / "c.csv", with_pairs(), "")
    head, columns, *rows = (tmp_path / "c.csv").read_text().splitlines(keepends=True)
    (tmp_path / "d.csv").write_text(columns + "".join(reversed(rows)))
    assert read_calibration(tmp_path / "d.csv").sha256(NAMES) == with_pairs().sha256(NAMES)
    changed = rows[-1].rpartition(",")[0] + ",0.5\n"
    (tmp_path / "e.csv").write_text("".join([head, columns, *rows[:-1], changed]))
    assert read_calibration(tmp_path / "e.csv").sha256(NAMES) != with_pairs().sha256(NAMES)
    assert with_pairs().sha256(NAMES[:2]) != with_pairs().sha256(NAMES)


def test_without_pairs_accuracies_are_products() -> None:
    known = falling(clean=0.8)
    table = known.table("fog", "snow")
    assert known.is_of_products(NAMES)
    assert table[:, 0] == pytest.approx(known.singles["fog"])
    assert table[0] == pytest.approx(known.singles["snow"])
    assert table[4, 6] == pytest.approx(known.singles["fog"][4] * known.singles["snow"][6] / 0.8)


def test_a_pair_with_gaps_is_no_pair() -> None:
    calibration = with_pairs()
    calibration.pairs["fog", "snow"][3, 4] = np.nan
    assert calibration.is_of_products(NAMES)
    with pytest.raises(DataError, match="lacks accuracies of fog with snow"):
        Calibration(calibration.pairs).check_has(NAMES)


@pytest.mark.parametrize(
    "row",
    ["fog,snow,1,2", "fog,snow,1,2,1.5", "fog,snow,1.1,2,0.5", "fog,snow,1,5.25,0.5", "fog,,x,,0.5", ",,0,0,0.5",
     "fog,snow,1,2,nan", "fog,snow,inf,2,0.5", "fog,,-inf,,0.5", "fog,snow,nan,2,0.5"],
)  # fmt: skip
def test_rows_that_are_not_allowed(tmp_path: Path, row: str) -> None:
    (tmp_path / "c.csv").write_text(f"{HEADER}{row}\n")
    with pytest.raises(DataError, match="is not allowed"):
        read_calibration(tmp_path / "c.csv")


@pytest.mark.parametrize("rows", ["fog,snow,1,2,0.5\nfog,snow,1.0,2,0.6\n", "fog,,1,,0.5\nfog,,1,,0.5\n"])
def test_two_rows_of_one_place_are_refused(tmp_path: Path, rows: str) -> None:
    (tmp_path / "c.csv").write_text(HEADER + rows)
    with pytest.raises(DataError, match="a row before it has the same corruptions and severities"):
        read_calibration(tmp_path / "c.csv")


def test_other_files_are_no_calibrations(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="is no calibration"):
        read_calibration(tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text("")
    with pytest.raises(DataError, match="is no calibration"):
        read_calibration(tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text(f"{HEADER}{'[' * 140_000}\n")  # longer than a field of a CSV may be
    with pytest.raises(DataError, match="is no calibration: field larger than"):
        read_calibration(tmp_path / "c.csv")
    with pytest.raises(DataError, match="cannot read the calibration"):
        read_calibration(tmp_path / "none.csv")
