"""Damaged files of every other kind that is read: 1,180 of them, and each gives a value or an error in a line."""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppbench.copies.layout import find_layout
from ppbench.copies.video import encode_video
from ppbench.data.decode import decode_rgb, image_size
from ppbench.data.fashion_mnist import read_fashion_mnist
from ppbench.data.labels import list_labelled
from ppbench.data.layout import look
from ppbench.data.npy import array_file
from ppbench.data.opening import open_source
from ppbench.data.parquet import ParquetImages
from ppbench.data.source import Geometry
from ppbench.data.video import decode_video
from ppbench.data.whole import decode_whole
from ppbench.evaluation.calibrate import _read_part
from ppbench.models.onnx_file import read_onnx_file
from ppbench.models.prompts import prompt_classes, prompt_templates
from ppbench.models.statedict import read_state_file
from ppbench.page.embedded import held_run
from ppbench.run import Adaptation, Prompts, read_arrays, read_predictions, read_run, read_trials
from ppbench.streams.calibration import read_calibration
from tests.builders import make_bits, make_errors, make_predictions, make_run
from tests.cli.test_values import COMMAND
from tests.faults import faults, faults_of_reading
from tests.metrics.test_without_labels import write_unlabelled
from tests.models.onnx_networks import write_linear
from tests.mutations import damaged_bytes, damaged_csv, damaged_json, damaged_npy
from tests.shards import as_structs, files_in, labels_in, write_mixed_folders, write_table, write_webdataset
from tests.streams.calibrations import write_falling
from tests.streams.runs import uneven, write_stream_run
from tests.trees import photographs, write_cifar_c, write_fashion_mnist
from tests.trial_runs import passes_run, sequence_run

FORMATS = ("rich", "json", "csv", "markdown", "latex")
GRID: dict[str, Any] = {"corruptions": ("fog", "gaussian_noise"), "severities": (1, 3)}
SMALL = Geometry(32, None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of every kind that later versions added, with all that is beside them."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("a", "b"):
        sequence_run(name, n=8, perturbations=("gaussian_noise", "rotate"), difficulties=(1, 2)).write(
            folder / f"sequences-{name}.json"
        )
        passes_run(name, n=9, passes=3).write(folder / f"passes-{name}.json")
        write_stream_run(folder / f"stream-{name}.json", uneven(6, len(name)), name)
        write_unlabelled(folder / f"unlabelled-{name}.json")
    return folder


@pytest.fixture(scope="module")
def rich_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every optional part of a protocol that can stand beside the others, and predictions."""
    path = tmp_path_factory.mktemp("rich") / "run.json"
    protocol = {
        "own_corruptions": {"fog": "a" * 64}, "adaptation": Adaptation(), "head_precision": "fp32",
        "decoder": "nvjpeg", "unreadable": ("b.png",), "total": 20,
        "prompts": Prompts(templates=("a photo of a {}.",), classes_sha256="c" * 64),
    }  # fmt: skip
    run = make_run(make_errors(0, **GRID), n=16, **GRID, **protocol)
    model = run.model.model_copy(update={"runtime": "onnxruntime 1", "card": {"clean_accuracy": 0.5}})
    run = run.model_copy(update={"model": model})
    bits = make_bits(run)
    from ppbench.run import image_keys, write_run

    write_run(path, run, bits, image_keys([f"{place}.png" for place in range(16)]), make_predictions(bits))
    return path


@pytest.fixture(autouse=True)
def _one_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.testing._get_command", lambda _: COMMAND)


def a_call_with(random: Random, file: Path, other: Path) -> list[object]:
    form = ["--format", random.choice(FORMATS)]
    return random.choice(
        [
            ["show", file, "--classes", *form],
            ["show", file, "--intervals", "-s", "1", *form],
            ["compare", other, file, "--cells", *form],
            ["compare", file, other, "--all-metrics", "--allow", "ids", *form],
            ["check", file, "--baseline", other, "--junit", file.with_name("out.xml"), *form],
            ["check", file, "--update-baseline", file.with_name("made.json")],
            ["report", other, file, "-o", file.with_name("page.html")],
            ["plot", file, "--kind", random.choice(["stream", "severity", "heatmap"]), "-o", "nothing.gif"],
        ]
    )


@pytest.mark.parametrize("kind", ["sequences", "passes", "stream", "unlabelled"])
def test_runs_of_later_kinds(kind: str, runs: Path) -> None:
    whole = json.loads((runs / f"{kind}-a.json").read_text())

    def call(random: Random) -> list[object]:
        file = runs / f"{kind}-bad.json"
        file.write_bytes(damaged_json(random, copy.deepcopy(whole)))
        return a_call_with(random, file, runs / f"{kind}-b.json")

    assert faults(kind, 30, call) == []


def test_optional_parts_of_a_protocol(rich_run: Path) -> None:
    whole = json.loads(rich_run.read_text())

    def call(random: Random) -> list[object]:
        file = rich_run.with_name("bad.json")
        file.write_bytes(damaged_json(random, copy.deepcopy(whole)))
        return a_call_with(random, file, rich_run)

    assert faults("rich", 30, call) == []


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def damaged_gzip(random: Random, content: bytes) -> bytes:
    """A gzip stream damaged, or whole with arrays inside that are damaged."""
    if random.random() < 0.3:
        return damaged_bytes(random, content)
    inside = zlib.decompress(content, 31)
    return packed(random.choice((damaged_bytes, damaged_npy))(random, inside))


@pytest.mark.parametrize(
    ("name", "part", "read"),
    [
        ("unlabelled-a", "predictions", read_predictions),
        ("sequences-a", "trials", read_trials),
        ("passes-a", "trials", read_trials),
    ],
)
def test_files_beside_a_run(name: str, part: str, read: Callable[[Path, Any], object], runs: Path) -> None:
    content = json.loads((runs / f"{name}.json").read_text())
    whole = (runs / content[part]["file"]).read_bytes()
    file = runs / "beside.json"

    def read_damaged(random: Random) -> object:
        made = damaged_gzip(random, whole)
        (runs / "beside.gz").write_bytes(made)
        content[part] = {**content[part], "file": "beside.gz", "sha256": hashlib.sha256(made).hexdigest()}
        file.write_text(json.dumps(content))
        return read(file, read_run(file))

    assert faults_of_reading(f"beside {name}", 40, read_damaged) == []


def test_bits_of_later_kinds(runs: Path) -> None:
    content = json.loads((runs / "stream-a.json").read_text())
    whole = (runs / content["bits"]["file"]).read_bytes()

    def read(random: Random) -> object:
        made = damaged_npy(random, whole)
        (runs / "other.bits.npy").write_bytes(made)
        content["bits"] = {"file": "other.bits.npy", "sha256": hashlib.sha256(made).hexdigest()}
        (runs / "other.json").write_text(json.dumps(content))
        return read_arrays(runs / "other.json", read_run(runs / "other.json"))

    assert faults_of_reading("bits", 40, read) == []


def test_pages(runs: Path) -> None:
    """The run file inside is damaged, or the files beside it, or the page around them."""
    from ppbench.page.embedded import measured_run

    path = runs / "passes-a.json"
    blocks = str(held_run(measured_run(path, read_run(path)), "a", 2**20).blocks)
    start, end = blocks.index(">") + 1, blocks.index("</script>")
    inside = json.loads(blocks[start:end])
    page = runs / "bad.html"

    def read(random: Random) -> object:
        text = blocks.encode()
        if random.random() < 0.5:
            made = damaged_json(random, copy.deepcopy(inside)).replace(b"<", b"\\u003c")
            text = text[:start] + made + text[end:]
        else:
            text = damaged_bytes(random, text)
        page.write_bytes(b"<!doctype html><body>" + text + b"</body>")
        run = read_run(page)
        return read_arrays(page, run), read_trials(page, run)

    assert faults_of_reading("page", 50, read) == []


def test_calibrations(tmp_path: Path) -> None:
    text = write_falling(tmp_path / "whole.csv").read_text()
    text = text[: text.index("zoom")] if "zoom" in text else text

    def read(random: Random) -> object:
        (tmp_path / "bad.csv").write_bytes(damaged_csv(random, text))
        calibration = read_calibration(tmp_path / "bad.csv")
        calibration.check_has(("fog", "snow"))
        return calibration.sha256(("fog", "snow"))

    assert faults_of_reading("calibration", 40, read) == []


def test_unfinished_calibrations(tmp_path: Path) -> None:
    identity = {"weights": "w", "seed": 0}
    whole = [f"# {json.dumps(identity)}", *(f"fog,,{step},0,0.5" for step in range(9))]

    def read(random: Random) -> object:
        lines = list(whole)
        head = damaged_json(random, dict(identity)) if random.random() < 0.5 else whole[0][2:].encode()
        made = b"# " + head + b"\n" + "\n".join(lines[1:]).encode() + b"\n"
        (tmp_path / "bad.part").write_bytes(made if random.random() < 0.5 else damaged_bytes(random, made))
        known = _read_part(tmp_path / "bad.part", identity)
        assert all(0 <= accuracy <= 1 for accuracy in known.values())
        return known

    assert faults_of_reading("part", 40, read, least_refused=0) == []


def test_labels_and_lists_of_classes(tmp_path: Path) -> None:
    root = write_mixed_folders(tmp_path / "photos")
    files = [path.relative_to(root).as_posix() for path in files_in(root)]
    text = "\n".join(f"{name},{number % 3}" for number, name in enumerate(files))
    classes = "\n".join(f"n{number}\tclass {number}" for number in range(9))

    def read_labels(random: Random) -> object:
        (tmp_path / "bad.csv").write_bytes(damaged_csv(random, text))
        return list_labelled(root, tmp_path / "bad.csv")

    def read_texts(random: Random) -> object:
        (tmp_path / "bad.txt").write_bytes(damaged_bytes(random, classes.encode()))
        return random.choice((prompt_classes, prompt_templates))(tmp_path / "bad.txt")

    assert faults_of_reading("labels", 40, read_labels) == []
    assert faults_of_reading("texts", 30, read_texts) == []


def test_arrays(tmp_path: Path) -> None:
    """As published sets and as the user's own, which numpy maps."""
    file = io.BytesIO()
    np.save(file, np.stack(photographs(8, 6)))
    path = tmp_path / "bad.npy"

    def read(random: Random) -> object:
        path.write_bytes(damaged_npy(random, file.getvalue()))
        array = array_file(path)
        return array.take(np.arange(1)) if array.header().shape else array.take()

    def read_mapped(random: Random) -> object:
        path.write_bytes(damaged_npy(random, file.getvalue()))
        return find_layout(path)

    assert faults_of_reading("array", 60, read) == []
    assert faults_of_reading("mapped", 60, read_mapped) == []


def test_published_arrays(tmp_path: Path) -> None:
    root = write_cifar_c(tmp_path, ("fog", "contrast"), count=2, size=8)
    whole = {name: (root / f"{name}.npy").read_bytes() for name in ("fog", "labels")}

    def read(random: Random) -> object:
        name = random.choice(sorted(whole))
        for other, content in whole.items():
            (root / f"{other}.npy").write_bytes(damaged_npy(random, content) if other == name else content)
        source = open_source("cifar10-c", root, SMALL)
        source.check(("fog",), (1,))
        return source.load("fog", 1, np.arange(1)), source.content([("fog", 1)])

    assert faults_of_reading("cifar-c", 30, read) == []


def test_archives(tmp_path: Path) -> None:
    """WebDataset's and a published set's: their headers, of which one has a length that leads backwards."""
    folders = write_mixed_folders(tmp_path / "photos", per_class=2)
    whole = (write_webdataset(folders, tmp_path, shards=1) / "shard-0000.tar").read_bytes()
    published = whole.replace(b"n0000000", b"fog/3/n0")
    path = tmp_path / "bad.tar"

    def read(random: Random) -> object:
        content = bytearray(random.choice((whole, published)))
        if random.random() < 0.7:
            header = 512 * random.randrange(len(content) // 512)
            field, length = random.choice(((0, 100), (124, 12), (148, 8), (156, 1), (157, 100), (257, 8), (345, 155)))
            made = random.choice((b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777", b"-1", b"\0", b"x", b"L", b"S"))
            content[header + field : header + field + min(length, len(made))] = made[:length]
            if random.random() < 0.8:
                content[header + 148 : header + 156] = b" " * 8
                content[header + 148 : header + 156] = b"%06o\0 " % sum(content[header : header + 512])
        else:
            content = bytearray(damaged_bytes(random, bytes(content)))
        path.write_bytes(content)
        source = open_source("imagefolder", path, SMALL)
        cell = source.corruptions[0] if not source.has_clean else "clean"
        return source.fingerprint(), source.load(cell, 3 if cell == "fog" else 0, np.arange(1))

    assert faults_of_reading("tar", 75, read) == []


def test_tables_of_images(tmp_path: Path) -> None:
    folders = write_mixed_folders(tmp_path / "photos", per_class=2)
    write_table(tmp_path / "whole.parquet", as_structs(files_in(folders)), labels_in(folders), names=["a", "b"])
    whole = (tmp_path / "whole.parquet").read_bytes()

    def read(random: Random) -> object:
        (tmp_path / "bad.parquet").write_bytes(damaged_bytes(random, whole))
        images = ParquetImages([tmp_path / "bad.parquet"], "bad.parquet")
        return list(images.read(np.arange(len(images.ids))))

    assert faults_of_reading("parquet", 50, read) == []


def test_fashion_mnist(tmp_path: Path) -> None:
    root = write_fashion_mnist(tmp_path, 4, 4)
    path = root / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()

    def read(random: Random) -> object:
        inside = gzip.decompress(whole)
        path.write_bytes(
            damaged_bytes(random, whole) if random.random() < 0.5 else packed(damaged_bytes(random, inside))
        )
        return read_fashion_mnist(root, "test")

    assert faults_of_reading("idx", 40, read) == []


def test_safetensors(tmp_path: Path) -> None:
    entries = {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}, "__metadata__": {"x": "y"}}

    def read(random: Random) -> object:
        header = damaged_json(random, copy.deepcopy(entries))
        made = len(header).to_bytes(8, "little") + header + bytes(16)
        (tmp_path / "bad.safetensors").write_bytes(made if random.random() < 0.8 else damaged_bytes(random, made))
        return read_state_file(tmp_path / "bad.safetensors")

    assert faults_of_reading("safetensors", 60, read) == []


def test_onnx_files(tmp_path: Path) -> None:
    whole = write_linear(tmp_path / "whole.onnx", ("N", 1, 2, 2), values=4, metadata={"a": "b"}).read_bytes()

    def read(random: Random) -> object:
        (tmp_path / "bad.onnx").write_bytes(damaged_bytes(random, whole))
        return read_onnx_file(tmp_path / "bad.onnx")

    assert faults_of_reading("onnx", 50, read) == []


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM", "GIF"])
def test_images(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(photographs(24, 1)[0]).save(file, form)

    def read(random: Random) -> object:
        content = file.getvalue()
        head = damaged_bytes(random, content[:80]) + content[80:]
        made = head if random.random() < 0.6 else damaged_bytes(random, content)
        image_size(io.BytesIO(made))
        if random.random() < 0.5:
            return decode_rgb(io.BytesIO(made), SMALL, "a.png")
        return decode_whole(made)

    assert faults_of_reading(form, 25, read) == []


def test_videos() -> None:
    whole = encode_video(np.stack(photographs(16, 3)), is_noise=False)

    def read(random: Random) -> object:
        head = damaged_bytes(random, whole[-700:])
        return decode_video(whole[:-700] + head if random.random() < 0.5 else damaged_bytes(random, whole))

    assert faults_of_reading("video", 30, read) == []


def test_what_is_in_a_folder(tmp_path: Path) -> None:
    """Whatever lies in a folder is recognised, or told in a line."""
    folders = write_mixed_folders(tmp_path / "photos", per_class=1)
    names = (
        "labels.npy",
        "fog.npy",
        "images.npy",
        "test_batch",
        "test.bin",
        "a.tar",
        "val_annotations.txt",
        "a.parquet",
    )

    def read(random: Random) -> object:
        made = [folders / name for name in random.sample(names, 2)]
        for path in made:
            path.write_bytes(
                damaged_bytes(random, random.choice((b"", b"PAR1" * 4, b"\x93NUMPY\1\0v\0{'descr'", b"x\ty")))
            )
        try:
            look(folders)
            return open_source(random.choice(("imagefolder", "cifar10-c", "tiny-imagenet-c")), folders, SMALL)
        finally:
            for path in made:
                path.unlink()

    assert faults_of_reading("folder", 40, read) == []
