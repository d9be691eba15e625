"""Which arrays are which images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.copies.api import corrupt_folder
from ppbench.copies.layout import find_layout
from ppbench.errors import DataError
from tests.copies.trees import saved


@pytest.mark.parametrize(
    ("shape", "number", "size"),
    [
        ((7, 3072), 7, (32, 32, 3)),
        ((7, 32, 40, 3), 7, (32, 40, 3)),
        ((7, 32, 40, 1), 7, (32, 40, 1)),
        ((7, 32, 40, 4), 7, (32, 40, 4)),
        ((7, 32, 40), 7, (32, 40, 1)),
        ((32, 40, 3), 1, (32, 40, 3)),
        ((32, 40), 1, (32, 40, 1)),
    ],
)
def test_the_shape_tells_the_images(tmp_path: Path, shape: tuple[int, ...], number: int, size: object) -> None:
    layout = find_layout(saved(tmp_path, np.zeros(shape, np.uint8)))
    assert (layout.number, (layout.height, layout.width, layout.channels)) == (number, size)


@pytest.mark.parametrize(
    ("array", "message", "hint"),
    [
        (np.zeros((5, 3, 32, 32), np.uint8), r"has the shape \(5, 3, 32, 32\)", "array.transpose(0, 2, 3, 1)"),
        (np.zeros((5, 8, 8, 7), np.uint8), r"has the shape \(5, 8, 8, 7\)", "one of these shapes"),
        (np.zeros((0, 32, 32, 3), np.uint8), r"has the shape \(0, 32, 32, 3\)", "one of these shapes"),
        (np.zeros(10, np.uint8), r"has the shape \(10,\)", "one of these shapes"),
        (np.zeros((5, 32, 32, 3), np.float32), "holds float32; images are uint8", "np.uint8"),
        (np.zeros((5, 32, 32, 3), np.uint16), "holds uint16; images are uint8", "np.uint8"),
        (np.array([{}, {}]), "cannot read the array", "np.save"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, message: str, hint: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        corrupt_folder(saved(tmp_path, array))
    assert hint in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read the array .*x\.npy"):
        corrupt_folder(tmp_path / "x.npy")
