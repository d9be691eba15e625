"""The arrays beside a run file."""

import hashlib
import io
import os

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.run import (
    Bits,
    image_keys,
    read_bits,
    read_image_keys,
    read_run,
    write_run,
)
from tests.builders import make_run
from tests.run.files import V1, V2


def test_bits_of_another_run_or_absent_ones_are_refused(written):
    path, run, _ = written
    beside = path.with_name("run.bits.npy")
    beside.write_bytes(V1.with_name("v1.bits.npy").read_bytes())
    with pytest.raises(DataError, match="is not the file"):
        read_bits(path, run)
    beside.unlink()
    with pytest.raises(DataError, match="cannot read"):
        read_bits(path, run)


def test_an_images_key_is_its_ids_hash_and_the_same_everywhere():
    keys = image_keys(["cat/1.png", "dog/1.png"])
    assert keys.dtype == np.uint64
    expected = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ("cat/1.png", "dog/1.png")]
    assert [int(key).to_bytes(8, "little") for key in keys] == expected
    assert int(image_keys(["cat/1.png"])[0]) == 0x0C8D28EC9DB3BEE4
    assert image_keys([]).shape == (0,)


def test_images_of_one_id_have_no_keys_for_these_would_not_tell_them_apart():
    assert image_keys(["cat/1.png", "dog/1.png", "cat/1.png"]) is None


def test_keys_are_kept_behind_the_bits_where_older_readers_do_not_look(written):
    path, run, bits = written
    assert read_image_keys(path, run) is None
    keys = image_keys([f"{place}.png" for place in range(30)])
    run = write_run(path, run, bits, keys)
    assert read_run(path) == run
    assert np.array_equal(read_image_keys(path, run), keys)
    found = read_bits(path, run)
    assert all(np.array_equal(found[key], bits[key]) for key in bits)
    whole = np.load(path.with_name("run.bits.npy"), allow_pickle=False)  # the first array alone
    assert (whole.shape, whole.dtype) == ((6, 4), np.uint8)


@pytest.mark.parametrize("path", [V1, V2], ids=["v1", "v2"])
def test_files_of_before_there_were_keys_have_none(path):
    assert read_image_keys(path, read_run(path)) is None


def as_array(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"garbage", "no array"),
        (as_array(np.arange(30, dtype=np.uint64))[:-1], "no array"),
        (as_array(np.array(["a"] * 30, object)), "no array"),
        (as_array(np.arange(29, dtype=np.uint64)), r"shape \(29,\) and type uint64, not \(30,\) and uint64"),
        (as_array(np.arange(30, dtype=np.int64)), "type int64, not"),
        (as_array(np.zeros((30, 1), np.uint64)), "shape"),
        (as_array(np.arange(30, dtype=np.uint64) % 29), "one key twice"),
    ],
)
def test_what_stands_for_keys_and_is_none_is_damage(written, tail, message):
    path, run, _ = written
    beside = path.with_name("run.bits.npy")
    beside.write_bytes(beside.read_bytes() + tail)
    run = run.model_copy(
        update={"bits": Bits(file=beside.name, sha256=hashlib.sha256(beside.read_bytes()).hexdigest())}
    )
    with pytest.raises(DataError, match=f"run.bits.npy is damaged: its images' keys have .*{message}") as caught:
        read_image_keys(path, run)
    assert caught.value.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and pipes of POSIX")
def test_bits_are_a_file_of_that_folder_and_no_link_out_of_it_nor_a_pipe(written, tmp_path):
    path, run, bits = written
    beside = path.with_name("run.bits.npy")
    beside.rename(beside.with_name("kept.npy"))
    beside.symlink_to("kept.npy")
    assert read_bits(path, run).keys() == bits.keys()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    beside.with_name("kept.npy").rename(elsewhere / "kept.npy")
    beside.unlink()
    beside.symlink_to("elsewhere/kept.npy")
    with pytest.raises(DataError, match="is a link that leaves its folder"):
        read_bits(path, run)
    beside.unlink()
    os.mkfifo(beside)
    with pytest.raises(DataError, match="it is not a file"):
        read_bits(path, run)


def npy(header, values=b"", version=(1, 0)):
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(header).to_bytes(width, "little") + header.encode() + values


SHAPE = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(SHAPE % "6, 4", b"\0" * 24, (9, 0)), "no array that this ppbench reads"),
        (npy("(" * 5000), "no array that this ppbench reads"),
        (npy("__import__('os')"), "no array that this ppbench reads"),
        (npy(SHAPE % "6, 99999999999999"), "not \\(6, 4\\) and uint8"),
        (npy(SHAPE % "4, 6", b"\0" * 24), "not \\(6, 4\\) and uint8"),
        (npy(SHAPE % "6, 4", b"\0" * 23), "ends early"),
        (npy(SHAPE % "6, 4", b"\0" * 24), "not the 30|not the 24"),
        (b"PK\x03\x04", "no array that this ppbench reads"),
        (b"", "no array that this ppbench reads"),
    ],
)
def test_bits_that_are_none_are_damage(written, content, message):
    path, run, _ = written
    path.with_name("run.bits.npy").write_bytes(content)
    hash_of = hashlib.sha256(content).hexdigest()
    run = run.model_copy(update={"bits": Bits(file="run.bits.npy", sha256=hash_of)})
    with pytest.raises(DataError, match=f"run.bits.npy is damaged: .*({message})"):
        read_bits(path, run)


def test_bits_written_by_numpy_in_its_second_format_are_read(written):
    path, run, bits = written
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.stack([np.packbits(bits[cell.key]) for cell in run.cells]), version=(2, 0))
    path.with_name("run.bits.npy").write_bytes(buffer.getvalue())
    hash_of = hashlib.sha256(buffer.getvalue()).hexdigest()
    run = run.model_copy(update={"bits": Bits(file="run.bits.npy", sha256=hash_of)})
    assert all(np.array_equal(found, bits[key]) for key, found in read_bits(path, run).items())


def test_a_run_without_bits_says_so(tmp_path):
    path = tmp_path / "run.json"
    run = write_run(path, make_run())
    assert read_run(path).bits is None
    with pytest.raises(DataError, match="no correctness bits"):
        read_bits(path, run)
