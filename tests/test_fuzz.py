"""Files that anyone may have damaged or made: 1,750 of them, and none ends a command with a traceback.

``test_fuzz_readers.py`` has the kinds of files that came later.

Every call ends with a documented exit code, prints nothing that a terminal would obey, and says what is wrong.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.main import get_command

from ppbench.cli.main import app
from ppbench.copies.records import JOURNAL, Records
from ppbench.data.walk import MANIFEST, SCRATCH
from ppbench.errors import PpbenchError
from ppbench.evaluation.journal import Images, Journal
from ppbench.evaluation.tally import Piece, Tally, count
from ppbench.evaluation.trials import TrialCounts
from ppbench.run import image_keys, write_run
from tests.builders import make_bits, make_errors, make_run, write_csv
from tests.faults import faults
from tests.mutations import damaged_bytes, damaged_csv, damaged_json, damaged_toml
from tests.reproduce.miniature import MINI

COMMAND = get_command(app)
"""Made once: that takes longer than most calls."""
GRID: dict[str, Any] = {"corruptions": ("fog", "gaussian_noise"), "severities": (1, 3)}
FORMATS = ("rich", "json", "csv", "markdown", "latex")
IMAGES = 16

CONFIG = """
[tool.ppbench.check]
baseline = "old.json"
confidence = 0.9
on-inconclusive = "pass"
allow = ["precision"]

[tool.ppbench.check.max-drop]
mean = 0.5
"fog/3" = 2
"""

RECIPE = """
description = "Small"
dataset = "fashion-mnist"
model = "resnet8"
epochs = 2
batch_size = 16
optimizer = "sgd"
lr = 0.1
schedule = "cosine"
augment = "none"
precision = "fp32"
crop_size = 28
flip = false
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole runs with bits and keys, a compact baseline, and a CSV."""
    folder = tmp_path_factory.mktemp("fuzz")
    keys = image_keys([f"{place}.png" for place in range(IMAGES)])
    for seed, name in enumerate(("old", "new")):
        run = make_run(make_errors(seed, **GRID), name=name, n=IMAGES, **GRID)
        if name == "new":
            stopping = {
                "metric": "mean_error[fog+gaussian_noise,s1,3]", "confidence": 0.95, "value": 50, "low": 40, "high": 60,
                "wanted": "half-width 0.5", "reached": True,
            }  # fmt: skip
            card = {"architecture": "a", "origin": {"name": "b"}, "trained_on": "c", "trained_on_corruptions": ["fog"]}
            model = run.model.model_copy(update={"card": card})
            run = type(run).model_validate(run.model_dump() | {"stopping": stopping, "model": model.model_dump()})
        write_run(folder / f"{name}.json", run, make_bits(run, seed), keys)
    write_run(
        folder / "base.json", make_run(make_errors(0, **GRID), n=IMAGES, **GRID), make_bits(run), keys, compact=True
    )
    write_csv(folder / "some.csv", {key: 1 - error for key, error in make_errors(0, **GRID).items()})
    (folder / "pyproject.toml").write_text("")
    return folder


@pytest.fixture(autouse=True)
def _in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("typer.testing._get_command", lambda _: COMMAND)


def a_call_with_a_run(random: Random, file: Path) -> list[object]:
    """Show, compare or check it, in any role and format."""
    form = ["--format", random.choice(FORMATS)]
    return random.choice(
        [
            ["show", file, *form],
            ["show", file, "--intervals", *form],
            ["show", "old.json", "--normalizer", file, *form],
            ["show", "old.json", "--baseline", file, *form],
            ["compare", "old.json", file, *form],
            ["compare", file, "old.json", "--all-metrics", *form],
            ["compare", file, "--published", "imagenet-c-resnet50", *form],
            ["check", file, "--baseline", "old.json", "--junit", "out.xml", *form],
            ["check", "old.json", "--baseline", file, "--allow", "ids", *form],
            ["check", file, "--update-baseline", "made.json"],
            ["report", file, "-o", "page.html"],
            ["report", "old.json", file, "-o", "page.html"],
            ["report", file, "--baseline", "old.json", "-o", "page.html"],
        ]
    )


@pytest.mark.parametrize("part", range(4))
def test_run_files(part: int, folder: Path) -> None:
    whole = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("old", "new", "base")}

    def call(random: Random) -> list[object]:
        content = copy.deepcopy(random.choice([*whole.values(), whole["new"]]))
        file = folder / "bad.json"
        file.write_bytes(damaged_json(random, content))
        return a_call_with_a_run(random, file)

    junit = folder / "out.xml"

    def wrong() -> str | None:
        """What is wrong with the report for CI servers; each call writes one, or none."""
        if not junit.exists():
            return None
        try:
            ElementTree.parse(junit)
        except ElementTree.ParseError as error:
            return f"{junit.name}: {error}"
        finally:
            junit.unlink()
        return None

    assert faults(f"run{part}", 150, call, wrong) == []


def test_bits(folder: Path) -> None:
    content = json.loads((folder / "new.json").read_text())
    bits = (folder / "new.bits.npy").read_bytes()

    def call(random: Random) -> list[object]:
        made = damaged_bytes(random, bits)
        (folder / "bad.bits.npy").write_bytes(made)
        content["bits"] = {"file": "bad.bits.npy", "sha256": hashlib.sha256(made).hexdigest()}
        (folder / "bad.json").write_text(json.dumps(content))
        return a_call_with_a_run(random, folder / "bad.json")

    assert faults("bits", 100, call) == []


def test_csvs(folder: Path) -> None:
    text = (folder / "some.csv").read_text()

    def call(random: Random) -> list[object]:
        file = folder / "bad.csv"
        file.write_bytes(damaged_csv(random, text))
        form = ["--format", random.choice(FORMATS)]
        return random.choice(
            [
                ["show", file, *form],
                ["show", "old.json", "--normalizer", file, *form],
                ["show", file, "--baseline", file],
            ]
        )

    assert faults("csv", 120, call) == []


def test_rules_in_toml(folder: Path) -> None:
    def call(random: Random) -> list[object]:
        file = folder / "bad.toml"
        file.write_bytes(damaged_toml(random, CONFIG))
        return ["check", "new.json", "--config", file, "--format", random.choice(FORMATS)]

    assert faults("config", 150, call) == []


def test_tables_in_toml(folder: Path) -> None:
    def call(random: Random) -> list[object]:
        file = folder / "table.toml"
        file.write_bytes(damaged_toml(random, MINI))
        return ["reproduce", "--table", file, "--list", "--format", random.choice(FORMATS)]

    assert faults("table", 150, call) == []


def test_recipes_in_toml(folder: Path) -> None:
    def call(random: Random) -> list[object]:
        file = folder / "recipe.toml"
        file.write_bytes(damaged_toml(random, RECIPE))
        return ["train", "--recipe", file, "--data", folder / "nothing"]

    assert faults("recipe", 100, call) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_predictions(folder: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=(10, 10)).astype(np.float32) for name in ("clean", "fog/1")}
    headers = [b"(10, 10)", b"<f4", b"False"]

    def call(random: Random) -> list[object]:
        file, buffer = folder / "bad.npz", io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
        if random.random() < 0.6:  # an archive that is whole, of arrays that are not
            other = io.BytesIO()
            with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(other, "w") as new:
                for name in old.namelist():
                    data = old.read(name)
                    if random.random() < 0.5:
                        data = damaged_bytes(random, data)
                    elif random.random() < 0.5:
                        hostile = random.choice(
                            [b"(10,10,)", b"(9**9**9)", b"(10, -1)", b"|O", b">f4", b"<f8", b"<i8", b"True "]
                        )
                        data = data.replace(random.choice(headers), hostile)
                    new.writestr(random.choice([name, name, "ids.npy"]), data)
            content = other.getvalue()
        else:
            content = damaged_bytes(random, content)
        file.write_bytes(content)
        return ["eval", "--predictions", file, "--limit", "10", "-c", "fog", "-s", "1", "-o", "p.json", "--force"]

    assert faults("predictions", 80, call) == []


RECORDED = {"sha256": "a" * 64, "files": {"fog/1/a.png": {"bytes": 3, "sha256": "b" * 64}}}
HEADER = {
    "settings": {
        "recipe": "imagenet-c",
        "backend": "ppbench",
        "seed": 0,
        "format": "png",
        "size": None,
        "device": "cpu",
    },
    "made_with": {"engine": "x"},
    "cells": ["fog/1"],
}


def test_manifests_and_journals_of_corrupted_folders(folder: Path) -> None:
    """Read whole, and what they name is removed, which must never be a file elsewhere."""
    kept = folder / "precious"
    kept.write_text("mine")
    dest = folder / "photos-c"
    (dest / SCRATCH).mkdir(parents=True)
    manifest = dest / MANIFEST
    failed = []
    for number in range(150):
        random = Random(f"manifest/{number}")
        lines = {
            "sources": {"a.png": RECORDED},
            "failed": [{"source": "b", "cell": None, "reason": "r"}],
            "manifest": 1,
        }
        text = json.dumps({**HEADER, **lines}, indent=2, sort_keys=True)
        text = text.replace('"sources": {', '"sources": {').replace(
            "fog/1/a.png", random.choice(["fog/1/a.png", "../precious", "/x"])
        )
        manifest.write_bytes(damaged_json(random, json.loads(text)) if random.random() < 0.5 else _lines_of(random))
        journal = [
            b"#" + damaged_json(random, HEADER),
            b'!{"a.png": "../precious"}',
            b'"a.png": ' + damaged_json(random, RECORDED),
        ]
        (dest / SCRATCH / JOURNAL).write_bytes(b"\n".join(random.sample(journal, 3)) + b"\n")
        try:
            records = Records(dest, dest / SCRATCH)
            list(records.all())
            records.forget()
        except PpbenchError:
            pass
        except Exception as error:
            failed.append(f"manifest/{number}: {error!r}")
        assert kept.read_text() == "mine"
    assert failed == []


def _lines_of(random: Random) -> bytes:
    """A manifest in the form that jobs write, with one source damaged."""
    head = json.dumps({**HEADER, "failed": [], "manifest": 1, "sources": {}}, indent=2, sort_keys=True).splitlines()
    source = damaged_json(random, RECORDED).replace(b"\n", b" ")
    return "\n".join(head[:-2]).encode() + b'\n  "sources": {\n    "a.png": ' + source + b"\n  }\n}\n"


def a_piece(kind: str, cell: tuple[str, int], places: NDArray[np.int64], random: np.random.Generator) -> Piece:
    """Results of some images: of one pass with probabilities, of several passes, or of the frames of sequences."""
    n = len(places)
    if kind == "scores":
        return count(cell, places, random.integers(0, 10**6, (4, n)) % [[7], [10**6], [10**6], [10]])
    if kind == "passes":
        trials = TrialCounts.of_passes(random.random((n, 3)) < 0.5)
    else:
        failures = random.integers(0, 5, n).astype(np.uint8)
        trials = TrialCounts(4, failures, failures.astype(np.uint16) * 3)
    return Piece(cell, places, trials.failures == 0, None, trials=trials)


@pytest.mark.parametrize("kind", ["scores", "passes", "flips"])
def test_journals_of_evaluations(kind: str, folder: Path) -> None:
    """Damaged lines whose checksums are right: whoever made them, the journal opens, and what it uses adds up."""
    path, cells = folder / f"j{kind}", [("fog", 1), ("fog", 2)] if kind == "flips" else [("clean", 0), ("fog", 1)]
    images = Images([f"{place}.png" for place in range(IMAGES)], [0] * IMAGES)
    key = {"weights": "w", **({"passes": 3} if kind == "passes" else {})}

    def opened() -> Journal:
        return Journal(path, key, cells, lambda cell: np.arange(IMAGES, dtype=np.uint64), images)

    random = np.random.default_rng(0)
    written = opened()
    for cell in cells:
        for places in (np.arange(8), np.arange(8, IMAGES)):
            written.add([a_piece(kind, cell, places, random)])
    written.close()
    whole = [line.split(b" ", 1)[1] for line in path.read_bytes().splitlines()]
    failed, used = [], 0
    for number in range(100):
        chance, texts = Random(f"journal/{kind}/{number}"), list(whole)
        at = chance.randrange(len(texts))
        texts[at] = damaged_json(chance, json.loads(texts[at])).replace(b"\n", b" ")
        path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts))
        try:
            journal = opened()
            tally = Tally(cells, IMAGES)
            for record in journal.pieces:
                tally.add(record)
            used += len(journal.pieces)
            journal.close()
            assert all(tally.cell(cell).n == IMAGES for cell in tally.finished())
            tally.predictions(np.zeros(IMAGES, np.int64), [str(number) for number in range(10)])
            tally.trials()
        except PpbenchError:
            pass
        except Exception as error:
            failed.append(f"journal/{number}: {error!r}")
    assert failed == []
    assert 100 < used < 4 * 100
