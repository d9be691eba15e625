"""Every block of code in the pages runs, on tiny data; `tests/blocks.py` lists those that cannot, with the reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from ppbench import pytest_plugin
from ppbench.cli.main import app
from ppbench.figures.paper import blank_figure
from tests.blocks import (
    NOT_RUN,
    PAGES,
    PYTHON_NOT_RUN,
    Block,
    blocks_of,
    command_lines,
    copy_run,
    make_library_models,
    make_small_network,
    make_workspace,
    provide_runs,
    reason_not_to_run,
    shortened,
)
from tests.conftest import forwards_of
from tests.trees import photographs

COMMANDS = {page.name: list(dict.fromkeys(command_lines(page))) for page in PAGES}
RUN_HERE = {name: [line for line in lines if not reason_not_to_run(line)] for name, lines in COMMANDS.items()}
BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.fixture(scope="module", autouse=True)
def _little_work() -> Iterator[None]:
    """Forward passes of few images, and no drawing: tests of figures draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ppbench.figures.notebook.paper_figure", lambda content, width="single": blank_figure(1, 1))
        patch.setattr("ppbench.figures.paper.PaperFigure.to_bytes", lambda figure, form: b"drawn")
        patch.setattr("ppbench.inspection.figures.figure_files", lambda *asked: {"kernels": b"drawn"})
        yield from forwards_of(4, 4)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_workspace(folder)
    return folder


def copy_or_link(source: str, target: str) -> None:
    """A copy; of 45 MB of weights that no block writes to, a link."""
    (os.link if Path(source).suffix in (".pth", ".ckpt") else shutil.copy2)(source, target)


@pytest.fixture
def workspace(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny data, which is the working directory."""
    folder = shutil.copytree(tiny, tmp_path / "here", copy_function=copy_or_link)
    monkeypatch.chdir(folder)
    return folder


def prepare(page: str, folder: Path) -> None:
    """What one page means by a name that others use too."""
    sys.modules.pop("flare", None)  # of another copy of the data
    copy_run("imagenet-resnet50" if page == "compare.md" else "plain", folder / "RUN.json")
    if page == "README.md":
        copy_run("pp3", folder / "OTHER.json")
    if page == "models-anywhere.md":
        make_library_models(folder)


@pytest.mark.parametrize("page", [name for name, lines in RUN_HERE.items() if lines])
def test_command_lines_run(page: str, workspace: Path) -> None:
    prepare(page, workspace)
    for command in RUN_HERE[page]:
        start_afresh(command, workspace)
        provide_runs(command, workspace)
        with fitting_network(command, workspace):
            done = CliRunner().invoke(app, shortened(command))
        assert done.exit_code == 0, f"{command}\n{done.output}\n{done.exception!r}"


def start_afresh(command: str, folder: Path) -> None:
    """Take away what an alternative before this line has written."""
    if command.startswith("ppbench corrupt"):
        shutil.rmtree(folder / "photos-c", ignore_errors=True)
    if output := re.search(r" -o (\S+)", command):
        (folder / output[1]).unlink(missing_ok=True)


@contextmanager
def fitting_network(command: str, folder: Path) -> Iterator[None]:
    """For a folder of photographs, ``net.safetensors`` is a network of its two classes."""
    own = folder / "net.safetensors"
    embedded = own.read_bytes()
    if "imagefolder" in command or "--labels" in command:
        (folder / "photos" / "cat.jpg").unlink(missing_ok=True)
        make_small_network(own)
    yield
    own.write_bytes(embedded)


def test_every_pattern_that_keeps_a_line_from_running_is_needed() -> None:
    reasons = Counter(
        next((p for p in NOT_RUN if reason_not_to_run(line) == NOT_RUN[p]), "run")
        for lines in COMMANDS.values()
        for line in lines
    )
    assert set(reasons) - {"run"} == set({NOT_RUN[p]: p for p in reversed(NOT_RUN)}.values())
    assert reasons["run"] >= 35


CHANGES = {
    "limit=500": "limit=4",
    'Card.cifar10("my-net")': 'Card.cifar10("my-net"), limit=2',
    '["noise", "fog"]': '["fog"]',
}
"""What is made smaller in a block before it runs."""


def namespace(block: Block) -> dict[str, Any]:
    """The names that a block takes for granted."""
    from ppbench.models.resnet import create_model

    names: dict[str, Any] = {"__name__": "block", "np": np}
    if "images" in block.text:
        names["images"] = np.stack(photographs(32, 2))
    if block.page == "checkpoints.md":
        names["model"] = create_model("resnet20", num_classes=10)
    if "np.savez" in block.text:
        logits = np.zeros((2, 3), np.float32)
        names |= {"ids": np.array(["a.png", "b.png"]), "logits": logits, "logits_fog_1": logits}
    return names


def not_run(block: Block) -> str | None:
    return next((r for (page, word), r in PYTHON_NOT_RUN.items() if page == block.page and word in block.text), None)


PYTHON = [block for block in BLOCKS if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"{block.page}:{block.text.split(chr(10))[0]}")
def test_python_blocks_run(block: Block, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = block.text
    for old, new in CHANGES.items():
        text = text.replace(old, new)
    code = compile(text, block.page, "exec")
    if reason := not_run(block):
        pytest.skip(reason)
    if block.page == "corrupt.md":
        assert CliRunner().invoke(app, ["corrupt", "photos", "-c", "fog", "-s", "1"]).exit_code == 0
    if "sys.argv" in text:
        monkeypatch.setattr(sys, "argv", ["damage.py", "0.1"])
    if "load_run" in text:
        provide_runs(text, workspace)
    names = namespace(block)
    exec(code, names)
    if "def net()" in text:
        assert names["net"]().fc.out_features == 10
    if "def test_robustness" in text:
        (workspace / "run.json").unlink()
        assert CliRunner().invoke(app, ["eval", "-m", "net.safetensors", "--limit", "4", "-o", "b.json"]).exit_code == 0
        assert CliRunner().invoke(app, ["check", "b.json", "--update-baseline", "baseline.json"]).exit_code == 0
        with pytest.warns(UserWarning, match="underpowered"):
            names["test_robustness"](pytest_plugin._check, workspace)


def test_what_is_said_not_to_run_is_there() -> None:
    assert {key for key in PYTHON_NOT_RUN for block in PYTHON if key[0] == block.page and key[1] in block.text} == set(
        PYTHON_NOT_RUN
    )


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language not in ("", "python")], ids=lambda b: b.page)
def test_other_blocks_are_what_they_say(block: Block) -> None:
    if block.language == "toml":
        assert tomllib.loads(block.text)
    elif block.language in ("yaml", "yml"):
        assert yaml.safe_load(block.text)
    elif block.language in ("bash", "sh"):
        assert subprocess.run(["bash", "-n"], input=block.text, text=True).returncode == 0
    else:
        pytest.fail(f"no test knows blocks of {block.language}")
