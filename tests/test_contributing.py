"""The page CONTRIBUTING.md is true: in a copy of the package, one of each is added as it says, and works."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.forks import PPBENCH, run

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RUNS = Path(__file__).parent / "golden" / "runs"

METRIC = '''

class MildError(MeanError):
    """Mean top-1 error at the mildest severity."""

    name = name_of_one = "mild_error"
    formula = "mean of E_cs over corruptions c, s the mildest"
    meaning = "top-1 error at the mildest severity"
    rule = "mild"
    higher_is_better = True

    def value(self, case: Case) -> float:
        return super().value(case._replace(severities=case.severities[:1]))

    def weights(self, case: Case) -> Weights:
        return super().weights(case._replace(severities=case.severities[:1]))


QUANTITIES["mild_error"] = MildError()
'''

CORRUPTION = '''

def lifted(images: Tensor, k: c.Noise, recipe: Recipe, draws: Draws) -> Tensor:
    """Move all values towards white."""
    return (images + (255 - images.int()) * k.std).to(images.dtype)
'''

READER = '''

class _Grey(ArrayImages):
    """Twelve squares of one grey each, three classes."""

    def __init__(self) -> None:
        pixels = np.repeat(np.arange(12, dtype=np.uint8) * 20, 28 * 28).reshape(12, 28, 28, 1)
        super().__init__(pixels, np.arange(12) % 3, [f"grey/{n}" for n in range(12)], ["dark", "middle", "light"])
'''

COMMAND = '''
from ppbench.cli import output
from ppbench.cli.help import page


@page("Say hello.", examples=("ppbench hello",))
def hello() -> None:
    """Say hello."""
    output.text("hello")
'''


UNLOADED = """
import sys
for name in [name for name in sys.modules if name.partition(".")[0] == "ppbench"]:
    del sys.modules[name]
"""
"""For a process that is forked from one with ppbench loaded."""


class Copy:
    """A copy of the package that may be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "ppbench", folder / "ppbench", ignore=shutil.ignore_patterns("*.nb[ci]"))

    def change(self, topic: str, file: str, *, old: str = "", new: str) -> None:
        """Replace ``old`` in a file that the page names below ``To add a <topic>``; empty: append to it."""
        section = re.split(rf"## To add an? {topic}.*\n", PAGE)[1].split("\n## ")[0]
        assert f"`{file}`" in section, f"the page does not name {file} for a new {topic}"
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1 if old else True, f"{file} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new) if old else text + new)

    def ppbench(self, *arguments: object, code: int = 0) -> str:
        """Run the copy's command line."""
        return self._run(PPBENCH, *map(str, arguments), code=code)

    def python(self, code: str) -> str:
        """Run a program with the copy."""
        return self._run(code)

    def _run(self, program: str, *arguments: str, code: int = 0) -> str:
        with contextlib.chdir(self.folder):
            done = run(f"{UNLOADED}\nsys.path.insert(0, {str(self.folder)!r})\n{program}", *arguments, COLUMNS="100")
        assert done.returncode == code, done.stderr
        return done.stdout

    def json(self, *arguments: object) -> Any:
        return json.loads(self.ppbench(*arguments, "--format", "json"))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_the_page_gives_five_steps_for_each() -> None:
    topics = re.findall(r"## To add an? (.+)\n\n((?:.+\n)+)", PAGE)
    assert len(topics) == 6
    for topic, steps in topics:
        assert re.findall(r"^(\d)\. ", steps, re.MULTILINE) == ["1", "2", "3", "4", "5"], topic


def test_a_metric(copy: Copy) -> None:
    copy.change("metric", "ppbench/metrics/quantities.py", new=METRIC)
    shown = {metric["name"]: metric for metric in copy.json("show", RUNS / "pp3.json")["metrics"]}
    assert shown["mild_error"]["low"] < shown["mild_error"]["value"] < shown["mild_error"]["high"]
    tables = copy.ppbench("show", RUNS / "pp3.json", "--formulas", "--format", "markdown")
    assert "| mild error |" in tables
    assert "| corruption | s1 | s2 | s3 | s4 | s5 | mean error | ± | mild error |" in tables
    assert "| mild\\_error | mean of E\\_cs over corruptions c, s the mildest |" in tables
    compare = ("compare", RUNS / "plain.json", RUNS / "pp3.json", "--all-metrics")
    compared = copy.json(*compare)["comparisons"][0]["differences"]
    (difference,) = [found for found in compared if (found["group"], found["metric"]) == ("metric", "mild_error")]
    assert difference["difference"] == pytest.approx(difference["value"] - difference["reference"])
    assert {found["group"] for found in compared if found["metric"] == "mild_error"} == {
        "metric", "mild_error_family", "mild_error_corruption",
    }  # fmt: skip
    in_table = copy.ppbench(*compare, "--format", "markdown")
    assert "| mild error |" in in_table
    assert "except for R\\_net and mild\\_error, where higher is better" in in_table
    (rule,) = copy.json("check", RUNS / "pp3.json", "--baseline", RUNS / "plain.json", "--max-drop", "mild=90")["rules"]
    assert rule["rule"] == "mild"
    assert rule["drop"] == pytest.approx(difference["difference"])
    listed = "mCE, relative_mCE, mean_error, mild_error"
    code = (
        "from types import SimpleNamespace as Source; from ppbench.evaluation.stopping import metric_weights; "
        "metric_weights('mild', Source(class_names='ab'), *[None] * 3)"
    )
    asked = copy.python(f"try:\n    {code}\nexcept Exception as error:\n    print(error)")
    assert listed in asked


def test_a_corruption(copy: Copy) -> None:
    topic = "corruption"
    copy.change(topic, "ppbench/corruptions/catalog.py", old="colour.saturate,", new="colour.saturate, colour.lifted,")
    path = copy.folder / "ppbench" / "corruptions" / "colour.py"
    path.write_text(path.read_text() + CORRUPTION)
    constants = '    "saturate": (\n        Saturate,\n'
    added = '    "lifted": (Noise, {"imagenet-c": ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,))}),\n'
    copy.change(topic, "ppbench/corruptions/constants.py", old=constants, new=added + constants)
    family = '"spatter", "saturate"),'
    copy.change(topic, "ppbench/vocabulary.py", old=family, new='"spatter", "saturate", "lifted"),')
    assert "lifted" in copy.ppbench("list", "corruptions", "--names").split()
    np.save(copy.folder / "black.npy", np.zeros((2, 8, 8, 3), np.uint8))
    copy.ppbench("corrupt", "black.npy", "out", "-c", "lifted", "-s", "5", "--recipe", "imagenet-c")
    (made,) = (copy.folder / "out").rglob("*.npy")
    assert np.load(made).max() > 0


def test_a_dataset_and_its_reader(copy: Copy) -> None:
    entry = "_ENTRIES = (\n"
    words = 'name="grey", description="greys", classes="3", size="28 grey", normalizer="none", how_to_get="nothing"'
    copy.change("dataset", "ppbench/data/catalog.py", old=entry, new=f"{entry}    Dataset({words}),\n")
    opened = "    if found is None:\n        return embedded_images()"
    branch = '    if dataset.name == "grey":\n        return _Grey()\n'
    copy.change("dataset", "ppbench/data/opening.py", old=opened, new=branch + opened)
    copy.change("dataset", "ppbench/data/opening.py", new=READER)
    assert "grey" in copy.ppbench("list", "datasets", "--names").split()
    (copy.folder / "photos" / "one").mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "inspect" / "kernels.png", copy.folder / "photos" / "one")
    opening = "from ppbench.data.opening import open_source; from ppbench.data.source import Geometry"
    source = "from pathlib import Path; source = open_source('grey', Path('photos'), Geometry(28, 28), limit=6)"
    printed = copy.python(f"{opening}\n{source}\nprint(len(source.ids), source.size, source.num_classes)")
    assert printed.split() == ["6", "28", "3"]


def test_a_model_source(copy: Copy) -> None:
    loaded = "(reference, load_checkpoint(embedded_path(reference), options=options))"
    line = f'    "mine": lambda reference, options, on_download: {loaded},\n'
    table = '    "torchvision": _from_torchvision,\n'
    copy.change("model source", "ppbench/models/load.py", old=table, new=table + line)
    code = "from ppbench.models.load import resolve_model; print(resolve_model('mine:fashion-mnist-resnet8').name)"
    assert copy.python(code).strip() == "fashion-mnist-resnet8"


def test_a_command(copy: Copy) -> None:
    (copy.folder / "ppbench" / "cli" / "hello.py").write_text(COMMAND)
    registered = 'app.command("doctor"'
    line = 'from ppbench.cli.hello import hello\napp.command("hello", cls=Checked.of(hello))(hello)\n'
    copy.change("command", "ppbench/cli/main.py", old=registered, new=line + registered)
    assert copy.ppbench("hello") == "hello\n"
    assert "ppbench hello" in copy.ppbench("hello", "--help")


def test_an_output_format(copy: Copy) -> None:
    copy.change(
        "output format", "ppbench/tables/text.py", new='\n\ndef to_wiki(sheet):\n    return f"== {sheet.title} =="\n'
    )
    last = '    LATEX = "latex"\n'
    copy.change("output format", "ppbench/cli/output.py", old=last, new=f'{last}    WIKI = "wiki"\n')
    copy.change("output format", "ppbench/cli/output.py", old="import to_latex,", new="import to_wiki, to_latex,")
    writers = "Format.LATEX: to_latex}"
    copy.change(
        "output format", "ppbench/cli/output.py", old=writers, new="Format.LATEX: to_latex, Format.WIKI: to_wiki}"
    )
    for command in (["show", RUNS / "pp3.json"], ["compare", RUNS / "plain.json", RUNS / "pp3.json"]):
        assert copy.ppbench(*command, "--format", "wiki").startswith("== ")
