"""Arrays that are too large for memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppbench.data.npy import array_file, map_array
from ppbench.errors import DataError
from tests.data.sets import Runs, open_cifar
from tests.trees import write_cifar_c

NAMES = ("fog", "contrast")


def test_nothing_stays_mapped(tmp_path: Path) -> None:
    source = open_cifar(write_cifar_c(tmp_path, NAMES))
    source.load("fog", 1, np.arange(3))
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_an_array_that_ends_early(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path, NAMES)
    path = root / "contrast.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    source = open_cifar(root)
    source.check(("fog",), (1,))
    with pytest.raises(DataError, match=r"contrast.npy ends early: it has 306,328 of 307,328 bytes\n.*interrupted"):
        source.check(NAMES, (1,))


def test_no_array(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path, NAMES)
    (root / "fog.npy").write_text("404")
    with pytest.raises(DataError, match=r"fog.npy is not an array file"):
        open_cifar(root)


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path, NAMES)
    np.save(root / "labels.npy", np.array([Runs(tmp_path / "ran")], object))
    with pytest.raises(DataError, match=r"labels\.npy is not an array of numbers"):
        open_cifar(root)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ("(-5, -3)", "|u1", r"has the shape \(-5, -3\), which holds nothing"),
        ("(0, 3)", "|u1", r"has the shape \(0, 3\), which holds nothing"),
        ("(2, 3)", "<U9", "is not an array of numbers"),
        ("(" * 3000, "|u1", "is not an array file"),
        ("(2, 3)", "<M8[9999999999999ns]", "is not an array"),
    ],
)
def test_headers_that_no_array_has(tmp_path: Path, shape: str, kind: str, message: str) -> None:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(99))
    with pytest.raises(DataError, match=message) as caught:
        array_file(tmp_path / "a.npy").take()
    assert "\n" not in caught.value.message


def test_several_arrays_are_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(DataError, match="holds several arrays"):
        map_array(tmp_path / "a.npz")
