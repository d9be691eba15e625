"""CIFAR's arrays: corrupted as published, and clean ones, whole and damaged."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ppbench.data.cifar import cifar_images, find_cifar
from ppbench.errors import DataError
from tests.data.sets import Runs, open_cifar
from tests.trees import photographs, write_cifar_binary


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
    with pytest.raises(DataError, match=r"test_batch is not a CIFAR file, or is damaged: it names .*\n.*Download it"):
        cifar_images(find_cifar(tmp_path)[0])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"404", pickle.dumps([1]), pickle.dumps({b"data": ROWS, b"labels": [1]})])
def test_a_damaged_pickle_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match="test_batch is not a CIFAR file"):
        cifar_images(find_cifar(tmp_path)[0])


def test_arrays_of_ones_own(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", np.arange(12) % 10)
    source = open_cifar(tmp_path)
    assert (source.kind, source.recipe, source.num_classes) == ("generated", "cifar-c", 10)
    assert np.array_equal(source.load("clean", 0, np.arange(12)).pixels, IMAGES)
    assert open_cifar(tmp_path, "imagefolder").num_classes == 10
    np.save(tmp_path / "labels.npy", np.arange(12) + 5)
    with pytest.raises(DataError, match="does not have labels from 0 to 9"):
        open_cifar(tmp_path)


def test_the_dataset_says_which_of_two_sets_is_meant(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path / "cifar-10-batches-bin/test_batch.bin")
    assert open_cifar(tmp_path).num_classes == 10
    with pytest.raises(DataError, match=r"not cifar100-c\n.*--dataset cifar10-c"):
        open_cifar(tmp_path, "cifar100-c")
    write_cifar_binary(tmp_path / "cifar-100-binary/test.bin", 100)
    assert open_cifar(tmp_path, "cifar100-c").num_classes == 100
