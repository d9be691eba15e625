"""The same images in class folders, arrays, Datasets, Parquet and WebDataset give the same run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from tests.evaluation.models import tiny_checkpoint
from tests.evaluation.test_processes import processes_of
from tests.shards import (
    as_array,
    as_structs,
    files_in,
    ids_in,
    labels_in,
    write_mixed_folders,
    write_parquet,
    write_table,
    write_webdataset,
)

pytestmark = pytest.mark.usefixtures("_small_forwards")

OPTIONS: dict[str, Any] = {"corruptions": ["gaussian_noise", "fog"], "severities": "1-2", "force": True}
LINE = ["-c", "gaussian_noise,fog", "-s", "1-2", "--force"]

CODE = """
import sys
from pathlib import Path
from torchvision.datasets import ImageFolder

def images():
    return ImageFolder(Path(__file__).parent / "folders")
"""

ARRAYS = """
import json
import numpy as np

def images():
    return {"images": np.load("images.npy"), **json.load(open("arrays.json"))}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images in every form, a network, and the run of the class folders."""
    home = tmp_path_factory.mktemp("forms")
    folders = write_mixed_folders(home / "folders")
    write_parquet(folders, home / "parquet")
    write_webdataset(folders, home / "tars")
    (home / "forms_of_mine.py").write_text(CODE)
    net = tiny_checkpoint(home / "net.safetensors", size=32, channels=3, classes=2)
    evaluate(str(net), "imagefolder", data=folders, output=home / "folders.json", **OPTIONS)
    return home


def counted(path: Path) -> dict[str, Any]:
    """All that must be the same: everything but the dataset's name and fingerprint, and the provenance."""
    content = json.loads(path.read_text())
    bits = (path.parent / content["bits"]["file"]).read_bytes()
    for name in ("dataset", "fingerprint"):
        del content["protocol"][name]
    predictions = (path.parent / content["predictions"]["file"]).read_bytes()
    return {
        "cells": content["cells"], "protocol": content["protocol"], "weights": content["model"]["weights_sha256"],
        "bits": bits, "predictions": predictions,
    }  # fmt: skip


def pillows(home: Path) -> list[Image.Image]:
    return [Image.open(path) for path in files_in(home / "folders")]


class Tensors(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """A Dataset of uint8 tensors (C, H, W)."""

    def __init__(self, root: Path) -> None:
        self.files, self.labels = files_in(root), labels_in(root)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        image = pil_to_tensor(Image.open(self.files[row]).convert("RGB"))
        return image, self.labels[row]


GIVEN = {
    "Parquet": lambda home: {"dataset": "imagefolder", "data": home / "parquet"},
    "Parquet by a pattern": lambda home: {"dataset": "imagefolder", "data": home / "parquet/data/test-*.parquet"},
    "WebDataset": lambda home: {"dataset": "imagefolder", "data": home / "tars"},
    "WebDataset by a range": lambda home: {"dataset": "imagefolder", "data": home / "tars/shard-{0000..0001}.tar"},
    "a list": lambda home: {
        "dataset": pillows(home), "labels": labels_in(home / "folders"), "ids": ids_in(home / "folders"),
    },
    "a Dataset with files": lambda home: {"dataset": torchvision.datasets.ImageFolder(home / "folders")},
    "a Dataset of tensors": lambda home: {"dataset": Tensors(home / "folders"), "ids": ids_in(home / "folders")},
}  # fmt: skip


@pytest.mark.parametrize("form", GIVEN)
def test_every_form_gives_the_run_of_the_class_folders(home: Path, tmp_path: Path, form: str) -> None:
    evaluate(str(home / "net.safetensors"), **GIVEN[form](home), output=tmp_path / "run.json", **OPTIONS)
    assert counted(tmp_path / "run.json") == counted(home / "folders.json")


def test_arrays_of_one_size(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two orders of axes, numpy and torch; and numpy in two processes."""
    from tests.trees import write_class_folders

    folders = write_class_folders(tmp_path / "one", per_class=3)
    net, images, labels, ids = str(home / "net.safetensors"), as_array(folders), labels_in(folders), ids_in(folders)
    evaluate(net, "imagefolder", data=folders, output=tmp_path / "folders.json", **OPTIONS)
    for number, given in enumerate((images, images.transpose(0, 3, 1, 2), torch.from_numpy(images))):
        evaluate(net, given, labels, ids=ids, output=tmp_path / f"{number}.json", **OPTIONS)
        assert counted(tmp_path / f"{number}.json") == counted(tmp_path / "folders.json")
    # Processes cannot be given an array, but the function that makes it: each then has what `evaluate` has.
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "arrays.json").write_text(json.dumps({"labels": labels, "ids": ids}))
    (tmp_path / "arrays_of_mine.py").write_text(ARRAYS)
    monkeypatch.chdir(tmp_path)
    done = processes_of(2, "-m", net, "--dataset", "arrays_of_mine:images", "-o", "two.json", *LINE)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "two.json").read_text())["provenance"]["processes"] == 2
    assert counted(tmp_path / "two.json") == counted(tmp_path / "folders.json")


@pytest.fixture
def own_code(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(home)
    yield "forms_of_mine:images"
    sys.modules.pop("forms_of_mine", None)


def test_a_factory_names_the_dataset(home: Path, tmp_path: Path, own_code: str) -> None:
    call = ["eval", "-m", str(home / "net.safetensors"), "--dataset", own_code, "-o", str(tmp_path)]
    done = CliRunner().invoke(app, [*call, *LINE])
    assert done.exit_code == 0, done.output
    run = tmp_path / "net--forms_of_mine-images.json"  # Windows and GitHub's artifacts have no names with a colon
    assert counted(run) == counted(home / "folders.json")
    assert json.loads(run.read_text())["protocol"]["dataset"] == "forms_of_mine:images"


@pytest.mark.parametrize("given", ["parquet", "tars", "forms_of_mine:images"])
def test_two_processes(home: Path, tmp_path: Path, own_code: str, given: str) -> None:
    where = ["--dataset", given] if ":" in given else ["--dataset", "imagefolder", "--data", str(home / given)]
    done = processes_of(2, "-m", str(home / "net.safetensors"), *where, "-o", str(tmp_path / "run.json"), *LINE)
    assert done.returncode == 0, done.stderr
    assert counted(tmp_path / "run.json") == counted(home / "folders.json")


def test_without_labels(home: Path, tmp_path: Path) -> None:
    """A table without labels is a folder of photographs: the paths are the ids of both."""
    net, options = str(home / "net.safetensors"), {"labels": "predicted", "corruptions": "fog", "severities": 1}
    structs = [
        {**one, "path": name}
        for one, name in zip(as_structs(files_in(home / "folders")), ids_in(home / "folders"), strict=True)
    ]
    table = write_table(tmp_path / "a.parquet", structs, None)
    evaluate(net, "imagefolder", data=home / "folders", output=tmp_path / "folders.json", **options)
    evaluate(net, "imagefolder", data=table, output=tmp_path / "table.json", **options)
    evaluate(net, pillows(home), ids=ids_in(home / "folders"), output=tmp_path / "list.json", **options)
    assert counted(tmp_path / "table.json") == counted(tmp_path / "folders.json")
    assert counted(tmp_path / "list.json") == counted(tmp_path / "folders.json")


def test_broken_bytes_in_one_row(home: Path, tmp_path: Path) -> None:
    structs = as_structs(files_in(home / "folders"))
    structs[2]["bytes"] = structs[2]["bytes"][:100]
    table = write_table(tmp_path / "a.parquet", structs, labels_in(home / "folders"))
    call = ["eval", "-m", str(home / "net.safetensors"), "--dataset", "imagefolder", "--data", str(table), *LINE]
    call += ["-o", str(tmp_path / "run.json"), "--format", "json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 3
    assert f"{table}: img002.png" in done.stderr or f"{table}: img004.png" in done.stderr
    assert CliRunner().invoke(app, [*call, "--skip-unreadable"]).exit_code == 0
    content = json.loads((tmp_path / "run.json").read_text())
    assert {cell["n"] for cell in content["cells"]} == {7}
    assert len(content["protocol"]["unreadable"]) == 1


@pytest.mark.parametrize("form", ["Parquet", "WebDataset", "a Dataset with files", "a list"])
def test_interrupted_and_resumed(home: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)  # after every batch
    given, seen = GIVEN[form](home), 0

    def interrupt(cell: tuple[str, int] | None, images: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt

    from ppbench.data.own_images import ImagesGiven

    if not isinstance(given["dataset"], str):
        given = {"dataset": ImagesGiven.of(given["dataset"], given.get("labels"), given.get("ids"))}
    request = EvalRequest.of(
        models=str(home / "net.safetensors"), output=tmp_path / "run.json", batch_size=2, **given, **OPTIONS
    )
    result = measure(prepare(request), advance=interrupt)
    assert isinstance(result.stopped_by, KeyboardInterrupt)
    said: list[str] = []
    assert measure(prepare(request), say=said.append).stopped_by is None
    assert any(line.startswith("reused ") and "reused 0 " not in line for line in said), said
    assert counted(tmp_path / "run.json") == counted(home / "folders.json")
