"""Small files of all kinds but weights that ask for much time or memory. As a program: the cost of reading each.

python -m tests.bombs FOLDER
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import resource
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ppbench.check.config import read_config
from ppbench.data.arrays import embedded_images
from ppbench.data.fashion_mnist import read_fashion_mnist
from ppbench.data.labels import list_labelled
from ppbench.data.npy import array_file
from ppbench.data.opening import open_source
from ppbench.data.parquet import ParquetImages
from ppbench.data.source import Geometry
from ppbench.errors import PpbenchError
from ppbench.models.prompts import prompt_classes
from ppbench.report.load import load_cell_errors
from ppbench.run import Run, read_arrays, read_predictions, read_run, read_trials
from ppbench.streams.calibration import COLUMNS, read_calibration
from tests.builders import make_run
from tests.trial_runs import passes_run


class Bomb(NamedTuple):
    """A file, and what reads it."""

    write: Callable[[Path], Path]
    """Writes it into a folder; returns what is read."""
    read: Callable[[Path], object]


def text(name: str, content: Callable[[], str]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(content())
        return folder / name

    return write


@cache
def zeros(size: int) -> bytes:
    """So many zeros as a gzip stream, a thousandth as long."""
    packer, made = zlib.compressobj(1, zlib.DEFLATED, 31), []
    for _ in range(size >> 20):
        made.append(packer.compress(bytes(1 << 20)))
    return b"".join([*made, packer.flush()])


def with_file(run: Run, part: str, content: bytes) -> Callable[[Path], Path]:
    """A run of a thousand million images with a file beside it."""

    def write(folder: Path) -> Path:
        (folder / "beside").write_bytes(content)
        record = json.loads(run.model_dump_json())
        record["protocol"] |= {"n": 10**9, "total": 10**9}
        for cell in record["cells"]:
            cell |= {"n": 10**9, "top1": 0, "top5": None, "nll_micronats": None, "bin_n": None}
            cell |= {"bin_top1": None, "bin_confidence": None}
            if cell.get("trials"):
                cell |= {"failures": 10**9, "right_by_pass": None}
        named = {"file": "beside", "sha256": hashlib.sha256(content).hexdigest()}
        record[part] = {**named, "class_names": ["a"]} if part == "predictions" else named
        (folder / "run.json").write_text(json.dumps(record))
        return folder / "run.json"

    return write


def npy_header(shape: str, kind: str) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header


def page(folder: Path) -> Path:
    """A report with a run whose bits unpack to a gigabyte."""
    packed = zlib.compress(bytes(300 << 20), 1)
    run = make_run(n=10**9, corruptions=("fog",), severities=(1,), labels_only=True)
    record = json.loads(run.model_dump_json()) | {"bits": {"file": "a", "sha256": "0" * 64}}
    block = f'<script type="text/plain" data-ppbench-sha256="{"0" * 64}">{base64.b64encode(packed).decode()}</script>'
    inside = f'<script type="application/json" id="ppbench-run">{json.dumps(record)}</script>'
    (folder / "page.html").write_text(inside + block)
    return folder / "page.html"


def npz(folder: Path) -> Path:
    """Predictions of the 2,000 embedded images, with 18,000 zeros for each."""
    with (
        zipfile.ZipFile(folder / "p.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("clean.npy", "w") as member,
    ):
        member.write(npy_header("(2000, 18000)", "<f8"))
        for _ in range(500):
            member.write(bytes(4 * 8 * 18000))
    return folder / "p.npz"


def score(path: Path) -> object:
    from ppbench.evaluation.predictions import measure_predictions
    from ppbench.evaluation.request import EvalRequest

    return measure_predictions(path, EvalRequest(corruptions=("fog",), severities=("1",), output=None))


def idx(folder: Path) -> Path:
    for name in ("images-idx3", "labels-idx1"):
        (folder / f"t10k-{name}-ubyte.gz").write_bytes(zeros(80 << 20))
    return folder


def labels(folder: Path) -> Path:
    (folder / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "photos" / "a.png")
    (folder / "labels.csv").write_text("a.png,0\n" + "".join(f"{number:06x},0\n" for number in range(200_000)))
    return folder


def table(folder: Path) -> Path:
    """Fifty million rows with one image, which a dictionary holds once."""
    pixel = io.BytesIO()
    Image.new("RGB", (8, 8)).save(pixel, "PNG")
    rows = 1_000_000
    image = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([pixel.getvalue()]))
    label = pa.array(np.zeros(rows, np.int8))
    schema = pa.schema({"image": pa.dictionary(pa.int32(), pa.binary()), "label": pa.int8()})
    written = pa.Table.from_arrays([image, label], schema=schema)
    pq.write_table(written, folder / "a.parquet", compression="zstd", store_schema=False)
    return folder / "a.parquet"


def backwards(folder: Path) -> Path:
    """A tar whose only member ends before it begins."""
    info = tarfile.TarInfo("a/1.jpg")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + struct.pack(">h", -512)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (folder / "a.tar").write_bytes(bytes(header) + bytes(1024))
    return folder / "a.tar"


def nested(depth: int) -> str:
    return ".".join("a" * depth)


BOMBS: dict[str, Bomb] = {
    "a run file of brackets": Bomb(
        text("run.json", lambda: '{"version": 3, "cells": [' + "[]," * 1_390_000 + "[]]}"), read_run
    ),
    "a run file of names": Bomb(
        text("run.json", lambda: '{"version": 3' + "".join(f',"{n:x}":0' for n in range(400_000)) + "}"), read_run
    ),
    "a run file of 5 megabytes": Bomb(text("run.json", lambda: "[" + " " * (5 << 20)), read_run),
    "a page with packed bits": Bomb(page, lambda path: read_arrays(path, read_run(path))),
    "packed predictions": Bomb(
        with_file(make_run(corruptions=("fog",), severities=(1,), labels_only=True), "predictions", zeros(300 << 20)),
        lambda path: read_predictions(path, read_run(path)),
    ),
    "packed trials": Bomb(
        with_file(passes_run(corruptions=("fog",), severities=(1,)).run, "trials", zeros(300 << 20)),
        lambda path: read_trials(path, read_run(path)),
    ),
    "packed logits": Bomb(npz, score),
    "a calibration of many pairs": Bomb(
        text("c.csv", lambda: f"{','.join(COLUMNS)}\n" + "".join(f"a,b{n},0,0,1\n" for n in range(1_000_000))),
        read_calibration,
    ),
    "a CSV of a long field": Bomb(
        text("a.csv", lambda: "corruption,severity,accuracy\n" + "x" * (3 << 20)), load_cell_errors
    ),
    "labels of other images": Bomb(labels, lambda path: list_labelled(path / "photos", path / "labels.csv")),
    "classes of a letter each": Bomb(
        text("c.txt", lambda: "".join(f"{n:x}\n" for n in range(600_000))), prompt_classes
    ),
    "TOML of long keys": Bomb(text("a.toml", lambda: f"{nested(500_000)} = 1\n"), read_config),
    "TOML of two megabytes": Bomb(text("a.toml", lambda: "a = 1\n" * 350_000), read_config),
    "packed images of Fashion-MNIST": Bomb(idx, lambda path: read_fashion_mnist(path, "test")),
    "a table of one image": Bomb(table, lambda path: ParquetImages([path], str(path))),
    "a tar that leads backwards": Bomb(backwards, lambda path: open_source("imagefolder", path, Geometry(32, None))),
    "an array of an exabyte": Bomb(
        lambda folder: _written(folder / "a.npy", npy_header("(1152921504606846976, 1)", "|u1")),
        lambda path: array_file(path).take(),
    ),
}  # fmt: skip


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def main(folder: Path) -> None:
    """Print a JSON line per bomb: how it ended, CPU seconds, MB above what the process had before."""
    import ppbench.evaluation.predictions  # noqa: F401  # to import torch takes seconds, whatever the file

    embedded_images()
    for number, (name, bomb) in enumerate(BOMBS.items()):
        (inside := folder / str(number)).mkdir()
        given = bomb.write(inside)
        size = sum(path.stat().st_size for path in inside.rglob("*") if path.is_file()) / 1e6
        print(json.dumps({"name": name, "size": size, **cost_of(bomb, given)}), flush=True)
        for path in sorted(inside.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def cost_of(bomb: Bomb, given: Path) -> dict[str, Any]:
    """What it costs a process of its own to read it, and how that ends."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        before, clock = _peak(), os.times()
        try:
            bomb.read(given)
            end = "it is read"
        except PpbenchError as error:
            end = f"refused: {error.message}"
        except BaseException as error:
            end = repr(error)[:200]
        now = os.times()
        seconds = now.user + now.system - clock.user - clock.system
        os.write(write, json.dumps({"end": end[:400], "seconds": seconds, "megabytes": _peak() - before}).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(said) if said else {"end": "killed"}
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main(Path(sys.argv[1]))
