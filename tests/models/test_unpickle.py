"""Hostile and odd pickles: nothing they name is imported or run, and none takes the reader down."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ppbench.errors import DataError
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.unpickle import read_torch_file
from ppbench.pickled import Skipped

VICTIM = "a_module_that_must_not_be_imported"


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that must not come to be; an importable module would write it too."""
    planted = tmp_path / "planted"
    (tmp_path / f"{VICTIM}.py").write_text(f"open({str(planted)!r}, 'w').close()\ndef run(*args): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield planted
    assert not planted.exists()
    assert VICTIM not in sys.modules


class Call:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def write_zip(path: Path, program: bytes, **storages: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def in_zip(path: Path, program: bytes) -> Path:
    return write_zip(path, program)


def in_legacy(path: Path, program: bytes) -> Path:
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + program + pickle.dumps([], 2))
    return path


def as_first_legacy_pickle(path: Path, program: bytes) -> Path:
    path.write_bytes(program)
    return path


containers = pytest.mark.parametrize("write", [in_zip, in_legacy, as_first_legacy_pickle])


def attacks(planted: Path) -> dict[str, bytes]:
    """Programs that would leave ``planted`` behind, or import the module that does, by one way each."""
    shell, code = f"touch {planted}", f"open({str(planted)!r}, 'w').close()"
    call = Call(exec, code)
    dumps: Callable[..., bytes] = pickle.dumps
    return {
        "os.system": f"cos\nsystem\n(V{shell}\ntR.".encode(),
        "posix.system": f"cposix\nsystem\n(V{shell}\ntR.".encode(),
        "subprocess.Popen": f"csubprocess\nPopen\n((lV{shell}\naI-1\nNNNNNI01\ntR.".encode(),
        "builtins.exec": dumps(call, 2),
        "builtins.eval": f"c__builtin__\neval\n(V{code}\ntR.".encode(),
        "builtins.open": dumps(Call(open, str(planted), "w"), 2),
        "INST": f"(V{shell}\nios\nsystem\n.".encode(),
        "OBJ": f"(cos\nsystem\nV{shell}\no.".encode(),
        "NEWOBJ": b"\x80\x04c" + f"{VICTIM}\nrun\n)\x81.".encode(),
        "STACK_GLOBAL": b"\x80\x04"
        + b"".join(b"\x8c" + bytes([len(s)]) + s for s in (b"os", b"system"))
        + b"\x93"
        + f"(V{shell}\ntR.".encode(),
        "dotted name": b"\x80\x04" + f"ctorch\n_utils.os.system\n(V{shell}\ntR.".encode(),
        "a module that runs on import": f"c{VICTIM}\nrun\n.".encode(),
        "import_module": f"cimportlib\nimport_module\n(V{VICTIM}\ntR.".encode(),
        "getattr": f"c__builtin__\ngetattr\n(ccollections\nOrderedDict\nV__init__\ntR(V{code}\ntR.".encode(),
        "nested torch.load": f"ctorch\nload\n(V{planted}\ntR.".encode(),
        "nested pickle": dumps(Call(pickle.loads, dumps(call, 2)), 2),
        "storage from bytes": dumps(Call(torch.storage._load_from_bytes, dumps(call, 2)), 2),
        "in hyper_parameters": dumps({"state_dict": {}, "hyper_parameters": {"augmentation": call}}, 2),
        "as a key": dumps({(call,): 1}, 2),
        "state": f"ctorch._utils\n_rebuild_tensor_v2\n}}V__code__\ncos\nsystem\nsb(V{shell}\ntR.".encode(),
        "from the memo": f"cos\nsystem\np0\n0g0\n(V{shell}\ntR.".encode(),
        "persistent id": f"(Vstorage\ncos\nsystem\nV{shell}\nVcpu\nI1\ntQ.".encode(),
        "extension registry": b"\x80\x02\x82\x01" + f"(V{shell}\ntR.".encode(),
    }


@containers
@pytest.mark.parametrize("attack", sorted(attacks(Path("x"))))
def test_nothing_runs(tmp_path: Path, trap: Path, write: Callable[[Path, bytes], Path], attack: str) -> None:
    path = write(tmp_path / "model.ckpt", attacks(trap)[attack])
    with pytest.raises(DataError):
        load_checkpoint(path)


def test_the_attacks_are_real(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    for name in ("os.system", "builtins.exec", "in hyper_parameters", "INST", "STACK_GLOBAL"):
        pickle.loads(attacks(planted)[name])  # the plain reader falls for them, so the test above can fail
        assert planted.exists(), name
        planted.unlink()


def test_a_checkpoint_with_a_bomb_beside_good_weights_loads_without_it(tmp_path: Path, trap: Path) -> None:
    state = {"weight": torch.arange(3.0)}
    torch.save({"state_dict": state, "augmentation": Call(open, str(trap), "w")}, tmp_path / "model.ckpt")
    content = read_torch_file(tmp_path / "model.ckpt")
    assert isinstance(content["augmentation"], Skipped)
    assert torch.equal(content["state_dict"]["weight"], state["weight"])


def test_state_is_never_set_on_anything(tmp_path: Path) -> None:
    program = b"\x80\x02ctorch._utils\n_rebuild_parameter\n}X\x05\x00\x00\x00ownedK\x01sb."
    function = read_torch_file(write_zip(tmp_path / "w.pth", program))
    assert not hasattr(function, "owned")


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_come_back_as_saved(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(24.0).view(4, 6)
    saved: dict[str, Any] = {
        "plain": base,
        "part": base[1:3, ::2],
        "transposed": base.t(),
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 4),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        **{
            str(dtype): torch.tensor([1, 0, 3]).to(dtype)
            for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.int16, torch.int8)
        },
        "bytes": torch.tensor([255], dtype=torch.uint8),
        "bools": torch.tensor([True, False]),
    }
    torch.save(
        {"deep": [saved, (1, 2.5, None, "text", {3})]}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped
    )
    read, rest = read_torch_file(tmp_path / "w.pth")["deep"]
    assert rest[:4] == (1, 2.5, None, "text")
    assert read.keys() == saved.keys()
    for key, tensor in saved.items():
        assert read[key].dtype == tensor.dtype, key
        assert torch.equal(read[key], tensor), key


def test_complex_tensors_of_others_are_skipped_not_fatal(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2, dtype=torch.complex64), "b": torch.ones(2)}, tmp_path / "w.pth")
    content = read_torch_file(tmp_path / "w.pth")
    assert isinstance(content["a"], Skipped)
    assert content["b"].tolist() == [1, 1]


def tensor_program(offset: int, size: tuple[int, ...], stride: tuple[int, ...], storage: str = "FloatStorage") -> bytes:
    """A pickle of one tensor over storage "0", with numbers torch.save would never write."""
    pid = f"(Vstorage\nctorch\n{storage}\nV0\nVcpu\nI4\ntQ"
    numbers = "".join(f"({''.join(f'L{n}L{chr(10)}' for n in values)}t" for values in (size, stride))
    return f"ctorch._utils\n_rebuild_tensor_v2\n({pid}L{offset}L\n{numbers}I00\nNtR.".encode()


def test_a_tensor_program_that_is_right(tmp_path: Path) -> None:
    data = struct.pack("<4f", 1, 2, 3, 4)
    tensor = read_torch_file(write_zip(tmp_path / "w.pth", tensor_program(1, (2,), (2,)), **{"0": data}))
    assert tensor.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (5,), (1,)),
        (1, (4,), (1,)),
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
        (0, (-1, -4), (1, 1)),
        (0, (2,), (4,)),
        (0, (1 << 40,), (0,)),  # a terabyte by expansion
        (0, (1 << 62, 4), (0, 0)),
        (0, (5,), (1 << 62,)),  # 4 * 2**62 is 0 in 64 bits
        (1 << 64, (1,), (1,)),
        (0, (2, 2), (1,)),
    ],
)
def test_tensors_beyond_their_storage(
    tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    path = write_zip(tmp_path / "w.pth", tensor_program(offset, size, stride), **{"0": bytes(16)})
    with pytest.raises(DataError, match=r"a tensor reaches beyond its storage|zip\(\) argument 2"):
        read_torch_file(path)


def test_a_storage_of_broken_size_and_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="buffer length"):
        read_torch_file(write_zip(tmp_path / "w.pth", tensor_program(0, (1,), (1,)), **{"0": bytes(7)}))
    with pytest.raises(DataError, match="There is no item named"):
        read_torch_file(write_zip(tmp_path / "w.pth", tensor_program(0, (1,), (1,))))


def test_storages_are_read_once_and_shared(tmp_path: Path) -> None:
    program = b"(" + tensor_program(0, (4,), (1,))[:-1] * 3 + b"t."
    tensors: tuple[Tensor, ...] = read_torch_file(write_zip(tmp_path / "w.pth", program, **{"0": bytes(16)}))
    assert len({tensor.data_ptr() for tensor in tensors}) == 1


def test_zip_bombs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor_program(0, (4,), (1,)))
        archive.writestr("archive/data/0", bytes(10_000_000))
    with pytest.raises(DataError, match="its entries are larger than the file"):
        read_torch_file(tmp_path / "w.pth")


def test_a_legacy_storage_larger_than_the_file(tmp_path: Path) -> None:
    program = tensor_program(0, (4,), (1,)).replace(b"I4\n", b"I4000000000000\n")
    with pytest.raises(DataError, match="its storages are larger than the file"):
        read_torch_file(in_legacy(tmp_path / "w.pth", program))


def test_a_legacy_storage_without_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the data of 1 tensors is missing"):
        read_torch_file(in_legacy(tmp_path / "w.pth", tensor_program(0, (4,), (1,))))


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"0.",
        b"N",
        b"\x80\xff.",
        b"Nr\xff\xff\xff\x7f.",  # a memo index of 2**31
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",  # a byte array of an exabyte
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b".",
        b"\x8b\xff\xff\xff\x7f.",  # an integer of 2 GB
        b"(" * 10_000 + b"t" * 10_000 + b".",
        b"h\x07.",
        b"NQ.",
        b"(lNQ.",
        b"ctorch\nFloatStorage\n)R.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"\xff\xfe\x00garbage",
    ],
)
@containers
def test_broken_programs(tmp_path: Path, write: Callable[[Path, bytes], Path], program: bytes) -> None:
    with pytest.raises(DataError):
        load_checkpoint(write(tmp_path / "w.ckpt", program))


def test_a_big_endian_file(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pth")
    buffer = io.BytesIO()
    with zipfile.ZipFile(tmp_path / "w.pth") as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"big" if name.endswith("/byteorder") else old.read(name))
    (tmp_path / "w.pth").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="its numbers are big-endian"):
        read_torch_file(tmp_path / "w.pth")


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.pth", "w") as archive:
        archive.writestr("photo.txt", "x")
    with pytest.raises(DataError, match=r"the archive holds no data\.pkl"):
        read_torch_file(tmp_path / "photos.pth")
