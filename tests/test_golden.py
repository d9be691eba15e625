"""What the commands print and write, letter by letter: golden snapshots in ``tests/golden``.

They protect the scripts of users. A refactoring changes none of them; a commit that is meant to change what is printed
records them again, and its diff is read line by line::

    PPBENCH_RECORD_GOLDEN=1 python -m pytest tests/test_golden.py

Every snapshot is made from files in ``tests/golden/runs`` (and ``tests/runs``), so that all machines give the same one.
What still differs from one machine or day to the next, `steady` replaces. Only ``convert`` and ``train`` run a network,
on a few images; what it computes is replaced too.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

import ppbench
from ppbench.cli import output
from ppbench.cli.main import app
from ppbench.models.read_card import read_card
from ppbench.run import json_schema, read_bits, read_run, write_run
from ppbench.tables.sheet import Sheet
from ppbench.tables.terminal import MARGIN, printable
from ppbench.tables.wrapping import lay_out, paragraph
from tests.inspection.recorded import recorded
from tests.trees import write_fashion_mnist

COMMAND = get_command(app)
"""Made once: it takes longer than most commands."""
GOLDEN = Path(__file__).parent / "golden"
RUNS = (GOLDEN / "runs", Path(__file__).parent / "runs")
ASSETS = Path(ppbench.__file__).parent / "assets"
RECORD = "PPBENCH_RECORD_GOLDEN"
WIDTHS = (60, 80, 120)
SUFFIXES = {"json": "json", "csv": "csv", "markdown": "md", "latex": "tex"}


@dataclass(frozen=True)
class Snapshot:
    """One file in ``tests/golden`` and the command that makes its text."""

    file: str
    command: str
    """Arguments of ``ppbench``, run in a folder that holds the run files."""
    exit_code: int = 0
    width: int = 80
    written: str = ""
    """The file whose bytes are the snapshot, or the checkpoint whose card is; empty: what is printed."""
    messages: bool = False
    """Whether the messages on stderr belong to the snapshot, after what is on stdout."""


def in_all_formats(name: str, command: str, exit_code: int = 0) -> list[Snapshot]:
    """Snapshots of a command with ``--format``: rich at each width, and every other format."""
    return [
        *in_all_widths(name, command, exit_code),
        *(Snapshot(f"{name}.{suffix}", f"{command} --format {form}", exit_code) for form, suffix in SUFFIXES.items()),
    ]


def briefly(name: str, command: str, exit_code: int = 0) -> list[Snapshot]:
    """Snapshots of a command of which another case has all formats and widths."""
    return [
        Snapshot(f"{name}.80.txt", command, exit_code),
        Snapshot(f"{name}.csv", f"{command} --format csv", exit_code),
    ]


def in_all_widths(name: str, command: str, exit_code: int = 0) -> list[Snapshot]:
    return [Snapshot(f"{name}.{width}.txt", command, exit_code, width) for width in WIDTHS]


COMMANDS = (
    "eval", "corrupt", "show", "compare", "report", "check", "convert", "train", "reproduce", "inspect", "list",
    "doctor", "plot", "export", "calibrate",
)  # fmt: skip

HELP = [
    Snapshot("help/ppbench.txt", "--help"),
    *(Snapshot(f"help/{command}.txt", f"{command} --help") for command in COMMANDS),
]

SHOW = [
    *in_all_formats("show/plain", "show plain.json"),
    *in_all_formats("show/against-a-baseline", "show pp3.json --baseline plain.json --intervals --formulas"),
    *briefly("show/normalizer-and-confidence", "show pp3.json --normalizer plain.json --confidence 0.9"),
    *in_all_formats("show/classes", "show v3.json --classes"),
    *briefly("show/classes-without-predictions", "show interrupted.json --classes --intervals"),
    *briefly("show/csv", "show accuracies.csv"),
    *briefly("show/imagenet", "show imagenet-resnet50.json"),
    *briefly("show/imagenet-of-200-classes", "show imagenet-200-classes.json"),
    *in_all_formats("show/interrupted", "show interrupted.json"),
    *briefly("show/labels-only", "show labels.json"),
    *in_all_formats("show/names-to-escape", "show strange.json"),
    *in_all_formats("show/stopped-early", "show stopped.json"),
    *briefly("show/version-1", "show v1.json"),
]

COMPARE = [
    *in_all_formats("compare/two", "compare plain.json pp3.json"),
    *briefly("compare/two-in-full", "compare plain.json pp3.json --cells --all-metrics --confidence 0.99"),
    *briefly("compare/three", "compare old.json worse.json like.json"),
    *in_all_formats("compare/three-in-pairs", "compare old.json worse.json like.json --pairs --baseline like.json"),
    *briefly("compare/imagenet", "compare imagenet-resnet50.json imagenet-resnet50-pp5.json"),
    *in_all_formats("compare/published", "compare imagenet-resnet50.json --published imagenet-c-resnet50"),
    *briefly("compare/published-of-200-classes", "compare imagenet-200-classes.json --published imagenet-c-resnet50"),
    Snapshot("compare/other-protocols.txt", "compare old.json other-recipe.json", 4),
]

REPORT = [
    Snapshot("report/a-pair.txt", "report pp3.json --baseline plain.json", messages=True),
    Snapshot("report/other-protocols.txt", "report old.json other-recipe.json", 4, messages=True),
    Snapshot("report/over-an-input.txt", "report old.json -o old.json", 2, messages=True),
]

WORSE = "check worse.json --baseline old.json --max-drop noise=1"
CHECK = [
    *in_all_formats("check/pass", "check like.json --baseline old.json --max-drop mean=0.5 --max-drop clean=5"),
    *in_all_formats("check/regression", f"{WORSE} --max-drop mean=0.5 --max-drop fog/3=50", 1),
    *briefly("check/undecided-fails", "check plain.json --baseline pp3.json --max-drop clean=1 --fail-on undecided", 1),
    *in_all_formats("check/undecided", "check plain.json --baseline pp3.json --max-drop clean=1"),
    *briefly("check/powerless", "check like.json --baseline old.json --max-drop clean=0.1 --on-powerless fail", 1),
    *briefly("check/self", "check old.json --baseline old.json"),
    Snapshot("check/regression.junit.xml", f"{WORSE} --junit junit.xml", 1, written="junit.xml"),
    Snapshot(
        "check/names-to-escape.junit.xml", "check strange.json --baseline strange.json --junit junit.xml",
        written="junit.xml",
    ),
    Snapshot("check/regression.summary.md", f"{WORSE} --github-summary", 1, written="summary.md"),
    Snapshot("check/baseline.written.json", "check pp3.json --update-baseline baseline.json", written="baseline.json"),
    Snapshot(
        "check/baseline-of-version-1.written.json", "check v1.json --update-baseline baseline.json",
        written="baseline.json",
    ),
]  # fmt: skip

LIST = [
    snapshot
    for what in ("models", "datasets", "corruptions", "recipes", "training-recipes")
    for snapshot in (
        *in_all_formats(f"list/{what}", f"list {what}"),
        Snapshot(f"list/{what}.names.txt", f"list {what} --names"),
    )
]

TABLES = ("imagenet-resnet50", "cifar10-shot-noise", "fashion-mnist")
REPRODUCE = [
    *(
        snapshot
        for table in TABLES
        for snapshot in in_all_formats(f"reproduce/{table}.list", f"reproduce --table {table} --list")
    ),
    *in_all_formats("reproduce/imagenet-resnet50.plan", "reproduce --table imagenet-resnet50 --dry-run --gpu a100"),
    *in_all_formats(
        "reproduce/fashion-mnist.plan",
        "reproduce --table fashion-mnist --dry-run --rows plain,pp3 --seeds 0,1,2 --images-per-second 900",
    ),
    *in_all_formats(
        "reproduce/measured",
        "reproduce --table reproduce.toml --work reproduce-work --rows plain,pp3 --no-train --device cpu "
        "--checkpoint plain=resnet8.safetensors --checkpoint pp3=resnet8-pp3.safetensors",
    ),
]

CORRUPT = "corrupt images copies -c clean,pixelate -s 1,3 --workers 0 --device cpu"
MADE = [
    Snapshot("corrupt/dry-run.txt", f"{CORRUPT} --dry-run"),
    Snapshot("corrupt/dry-run.json", f"{CORRUPT} --dry-run --json"),
    Snapshot("corrupt/done.txt", CORRUPT),
    Snapshot("corrupt/done.json", f"{CORRUPT} --json"),
    Snapshot("corrupt/manifest.json", CORRUPT, written="copies/manifest.json"),
]

PREDICTED = "eval --predictions mine.npz -c fog,frost -s 1-2 --limit 90 --device cpu --force -o run.json"
ESTIMATED = "eval --dry-run -m fashion-mnist-resnet8 --limit 10 -c fog --device cpu --workers 0"
EVAL = [
    *in_all_formats("eval/predictions", PREDICTED),
    Snapshot("eval/dry-run.txt", ESTIMATED),
    Snapshot("eval/dry-run.json", f"{ESTIMATED} --format json"),
    Snapshot("eval/predictions.written.json", PREDICTED, written="run.json"),
]

CONVERT = "convert -m fashion-mnist-resnet8 --device cpu -o made.safetensors"
WITH_IMAGES = f"{CONVERT} --dataset fashion-mnist --data fashion-mnist --images 128"
FINE_TUNED = f"{WITH_IMAGES} --recipe finetune --epochs 1"
CONVERTED = [
    Snapshot("convert/kept.txt", f"{CONVERT} --keep-statistics", messages=True),
    Snapshot("convert/kept.card.json", f"{CONVERT} --keep-statistics", written="made.safetensors"),
    Snapshot("convert/estimated.txt", f"{WITH_IMAGES} --push-pull 5 --inhibition 0.5 --seed 3", messages=True),
    Snapshot(
        "convert/estimated.card.json", f"{WITH_IMAGES} --push-pull 5 --inhibition 0.5 --seed 3",
        written="made.safetensors",
    ),
    Snapshot("convert/fine-tuned.txt", FINE_TUNED, messages=True),
    Snapshot("convert/fine-tuned.card.json", FINE_TUNED, written="made.safetensors"),
    Snapshot("convert/finished.txt", f"{CONVERT.replace('made', 'resnet8-pp3')} --keep-statistics", 2, messages=True),
    Snapshot("convert/no-images.txt", CONVERT, 2, messages=True),
    Snapshot("convert/no-images-to-train-on.txt", f"{CONVERT} --recipe finetune", 2, messages=True),
]  # fmt: skip

TRAIN = "train --model resnet8-pp3 --data fashion-mnist --epochs 1 --device cpu --workers 0 -o made.safetensors"
FROM_WEIGHTS = f"{TRAIN} --init resnet8-pp3.safetensors --recipe finetune --dataset fashion-mnist --lr 0.01"
TRAINED = [
    Snapshot("train/done.txt", TRAIN, messages=True),
    Snapshot("train/done.card.json", TRAIN, written="made.safetensors"),
    Snapshot("train/from-weights.txt", FROM_WEIGHTS, messages=True),
    Snapshot("train/from-weights.card.json", FROM_WEIGHTS, written="made.safetensors"),
    Snapshot("train/exists.txt", f"{TRAIN} -o resnet8.safetensors", 2, messages=True),
    Snapshot("train/no-such-augmentation.txt", f"{TRAIN} --augment fog", 2, messages=True),
    Snapshot("train/no-data.txt", f"{TRAIN} --data images", 3, messages=True),
]

EXAMINED = in_all_widths("doctor/healthy", "doctor")
"""On a machine that the test makes up, since versions and devices differ from one to the next."""

INSPECTED = in_all_formats("inspect/two-networks", "inspect")
"""Printed of a recorded inspection: the command itself computes on images, and draws pictures, which takes long."""

SNAPSHOTS = [*HELP, *SHOW, *COMPARE, *REPORT, *CHECK, *LIST, *REPRODUCE, *MADE, *EVAL, *CONVERTED, *TRAINED]


def rewritten(name: str) -> str:
    """The text of the run file that is written of one that was read, and of its bits."""
    source, target = Path(name), Path("rewritten.json")
    run = read_run(source)
    write_run(target, run, read_bits(source, run) if run.bits else None)
    return target.read_text(encoding="utf-8")


def schema() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


FILES: dict[str, Callable[[], str]] = {
    "run/version-1.json": lambda: rewritten("v1.json"),
    "run/version-2.json": lambda: rewritten("v2.json"),
    "run/interrupted.json": lambda: rewritten("interrupted.json"),
    "run/stopped-early.json": lambda: rewritten("stopped.json"),
    "run/schema.json": schema,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the commands read."""
    folder = tmp_path_factory.mktemp("golden")
    for source in RUNS:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    for name in ("resnet8.safetensors", "resnet8-pp3.safetensors"):
        shutil.copy(ASSETS / name, folder)
    for number, name in enumerate(("a/one.png", "a/two.png", "three.png")):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32, 3), 60 * number, np.uint8)).save(path)
    (folder / "images" / "notes.txt").write_text("no image")
    write_fashion_mnist(folder / "fashion-mnist", 200, 50)
    cells = ("clean", "fog/1", "fog/2", "frost/1", "frost/2")
    np.savez(folder / "mine.npz", **{cell: np.arange(90) % (number + 2) for number, cell in enumerate(cells)})
    return folder


@pytest.fixture
def folder(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That folder to run a command in, without a terminal's or CI's traits; what is written there is removed."""
    monkeypatch.chdir(inputs)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERMINAL_WIDTH", "_TYPER_FORCE_DISABLE_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    before = set(inputs.iterdir())
    yield inputs
    for path in set(inputs.iterdir()) - before:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@pytest.fixture
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The width of the terminal, which Rich's consoles look up when they are made."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    forget_consoles()
    yield
    forget_consoles()


def forget_consoles() -> None:
    for value in vars(output).values():
        getattr(value, "cache_clear", lambda: None)()


@pytest.mark.parametrize(
    ("snapshot", "width"),
    [(one, one.width) for one in SNAPSHOTS],
    ids=[one.file for one in SNAPSHOTS],
    indirect=["width"],
)
def test_the_output_is_the_golden_one(
    snapshot: Snapshot, width: None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if (snapshot.command, snapshot.width) not in ENDED:
        ENDED[snapshot.command, snapshot.width] = ended(snapshot, folder, capsys)
    code, text, told, files = ENDED[snapshot.command, snapshot.width]
    assert code == snapshot.exit_code, told
    if snapshot.written:
        text = files[snapshot.written]
    elif snapshot.messages:
        text = f"stdout:\n{text}stderr:\n{told}"
    compare(snapshot.file, steady(text), snapshot.command)


class Ended(NamedTuple):
    """What a command left."""

    code: object
    stdout: str
    stderr: str
    files: dict[str, str]
    """Texts of those that any of its snapshots is made of."""


ENDED: dict[tuple[str, int], Ended] = {}
"""Commands that were run, with the width of the terminal: what one prints and writes may make several snapshots."""


def ended(snapshot: Snapshot, folder: Path, capsys: pytest.CaptureFixture[str]) -> Ended:
    """Run the command of a snapshot."""
    with pytest.raises(SystemExit) as end:
        COMMAND.main(shlex.split(snapshot.command), prog_name="ppbench")
    wanted = {one.written for one in SNAPSHOTS if one.command == snapshot.command and one.written}
    files = {name: content(folder / name) for name in wanted if (folder / name).is_file()}
    return Ended(end.value.code, *capsys.readouterr(), files)


def content(path: Path) -> str:
    """The text of a file, or the card of a checkpoint."""
    if path.suffix != ".safetensors":
        return path.read_bytes().decode()
    return json.dumps(read_card(path).model_dump(mode="json"), indent=1) + "\n"


def torn_words(text: str, lines: list[str], width: int) -> list[str]:
    """The words of a text that its lines break, except names wider than the column between parts, and labels."""
    torn, place = [], 0
    for number, line in enumerate(map(str.strip, lines)):
        start, place = place, text.index(line, place)
        word = text[:start].split(" ")[-1] + text[start:].split(" ")[0]
        is_label = "[" in text and text[start - 1] in "[,"
        is_wide_name = len(word) > width - 4 and text[start - 1] in "_-/."
        if number and place == start and not is_label and not is_wide_name:
            torn.append(word)
        place += len(line)
    return torn


@pytest.mark.parametrize(
    ("snapshot", "width"),
    [(one, one.width) for one in SNAPSHOTS if one.file.endswith(".80.txt")],
    ids=[one.file for one in SNAPSHOTS if one.file.endswith(".80.txt")],
    indirect=["width"],
)
def test_nothing_wraps_inside_a_word_at_80_columns(
    snapshot: Snapshot, width: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[Sheet] = []
    monkeypatch.setattr("ppbench.tables.terminal.drawn", lambda found: sheets.extend(found) or "")
    with pytest.raises(SystemExit):
        COMMAND.main(shlex.split(snapshot.command), prog_name="ppbench")
    assert sheets
    inner = snapshot.width - 2 * MARGIN
    for sheet in map(printable, sheets):
        for text in (sheet.title, *sheet.notes, sheet.in_full):
            assert not torn_words(text, paragraph(text, inner).split("\n"), inner)
        for block in lay_out(sheet, inner):
            for place, size in zip(block.columns, block.widths, strict=True):
                texts = [sheet.header[place], *(line.cells[place : place + 1] for line in sheet.lines)]
                column = block.columns.index(place)
                wrapped = [block.header[column], *(row[column] for row in block.rows)]
                for text, lines in zip(texts, wrapped, strict=True):
                    assert not torn_words("".join(text), lines.split("\n"), size), sheet.title


@pytest.mark.parametrize(
    ("snapshot", "width"),
    [(one, one.width) for one in INSPECTED],
    ids=[one.file for one in INSPECTED],
    indirect=["width"],
)
def test_an_inspection_is_printed_as_the_golden_one(
    snapshot: Snapshot, width: None, capsys: pytest.CaptureFixture[str]
) -> None:
    form = output.Format(snapshot.command.partition(" --format ")[2] or "rich")
    output.show(recorded(), form, indent=1)
    compare(snapshot.file, capsys.readouterr().out, snapshot.command)


@pytest.mark.parametrize(
    ("snapshot", "width"),
    [(one, one.width) for one in EXAMINED],
    ids=[one.file for one in EXAMINED],
    indirect=["width"],
)
def test_a_made_up_machine_is_examined_as_the_golden_one(
    snapshot: Snapshot, width: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its corruptions change nothing: real ones take a minute to compile, and tests/cli/test_doctor.py runs them."""
    monkeypatch.setattr("ppbench.versions.version_of", lambda name: "3.11.7" if name == "python" else "1.2.3")
    monkeypatch.setattr("platform.platform", lambda: "Linux-6.1.0-21-amd64-x86_64-with-glibc2.36")
    monkeypatch.setattr("ppbench.devices.available_devices", lambda: ["cpu", "cuda:0"])
    monkeypatch.setattr("ppbench.devices.describe_device", lambda device: f"the {device.type} of a made-up machine")
    monkeypatch.setattr("ppbench.corruptions.apply.corrupt", lambda image, *_, **settings: image)
    monkeypatch.setattr("ppbench.corruptions.sequences.apply.perturb", lambda image, *_, **settings: image[None])
    monkeypatch.setattr("ppbench.cli.doctor.compare_with_cpu", lambda name: "all 19 are the CPU's within a level")
    with pytest.raises(SystemExit) as ended:
        COMMAND.main(shlex.split(snapshot.command), prog_name="ppbench")
    text, told = capsys.readouterr()
    assert ended.value.code == 0, told
    compare(snapshot.file, f"stdout:\n{steady(text)}stderr:\n{told}", snapshot.command)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.usefixtures("folder")
def test_the_file_is_the_golden_one(file: str) -> None:
    compare(file, steady(FILES[file]()), "run.write_run")


def test_no_snapshot_is_left_over() -> None:
    """A file without its test would protect nothing."""
    files = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    kept = {file for file in files if not file.startswith("runs/") and file != "README.md"}
    names = [*(one.file for one in (*SNAPSHOTS, *INSPECTED, *EXAMINED)), *FILES]
    assert len(set(names)) == len(names), "two snapshots have one file"
    assert kept - set(names) == set()


def compare(file: str, text: str, what: str) -> None:
    """Hold a text against its snapshot, or record it where that was asked for."""
    path = GOLDEN / file
    if os.environ.get(RECORD):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return
    assert path.is_file(), f"there is no snapshot {path}: record it with {RECORD}=1"
    golden = path.read_bytes().decode()
    if text != golden:
        lines = difflib.unified_diff(
            golden.splitlines(), text.splitlines(), f"tests/golden/{file}", f"ppbench {what}", lineterm=""
        )
        again = f"{RECORD}=1 python -m pytest tests/test_golden.py"
        pytest.fail("\n".join([*lines, f"If this is meant, record the snapshots again: {again}"]), pytrace=False)


FLOAT = re.compile(r"(?<![\w.])-?\d+\.\d+(?:e[-+]?\d+)?(?![\w.])")
TOLD = (
    (re.compile(r"about \d+:\d\d:\d\d"), "about <time>"),
    (re.compile(r'"minutes": [\d.e-]+'), '"minutes": <minutes>'),
    (re.compile(r'"seconds": [\d.e-]+'), '"seconds": <seconds>'),
    # Builds of zlib compress differently.
    (re.compile(r'(predictions\.npy\.gz", "sha256": )"[0-9a-f]{64}"'), r"\1<hash>"),
    (re.compile(r'"started": "[^"]*"'), '"started": <time>'),
    (re.compile(r'"platform": "[^"]*"'), '"platform": <platform>'),
    (re.compile(r'"device": "cpu, [^"]*"'), '"device": <device>'),
    (re.compile(r'"command": "[^"]*"'), '"command": <command>'),
    (re.compile(r'"git_commit": (?:null|"[^"]*")'), '"git_commit": <commit>'),
    (re.compile(r'("(?:versions|made_with)": )\{[^}]*\}'), r"\1<versions>"),
    (re.compile(r'"bytes": \d+, "sha256": "\w+"'), '"bytes": <bytes>, "sha256": <hash>'),
    (re.compile(r'("images/[^"]*|"(?:a/)?\w+\.png": \{.*), "sha256": "\w+"'), r'\1, "sha256": <hash>'),
    (re.compile(r'("gigabytes|"bytes)": [\d.e-]+'), r'\1": <size>'),
    (re.compile(r"\d[\d.]* kB|\d+ bytes"), "<size>"),
    (re.compile(r"\d+\.\d+% of the clean test images"), "<accuracy> of the clean test images"),
    (re.compile(r"\d+\.\d -> \d+\.\d %"), "<accuracy> -> <accuracy> %"),
    (re.compile(r"loss \d+\.\d+(  accuracy \d+\.\d+%)?  \d+:\d\d:\d\d left"), "loss <loss> <accuracy> <time> left"),
    (re.compile(r'"clean_accuracy": [\d.]+'), '"clean_accuracy": <accuracy>'),
    (re.compile(r'("initial_weights"): "\w+"'), r"\1: <hash>"),
)


def steady(text: str) -> str:
    """The text without what is another on another machine or day.

    - Floats of more than nine digits: rounded to nine, as the last ones depend on the order in which a CPU adds.
    - Times, the platform, the command, the commit and the versions in what is recorded of how a file was made.
    - Sizes and hashes of images that were written: they depend on the version of zlib.
    - Losses, accuracies and hashes of weights of networks that were trained, and differences from rounding.
    """
    for pattern, replacement in TOLD:
        text = pattern.sub(replacement, text)
    return FLOAT.sub(_rounded, text)


def _rounded(found: re.Match[str]) -> str:
    number = found.group()
    if len(re.sub(r"e.*|\D", "", number).lstrip("0")) <= 9:
        return number
    return f"{float(number) if abs(float(number)) > 1e-12 else 0.0:.9g}"
