"""``ppbench inspect``: files, numbers, tables, and one clear line for every mistake."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.models.build import build
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from tests.evaluation.models import tiny_checkpoint

DOCS = Path(__file__).parents[2] / "docs"
PLAIN, PUSH_PULL = "fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3"


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.inspection.figures.figure_files", lambda *arguments: {"kernels": b"picture"})


def all_numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for part in value.values():
            yield from all_numbers(part)
    elif isinstance(value, list):
        for part in value:
            yield from all_numbers(part)
    elif isinstance(value, int | float):
        yield value


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What the command of docs/inspect.md gives, but for its folder."""
    line = re.search(r"^ppbench inspect (.+)$", (DOCS / "inspect.md").read_text(), re.MULTILINE)
    assert line
    folder = tmp_path_factory.mktemp("docs")
    arguments = shlex.split(line[1].replace("docs/inspect", str(folder)))
    result = invoke(*arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def test_the_pictures_in_the_docs_are_those_of_the_command_given_there(documented: tuple[Path, Any]) -> None:
    folder, _ = documented
    kept = sorted((DOCS / "inspect").glob("*.png"))
    assert [path.name for path in kept] == sorted(path.name for path in folder.glob("*.png"))
    assert sum(path.stat().st_size for path in kept) < 600_000
    for path in kept:
        with Image.open(path) as old, Image.open(folder / path.name) as new:
            assert old.size == new.size
            difference = np.asarray(old.convert("L"), float) - np.asarray(new.convert("L"), float)
        assert np.abs(difference).mean() < 2, path.name


def test_the_figures_in_the_docs_are_those_of_the_command_given_there(documented: tuple[Path, Any]) -> None:
    _, numbers = documented
    text = (DOCS / "inspect.md").read_text()
    for kind, network in (("push-pull", numbers), ("plain", numbers["against"])):
        for point, found in network["selectivity"]["points"].items():
            row = re.search(rf"\| {kind}, `{point}` \| (\d+) of 16 \| (\S+) ± (\S+) \| (\S+) ± (\S+) \|", text)
            assert row, (kind, point)
            noise, both = found["indices"]["noise"], found["indices"]["grating_in_noise"]
            expected = [16 - found["silent"], *of(noise), *of(both)]
            assert [float(value) for value in row.groups()] == pytest.approx(expected, abs=0.0011)
    rows = {"push": "`layer` - `push`", "layer": "`layer` - plain `layer`", "norm": "`norm` - plain `norm`"}
    for minus, name in rows.items():
        row = re.search(rf"\| push-pull {name}, [a-z ]+ \| (\S+) ± (\S+) \| (\S+) ± (\S+) \|", text)
        assert row, name
        found = [d for d in numbers["differences"] if d["minus"]["point"] == minus and d["index"] != "antiphase"]
        expected = [value for one in found for value in of(one)]
        assert [float(value) for value in row.groups()] == pytest.approx(expected, abs=0.0011)


def of(estimate: dict[str, float]) -> tuple[float, float]:
    """Value and margin."""
    value = estimate["value"]
    return value, max(value - estimate["low"], estimate["high"] - value)


def test_all_numbers_are_finite_and_in_the_file_too(documented: tuple[Path, Any]) -> None:
    folder, numbers = documented
    assert json.loads((folder / "numbers.json").read_text()) == numbers
    values = list(all_numbers(numbers))
    assert len(values) > 5000
    assert all(map(math.isfinite, values))
    assert numbers["layer"]["inhibition"] == {"trained": False, "values": [1.0] * 16}
    assert [image["name"] for image in numbers["images"]] == ["test/00068", "test/00007"]
    assert [d["paired"] for d in numbers["differences"]] == [True] * 3 + [False] * 6


def test_a_plain_network_and_an_image_of_one_s_own_as_svg(tmp_path: Path) -> None:
    image = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)).save(image)
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3)
    folder = tmp_path / "out"
    arguments = (net, image, "-o", folder, "--figure", "svg", "--draws", 16, "--corruption", "fog", "-s", 5)
    result = invoke(*arguments, "--format", "csv", "--filters", "0,15")
    assert result.exit_code == 0, result.output
    names = {path.name for path in folder.iterdir()}
    pictures = {f"{name}.svg" for name in ("kernels", "responses-1", "spectra", "tuning", "selectivity")}
    assert names == pictures | {"numbers.json"}
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["point"], row["filter"]) for row in rows[:2]] == [("layer", "0"), ("layer", "1")]
    assert {row["point"] for row in rows} == {"layer", "norm"}
    assert {row["inhibition"] for row in rows} == {""}
    numbers = json.loads((folder / "numbers.json").read_text())
    assert list(numbers["images"][0]["change"]) == ["push", "output"]
    assert numbers["images"][0]["corruption"] == "fog"
    assert "pull" not in numbers["spectra"]


@pytest.mark.parametrize(("form", "piece"), [("rich", "push alone"), ("markdown", "| --- |"), ("latex", "tabular")])
def test_tables_go_to_stdout_and_talk_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, piece: str
) -> None:
    monkeypatch.chdir(tmp_path)
    draw_nothing(monkeypatch)  # the pictures are the same whatever the form
    net = tiny_checkpoint(tmp_path / "net.safetensors", architecture="resnet8-pp3")
    result = invoke(net, "--draws", 16, "--format", form)
    assert result.exit_code == 0, result.output
    assert piece in result.stdout
    stderr = " ".join(result.stderr.split())
    assert "no responses are drawn: name image files after the model" in stderr
    assert "pictures and numbers.json are in inspect-net" in stderr
    assert (tmp_path / "inspect-net" / "kernels.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message", "mend"),
    [
        (["resnet8"], 3, "resnet8 is a network without weights", "ppbench train"),
        (["fashion-mnist-resnet9"], 2, "unknown model 'fashion-mnist-resnet9'", "did you mean"),
        (["nowhere.safetensors"], 3, "cannot read the checkpoint nowhere.safetensors", "existing file"),
        ([PLAIN, "nowhere.png"], 3, "there is no image nowhere.png", "Name image files after the model, or none"),
        ([PLAIN, "."], 3, "there is no image .", "Name image files after the model, or none"),
        ([PLAIN, "text.png"], 3, "cannot read the image text.png: it is not an image", "Replace or remove"),
        ([PLAIN, "--figure", "pdf"], 2, "--figure pdf is not allowed", "png or svg"),
        ([PLAIN, "--filters", "0,16"], 2, "--filters 16 is not allowed", "numbered from 0 to 15"),
        ([PLAIN, "--filters", "a"], 2, "--filters a is not allowed", "0,3,7"),
        ([PLAIN, "--draws", "3"], 2, "--draws 3 is not allowed", "at least 16"),
        ([PLAIN, "-c", "fogg"], 2, "unknown corruption 'fogg'", "did you mean 'fog'"),
        ([PLAIN, "-s", "6"], 2, "severity 6 is not allowed", "1 to 5"),
        ([PLAIN, "--against", "nothing"], 2, "unknown model 'nothing'", "ppbench list models"),
    ],
)
def test_a_mistake_is_answered_with_the_value_the_mend_and_the_exit_code(
    arguments: list[str], code: int, message: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    stderr = " ".join(result.stderr.split())
    assert message in stderr
    assert mend in stderr
    assert "Traceback" not in stderr
    assert result.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["text.png"]


def test_a_converted_network_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_nothing(monkeypatch)  # numbers and words alone
    origin = {"name": "resnet50", "architecture": "torchvision:resnet50", "weights": "0"}
    card = load_checkpoint(tiny_checkpoint(tmp_path / "net.safetensors", architecture="resnet8-pp3")).card
    card = card.model_copy(update={"rectified_push": False, "origin": origin})
    save_checkpoint(tmp_path / "net.safetensors", build(card), card)
    result = invoke(
        tmp_path / "net.safetensors",
        "--draws",
        16,
        "--against",
        PUSH_PULL,
        "-o",
        tmp_path / "out",
        "--format",
        "markdown",
    )
    assert result.exit_code == 0, result.output
    assert "net: push not rectified (ppbench convert of resnet50)." in result.stdout
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    assert numbers["conversion"] == "push not rectified (ppbench convert of resnet50)"
    assert numbers["against"]["conversion"] is None


def test_a_folder_that_cannot_be_written_is_told_with_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_nothing(monkeypatch)
    (tmp_path / "text.png").write_text("no folder")
    result = invoke(PLAIN, "--draws", 16, "-o", tmp_path / "text.png")
    assert result.exit_code == 3
    stderr = " ".join(result.stderr.split())
    assert "text.png/kernels.png" in stderr.replace(" ", "")
    assert "Choose another place with `--output FOLDER`" in stderr


def test_without_matplotlib_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = invoke(PLAIN)
    assert result.exit_code == 2
    assert "`ppbench inspect` needs matplotlib" in result.stderr
    assert "uv sync --extra plots" in result.stderr
