"""CIFAR's arrays: corrupted as published, and clean ones, whole and damaged."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ppbench.data.cifar import cifar_images, find_cifar
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError
from tests.trees import pack, photographs, write_cifar_binary, write_cifar_c

GEOMETRY = Geometry(32, None)
NAMES = ("fog", "contrast")


def opened(root: Path, name: str = "cifar10-c", **options: object) -> Source:
    return open_source(name, root, GEOMETRY, **options)  # type: ignore[arg-type]


def test_rows_of_all_cells_are_those_of_the_files(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path / "CIFAR-10-C", NAMES, count=12)
    tar = pack(tmp_path, tmp_path / "CIFAR-10-C.tar", ("CIFAR-10-C",))
    sources = [opened(place) for place in (root, tmp_path / "CIFAR-10-C.tar")]
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
    source = opened(write_cifar_c(tmp_path, NAMES, repeated=False))
    assert (source.kind, source.engine, source.recipe, source.size) == ("published", "published", "cifar-c", 32)
    assert (source.image_major, source.is_slow, source.has_clean) == (False, False, False)
    assert source.class_names == tuple("0123456789")
    assert source.corruptions == NAMES
    assert source.mean_bytes() == 3072
    assert opened(tmp_path, classes=["3"]).num_classes == 1


def test_nothing_stays_mapped(tmp_path: Path) -> None:
    source = opened(write_cifar_c(tmp_path, NAMES))
    source.load("fog", 1, np.arange(3))
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()


def test_stamps_change_with_the_file(tmp_path: Path) -> None:
    source = opened(write_cifar_c(tmp_path, NAMES))
    fog, contrast = source.stamps(("fog", 1)), source.stamps(("contrast", 1))
    os.utime(tmp_path / "fog.npy", ns=(0, 5))
    assert (fog != source.stamps(("fog", 1))).all()
    assert (contrast == source.stamps(("contrast", 1))).all()


def test_labels_tell_cifar_10_from_cifar_100(tmp_path: Path) -> None:
    ten, hundred = write_cifar_c(tmp_path / "10", ("fog",)), write_cifar_c(tmp_path / "100", ("fog",), classes=100)
    with pytest.raises(DataError, match=r"labels from 0 to 99, cifar10-c from 0 to 9\n.*cifar100-c"):
        opened(hundred)
    with pytest.raises(DataError, match=r"labels from 0 to 9, cifar100-c from 0 to 99\n.*cifar10-c"):
        opened(ten, "cifar100-c")
    assert opened(hundred, "cifar100-c").num_classes == 100
    with pytest.raises(DataError, match=r"holds arrays, .*imagenet-c is made of others\n.*cifar10-c or cifar100-c"):
        opened(ten, "imagenet-c")
    assert opened(ten, "imagefolder").recipe == "unknown"


class TestDamage:
    """What is told of files that are not as published."""

    def test_a_missing_array(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"the cell snow/2 is missing: no snow.npy in .*\n.*There are fog, contrast"
        ):
            opened(write_cifar_c(tmp_path, NAMES)).check(("fog", "snow"), (2,))

    def test_an_array_that_ends_early(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        path = root / "contrast.npy"
        path.write_bytes(path.read_bytes()[:-1000])
        source = opened(root)
        source.check(("fog",), (1,))
        with pytest.raises(DataError, match=r"contrast.npy ends early: it has 306,328 of 307,328 bytes\n.*broken off"):
            source.check(NAMES, (1,))

    def test_no_array(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        (root / "fog.npy").write_text("404")
        with pytest.raises(DataError, match=r"fog.npy is no array file"):
            opened(root)

    def test_an_array_of_objects_is_not_unpickled(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "labels.npy", np.array([Runs(tmp_path / "ran")], object))
        with pytest.raises(DataError, match=r"labels\.npy is not an array of numbers"):
            opened(root)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("shape", [(20, 32, 32), (100, 32, 31, 3), (99, 32, 32, 3), (100, 3, 32, 32)])
    def test_another_shape(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "fog.npy", np.zeros(shape, np.uint8))
        with pytest.raises(DataError, match=r"fog.npy has the shape .* of uint8, not \(5 x N, S, S, 3\) of uint8"):
            opened(root)

    def test_floats(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "fog.npy", np.zeros((100, 32, 32, 3), np.float32))
        with pytest.raises(DataError, match="of float32, not"):
            opened(root)

    def test_arrays_of_two_sets(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "contrast.npy", np.zeros((50, 32, 32, 3), np.uint8))
        with pytest.raises(DataError, match=r"contrast.npy has the shape \(50, .*the others \(100,"):
            opened(root).check(NAMES, (1,))

    def test_labels_that_do_not_repeat(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        labels = np.load(root / "labels.npy")
        labels[[25, 26]] = labels[[26, 25]]
        np.save(root / "labels.npy", labels)
        with pytest.raises(DataError, match=r"labels in .*labels.npy do not repeat for each severity"):
            opened(root)

    def test_labels_of_another_number(self, tmp_path: Path) -> None:
        root = write_cifar_c(tmp_path, NAMES)
        np.save(root / "labels.npy", np.arange(33))
        with pytest.raises(DataError, match=r"labels.npy has the shape \(33,\) of int64: not 20 or 100 integers"):
            opened(root)
        (root / "labels.npy").unlink()
        with pytest.raises(DataError, match=r"no labels.npy beside .*npy"):
            opened(root)


class Runs:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def python_2_pickle(images: NDArray[np.uint8], labels: list[int], label_name: str) -> bytes:
    """A dictionary of "data" and labels as Python 2 and numpy 1 wrote it: byte strings, protocol 2."""

    def text(value: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    shape = number(images.shape[0]) + number(images.shape[1]) + b"\x86"
    data = empty + b"(" + number(1) + shape + dtype + b"\x89" + text(images.tobytes()) + b"tb"
    listed = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + text(b"data") + data + text(label_name.encode()) + listed + b"u."


IMAGES = np.stack(photographs(32, 12))
ROWS = np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2).reshape(12, 3072))


@pytest.mark.parametrize(("classes", "folder"), [(10, "cifar-10-batches-bin"), (100, "cifar-100-binary")])
def test_the_binary_form(tmp_path: Path, classes: int, folder: str) -> None:
    name = "test_batch.bin" if classes == 10 else "test.bin"
    path = write_cifar_binary(tmp_path / folder / name, classes)
    for root in (tmp_path, path.parent):
        (file,) = find_cifar(root)
        images = cifar_images(file)
        assert np.array_equal(images.images, IMAGES)
        assert images.labels.tolist() == [(classes - 1 - number) % classes for number in range(12)]
        assert images.class_names[-1] == str(classes - 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"\.bin is damaged: .* bytes are not whole images\n.*cs.toronto.edu"):
        cifar_images(file)


@pytest.mark.parametrize(("classes", "place"), [(10, "cifar-10-batches-py/test_batch"), (100, "cifar-100-python/test")])
@pytest.mark.parametrize("protocol", ["python 2", 2, 4])
def test_the_pickled_form(tmp_path: Path, classes: int, place: str, protocol: int | str) -> None:
    path = tmp_path / place
    path.parent.mkdir()
    labels, name = [classes - 1 - number for number in range(10)] * 2, "labels" if classes == 10 else "fine_labels"
    if isinstance(protocol, str):
        path.write_bytes(python_2_pickle(ROWS, labels[:12], name))
    else:
        path.write_bytes(pickle.dumps({b"data": ROWS, name.encode(): labels[:12]}, protocol))
    (file,) = find_cifar(tmp_path)
    images = cifar_images(file)
    assert np.array_equal(images.images, IMAGES)
    assert images.labels.tolist() == labels[:12]


@pytest.mark.parametrize("hidden", ["plain", "dtype", "encode"])
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, hidden: str) -> None:
    path = tmp_path / "test_batch"
    if hidden == "plain":
        path.write_bytes(pickle.dumps({b"data": Runs(tmp_path / "ran"), b"labels": [0]}))
    elif hidden == "dtype":
        path.write_bytes(b"cnumpy\ntesting.Tester\n(tR.")
    else:
        path.write_bytes(b"cbuiltins\neval\n(S'1'\ntR.")
    with pytest.raises(DataError, match=r"test_batch is no CIFAR file, or damaged: it names .*\n.*Download it again"):
        cifar_images(find_cifar(tmp_path)[0])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"404", pickle.dumps([1]), pickle.dumps({b"data": ROWS, b"labels": [1]})])
def test_a_damaged_pickle_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match="test_batch is no CIFAR file"):
        cifar_images(find_cifar(tmp_path)[0])


def test_arrays_of_ones_own(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", np.arange(12) % 10)
    source = opened(tmp_path)
    assert (source.kind, source.recipe, source.num_classes) == ("generated", "cifar-c", 10)
    assert np.array_equal(source.load("clean", 0, np.arange(12)).pixels, IMAGES)
    assert opened(tmp_path, "imagefolder").num_classes == 10
    np.save(tmp_path / "labels.npy", np.arange(12) + 5)
    with pytest.raises(DataError, match="does not have labels from 0 to 9"):
        opened(tmp_path)


def test_the_dataset_says_which_of_two_sets_is_meant(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path / "cifar-10-batches-bin/test_batch.bin")
    assert opened(tmp_path).num_classes == 10
    with pytest.raises(DataError, match=r"not cifar100-c\n.*--dataset cifar10-c"):
        opened(tmp_path, "cifar100-c")
    write_cifar_binary(tmp_path / "cifar-100-binary/test.bin", 100)
    assert opened(tmp_path, "cifar100-c").num_classes == 100
