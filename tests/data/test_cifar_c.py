"""CIFAR-10-C and CIFAR-100-C as published."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from ppbench.errors import DataError
from tests.data.sets import open_cifar
from tests.trees import pack, write_cifar_c

NAMES = ("fog", "contrast")


def test_rows_of_all_cells_are_those_of_the_files(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path / "CIFAR-10-C", NAMES, count=12)
    tar = pack(tmp_path, tmp_path / "CIFAR-10-C.tar", ("CIFAR-10-C",))
    sources = [open_cifar(place) for place in (root, tmp_path / "CIFAR-10-C.tar")]
    for source in sources:
        source.check(NAMES, (1, 5))
        source.limit(np.array([1, 4, 11]))
        for corruption in NAMES:
            array = np.load(root / f"{corruption}.npy")
            for severity in (1, 5):
                pixels, broken = pickle.loads(pickle.dumps(source)).load(corruption, severity, np.array([2, 0]))
                assert np.array_equal(pixels, array[12 * (severity - 1) + np.array([11, 1])])
                assert not broken
        assert source.ids == ["test/00001", "test/00004", "test/00011"]
        assert source.labels.tolist() == [8, 5, 8]
    assert sources[0].fingerprint() == sources[1].fingerprint()
    assert tar.exists()


def test_what_is_known_of_it(tmp_path: Path) -> None:
    source = open_cifar(write_cifar_c(tmp_path, NAMES, repeated=False))
    assert (source.kind, source.engine, source.recipe, source.size) == ("published", "published", "cifar-c", 32)
    assert (source.image_major, source.is_slow, source.has_clean) == (False, False, False)
    assert source.class_names == tuple("0123456789")
    assert source.corruptions == NAMES
    assert source.mean_bytes() == 3072
    assert open_cifar(tmp_path, classes=["3"]).num_classes == 1


def test_stamps_change_with_the_file(tmp_path: Path) -> None:
    source = open_cifar(write_cifar_c(tmp_path, NAMES))
    fog, contrast = source.stamps(("fog", 1)), source.stamps(("contrast", 1))
    os.utime(tmp_path / "fog.npy", ns=(0, 5))
    assert (fog != source.stamps(("fog", 1))).all()
    assert (contrast == source.stamps(("contrast", 1))).all()


def test_labels_tell_cifar_10_from_cifar_100(tmp_path: Path) -> None:
    ten, hundred = write_cifar_c(tmp_path / "10", ("fog",)), write_cifar_c(tmp_path / "100", ("fog",), classes=100)
    with pytest.raises(DataError, match=r"labels from 0 to 99, cifar10-c from 0 to 9\n.*cifar100-c"):
        open_cifar(hundred)
    with pytest.raises(DataError, match=r"labels from 0 to 9, cifar100-c from 0 to 99\n.*cifar10-c"):
        open_cifar(ten, "cifar100-c")
    assert open_cifar(hundred, "cifar100-c").num_classes == 100
    with pytest.raises(DataError, match=r"arrays, but imagenet-c consists of image files\n.*cifar10-c or cifar100-c"):
        open_cifar(ten, "imagenet-c")
    assert open_cifar(ten, "imagefolder").recipe == "unknown"


class TestDamage:
    """What is told of files that are not as published."""

    def test_a_missing_array(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"the cell snow/2 is missing: no snow.npy in .*\n.*There are fog, contrast"
        ):
            open_cifar(write_cifar_c(tmp_path, NAMES)).check(("fog", "snow"), (2,))

    @pytest.mark.parametrize("shape", [(20, 32, 32), (100, 32, 31, 3), (99, 32, 32, 3), (100, 3, 32, 32)])
    def test_another_shape(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "fog.npy", np.zeros(shape, np.uint8))
        with pytest.raises(DataError, match=r"fog.npy has the shape .* of uint8, not \(5 x N, S, S, 3\) of uint8"):
            open_cifar(root)

    def test_floats(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "fog.npy", np.zeros((100, 32, 32, 3), np.float32))
        with pytest.raises(DataError, match="of float32, not"):
            open_cifar(root)

    def test_arrays_of_two_sets(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "contrast.npy", np.zeros((50, 32, 32, 3), np.uint8))
        with pytest.raises(DataError, match=r"contrast.npy has the shape \(50, .*the others \(100,"):
            open_cifar(root).check(NAMES, (1,))

    def test_labels_that_do_not_repeat(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        labels = np.load(root / "labels.npy")
        labels[[25, 26]] = labels[[26, 25]]
        np.save(root / "labels.npy", labels)
        with pytest.raises(DataError, match=r"labels in .*labels.npy do not repeat for each severity"):
            open_cifar(root)

    def test_labels_of_another_number(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "labels.npy", np.arange(33))
        with pytest.raises(DataError, match=r"labels.npy has the shape \(33,\) of int64: not 20 or 100 integers"):
            open_cifar(root)
        (root / "labels.npy").unlink()
        with pytest.raises(DataError, match=r"no labels.npy beside .*npy"):
            open_cifar(root)
