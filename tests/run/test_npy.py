"""Arrays of ``.npy`` read without trusting their headers."""

import io
from pathlib import Path

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.run.npy import take_array

FILE = Path("x.npy")


def saved(*arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array)
    return buffer.getvalue()


def test_arrays_come_one_after_the_other_in_either_byte_order() -> None:
    first, second = np.arange(6, dtype=np.uint8).reshape(2, 3), np.arange(4, dtype=">u2")
    content = saved(first, second)
    one, end = take_array(FILE, content, 0, (2, 3), "|u1", "it has")
    other, last = take_array(FILE, content, end, (4,), "<u2", "it has")
    assert (one == first).all()
    assert (other == second).all()
    assert last == len(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has no array that this ppbench reads"),
        (b"\x93NUMPY\x09\x00\x10\x00", "it has no array that this ppbench reads"),
        (saved(np.zeros(3, np.uint8)), r"it has shape \(3,\) and type uint8, not \(4,\) and uint8"),
        (saved(np.zeros(4, np.float32)), "it has shape .* type float32, not"),
        (saved(np.zeros(4, np.uint8))[:-1], "it ends early"),
        (saved(np.zeros(4, np.uint8)).replace(b"'|u1'", b"'|u9'"), "it has the type"),
        (saved(np.zeros(4, np.uint8)).replace(b"(4,)", b"__i "), "it has no array"),
    ],
)
def test_another_array_or_none_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        take_array(FILE, content, 0, (4,), "|u1", "it has")
