import csv
import io

from ppbench.tables.report import Rows
from ppbench.tables.rows import csv_of_rows, rounded


def test_numbers_lose_the_noise_of_their_last_bits_and_none_stays():
    assert rounded(0.1 + 0.2) == 0.3
    assert str(rounded(-1e-17)) == "0.0"
    assert rounded(None) is None


def test_records_are_rows_in_the_order_of_the_columns():
    records = [{"a": None, "b": 'x,"y"'}, {"b": "two\nlines", "a": 1.5}]
    text = csv_of_rows(*Rows.of_records(records, ("b", "a")))
    assert text == csv_of_rows(("b", "a"), [('x,"y"', None), ("two\nlines", 1.5)])
    assert list(csv.reader(io.StringIO(text))) == [["b", "a"], ['x,"y"', ""], [r"two\nlines", "1.5"]]
    assert "\r" not in text
