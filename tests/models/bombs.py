"""Small files that ask for much time or memory. As a program: load each in a process of its own and print the cost.

python -m tests.models.bombs FOLDER
"""

from __future__ import annotations

import gc
import io
import json
import os
import pickle
import resource
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

MODULUS = 2**61 - 1
"""Of Python's hash of integers: those that are congruent collide."""


def long4(value: int) -> bytes:
    data = pickle.encode_long(value)  # type: ignore[attr-defined]
    return b"\x8b" + struct.pack("<i", len(data)) + data


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def tensor(size: tuple[int, ...], stride: tuple[int, ...], count: int = 4) -> bytes:
    """Instructions that make a tensor over the storage "0"."""
    numbers = "".join(f"({''.join(f'I{n}{chr(10)}' for n in values)}t" for values in (size, stride))
    pid = f"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI{count}\ntQ"
    return f"ctorch._utils\n_rebuild_tensor_v2\n({pid}I0\n{numbers}I00\nNtR".encode()


def state_dict(value: bytes) -> bytes:
    return b"\x80\x02}" + text("state_dict") + value + b"s."


def colliding(count: int) -> bytes:
    return b"".join(long4(k * MODULUS) + b"N" for k in range(1, count))


_EMOJI = "\U0001f4a3" + "x" * 65_000
_PAIRS = b"](" + (b"(" + text("k") + b"Nl") * 1000 + b"eq\x00"

PROGRAMS: dict[str, bytes] = {
    "a byte array of an exabyte": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
    "a byte array of four gigabytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 32) + b".",
    "bytes of a terabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",
    "text of a terabyte": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b".",
    "a frame of a terabyte": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b".",
    "keys that collide": b"\x80\x02}(" + colliding(20_000) + b"u.",
    "keys that collide in a constructor": b"\x80\x02ccollections\nOrderedDict\n]("
    + b"".join(b"(" + long4(k * MODULUS) + b"Nl" for k in range(1, 20_000))
    + b"e\x85R.",
    "items of a set that collide": b"\x80\x04\x8f(" + colliding(20_000) + b"\x90.",
    "a frozen set that collides": b"\x80\x04(" + colliding(20_000) + b"\x91.",
    "deep tuples": state_dict(b"N" + b"\x85" * 50_000),
    "deep lists": state_dict(b"]" * 50_000 + b"a" * 49_999),
    "deep tuples as a key": b"\x80\x02}" + b")" + b"\x85" * 50_000 + b"Ns.",
    "deep dicts": state_dict(b"".join(b"}" + text("state_dict") for _ in range(20_000)) + b"N" + b"s" * 20_000),
    "marks in marks": b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b".",
    "an addition that broadcasts": b"\x80\x04"
    + tensor((40_000, 1), (1, 1), 40_000)
    + b"("
    + tensor((1, 40_000), (1, 1), 40_000)
    + b"\x90.",
    "an item set in a tensor": b"\x80\x02"
    + tensor((40_000,), (1,), 40_000)
    + b"NI0\ns"
    + tensor((40_000,), (1,), 40_000)
    + tensor((4,), (1,), 40_000)
    + b"s.",
    "tuples doubled as a key": b"\x80\x02})" + b"2\x86" * 60 + b"Ns.",
    "lists doubled": state_dict(b"}" + text("model") + b"]" + b"2\x86" * 60 + b"s"),
    "a list copied by each call": b"\x80\x02"
    + _PAIRS
    + b"ccollections\nOrderedDict\nq\x01"
    + b"h\x01h\x00\x85R" * 100_000
    + b".",
    "an integer of ten megabytes": b"\x80\x02\x8b" + struct.pack("<i", 10_000_000) + b"\x7f" * 10_000_000 + b".",
    "an integer of a million digits": b"I" + b"7" * 1_000_000 + b"\n.",
    "a memo of two thousand million": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "two million lists": b"\x80\x02](" + b"]" * 2_000_000 + b"e.",
    "a million dicts": b"\x80\x02](" + b"}U\x01aNs" * 1_000_000 + b"e.",
    "a million tensors": b"\x80\x02"
    + tensor((1,), (1,))[:-1].replace(b"_v2\n", b"_v2\nq\x00", 1)
    + b"q\x01R("
    + b"h\x00h\x01R" * 1_000_000
    + b"l.",
    "a tensor of a million sizes": b"\x80\x02" + tensor((1,) * 50_000, (1,) * 50_000) + b".",
    "sizes of many digits": b"\x80\x02" + tensor((10**80,) * 60, (0,) * 60) + b".",
    "a terabyte by strides of nothing": b"\x80\x02" + tensor((1 << 40,), (0,)) + b".",
    "text of four bytes a letter": b"\x80\x02](" + text(_EMOJI) * 900 + b"e.",
    "a long key": state_dict(b"}" + text("k" * 10_000_000) + tensor((4,), (1,)) + b"s"),
    "many objects of unknown classes": b"\x80\x02ca\nb\nq\x00](" + b"h\x00)R" * 1_000_000 + b"e.",
}  # fmt: skip
"""Pickles by what is wrong with them."""


def zipped(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/data/0", bytes(160_000))
    return buffer.getvalue()


def legacy(program: bytes) -> bytes:
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    keys = ["0"] if b"FloatStorage" in program else []
    data = struct.pack("<q", 40_000) + bytes(160_000)
    return b"".join(pickle.dumps(part, 2) for part in head) + program + pickle.dumps(keys, 2) + data


def compressed(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("archive/data.pkl", state_dict(b"}"))
        archive.writestr("archive/data/0", bytes(2_000_000))
    return buffer.getvalue()


def overlapping() -> bytes:
    """A thousand entries of a zip over the same bytes."""
    body = bytes(1_000_000)
    numbers = struct.pack("<IIIHH", zlib.crc32(body), len(body), len(body), 16, 0)
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 0, 0, 0) + numbers + b"archive/data.pkl" + body
    entry = b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 0, 0, 0) + numbers + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    directory = (entry + b"archive/data.pkl") * 1000
    return local + directory + _end_of_zip(1000, len(directory), len(local))


def long_directory() -> bytes:
    """A zip with three hundred thousand empty entries."""
    entry = b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0)
    directory = b"".join(entry + struct.pack(">I", number) for number in range(300_000))
    return directory + _end_of_zip(0, len(directory), 0)


def _end_of_zip(entries: int, length: int, offset: int) -> bytes:
    return b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, entries & 0xFFFF, entries & 0xFFFF, length, offset, 0)


def safetensors(header: str | bytes, length: int | None = None) -> bytes:
    data = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(data) if length is None else length) + data


def with_card(**card: object) -> bytes:
    """A safetensors file of one tensor, whose card names a large network."""
    values = {"num_classes": 10, "input_size": 224, "mean": [0.5] * 3, "std": [0.5] * 3, **card}
    entry = {"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}
    return safetensors(json.dumps({"__metadata__": {"ppbench_card": json.dumps(values)}, "a": entry})) + bytes(40)


def archived() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("sys_info"))
    return buffer.getvalue()


_EMPTY = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'

_ALSO_LEGACY = (
    "a byte array of four gigabytes",
    "a frame of a terabyte",
    "keys that collide",
    "an addition that broadcasts",
    "a memo of two thousand million",
    "text of four bytes a letter",
    "a tensor of a million sizes",
)
"""The machine is the same for both forms; what differs is what it reads from."""

FILES: dict[str, Callable[[], bytes]] = {
    **{f"{name}.pth": lambda program=program: zipped(program) for name, program in PROGRAMS.items()},  # type: ignore[misc]
    **{f"{name}, legacy.pth": lambda name=name: legacy(PROGRAMS[name]) for name in _ALSO_LEGACY},  # type: ignore[misc]
    "a deflated storage.pth": lambda: compressed(zipfile.ZIP_DEFLATED),
    "a storage in bzip2.pth": lambda: compressed(zipfile.ZIP_BZIP2),
    "overlapping entries.pth": overlapping,
    "a long directory.pth": long_directory,
    "a legacy storage of a terabyte.pth": lambda: legacy(b"\x80\x02" + tensor((4,), (1,), 1 << 38) + b"."),
    "a tar.pth": archived,
    "a header of a hundred gigabytes.safetensors": lambda: safetensors("{}" + " " * 100, 100 << 30),
    "a name twice.safetensors": lambda: safetensors(f'{{"a":{_EMPTY},"a":{_EMPTY}}}'),
    "empty tensors.safetensors": lambda: safetensors(
        "{" + ",".join(f'"{number}":{_EMPTY}' for number in range(500_000)) + "}"
    ),
    "many dimensions.safetensors": lambda: safetensors(
        f'{{"a":{{"dtype":"F32","shape":[{",".join("1" * 1_500_000)}],"data_offsets":[0,4]}}}}' + " " * 8
    ),
    "a deep header.safetensors": lambda: safetensors("{" + '"a":[' + "[" * 1_000_000),
    "a card of a huge network.safetensors": lambda: with_card(architecture="torchvision:regnet_y_128gf"),
    "a card of a huge image.safetensors": lambda: with_card(architecture="torchvision:vit_b_16", input_size=20_000),
}  # fmt: skip
"""Files by what is wrong with them."""


def main(folder: Path) -> None:
    """Print a JSON line per file: its name, how it ended, CPU seconds, MB above what the process had before."""
    import torchvision  # noqa: F401  # to import it takes seconds, whatever the file

    from ppbench.errors import DataError
    from ppbench.models.checkpoint import load_checkpoint

    gc.collect()
    gc.freeze()  # otherwise each process copies and walks through all that was imported, whatever the file
    for name, make in FILES.items():
        path = folder / name
        path.write_bytes(make())
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            before = _peak()
            try:
                load_checkpoint(path)
                end = "it loads"
            except DataError as error:
                end = f"refused: {error.message}"
            except BaseException as error:
                end = repr(error)[:200]
            times = os.times()
            cost = {"seconds": times.user + times.system, "megabytes": _peak() - before}
            os.write(write, json.dumps({"name": name, "end": end, "size": path.stat().st_size / 1e6, **cost}).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            print(pipe.read() or json.dumps({"name": name, "end": "killed"}), flush=True)
        os.waitpid(child, 0)
        path.unlink()
    gc.unfreeze()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def lines(output: str) -> Iterator[dict[str, object]]:
    """What `main` printed."""
    return map(json.loads, output.splitlines())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
