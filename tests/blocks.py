"""Blocks of code in the pages, a folder of tiny data in which they run, and what cannot run here, with the reason."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from ppbench.models.card import METADATA_KEY, Card
from ppbench.models.checkpoint import save_checkpoint
from ppbench.models.embedded import embedded_path
from ppbench.models.resnet import create_model
from tests.models.hugging_face import save_clip, save_resnet
from tests.models.onnx_networks import write_linear
from tests.models.test_checkpoint import authors_checkpoint
from tests.shards import write_parquet, write_webdataset
from tests.streams.calibrations import write_falling
from tests.trees import class_names, photographs, write_class_folders, write_fashion_mnist

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "runs"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

PROGRAMS = ("ppbench", "torchrun", "uv", "pip", "python", "sh", "apt-get", "srun")


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: str
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(page.name, language, text) for language, text in BLOCK.findall(page.read_text())]


def command_lines(page: Path) -> Iterator[str]:
    """Lines of ``ppbench`` in blocks without a language, without prompt and comment; alternatives one by one."""
    for block in blocks_of(page):
        if block.language:
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*|\s+>.*|;.*", "", line.strip().removeprefix("$ "))
            if not command.startswith("ppbench "):
                continue
            command = re.sub(r"\s+", " ", command).strip()
            if "|" in command:
                start, _, names = command.rpartition(" ")
                yield from (f"{start} {name}" for name in names.split("|"))
            elif "[" in command:
                yield re.sub(r" \[.*\]", "", command)
                yield re.sub(r"[\[\]]", "", command)
            else:
                yield command


WEIGHTS = "needs published weights, which are downloaded"
IMAGENET = "needs ImageNet or a set made from it"
GONE_ON = "goes on from a block that cannot run here"

NOT_RUN = {
    "ppbench [a-z]+ .*torchvision:": WEIGHTS,
    r"ppbench .*--data (DIR|IMAGENET|MINE)\b(?!.*--dry-run)": IMAGENET,
    r"ppbench .* … ?": "shows options only, with other words left out",
    "ppbench .*--data CIFAR-10-C/": "needs CIFAR-10-C; tests/data/test_cifar_c.py reads small ones",
    "ppbench eval --predictions": IMAGENET,
    "ppbench train .*--epochs 30": "30 epochs; the quickstart's training is run",
    "ppbench reproduce --table fashion-mnist": "16 trainings; tests/cli/test_reproduce.py runs smaller tables",
    "ppbench inspect reproduce-fashion-mnist": GONE_ON,
    r"ppbench compare cpu\.json gpu\.json": GONE_ON,
    "ppbench inspect fashion-mnist-resnet8-pp3 --against": "tests/cli/test_inspect.py runs it as it is written",
    r"ppbench eval --model hf:\w+/": "needs weights of the hub; tests/models/test_from_hf.py loads small networks",
    r"ppbench eval .*--dataset hf:": "downloads images; tests/data/test_hub.py reads small ones",
    r"ppbench eval --model examples\.lite0:network --data photos": "takes minutes; tests/test_examples.py loads it",
    r"ppbench export net\.safetensors --pixels": "tests/models/test_export.py exports this form",
    "ppbench [a-z]+ .*lite0": "a network of full size; tests/test_examples.py loads it, and smaller ones go this way",
    "ppbench doctor": "tests the whole installation; tests/cli/test_doctor.py runs it",
}
"""Command lines that are not run, by a pattern of what they start with. Their options are checked all the same."""

PYTHON_NOT_RUN = {
    ("coming-from.md", "robustbench"): "robustbench is not installed, and would load weights",
    ("evaluation.md", "torch.jit.load"): "needs a network of TorchScript",
    (
        "stochastic.md",
        "import vonenet",
    ): "its package cannot be had here; tests/models/test_rivals.py loads a network like it",
    (
        "stochastic.md",
        "import evnet",
    ): "its package cannot be had here; tests/models/test_rivals.py loads a network like it",
    ("training.md", "paper-cifar10-30"): "trains for 30 epochs on CIFAR-10",
}
"""Python blocks that are only compiled, by page and a word in them."""


VARIABLES = {
    "$A": "runs/fashion-mnist-resnet8--fashion-mnist-2k.json",
    "$B": "runs/fashion-mnist-resnet8-pp3--fashion-mnist-2k.json",
    "$speed": "20",
    "$seed": "43",
    "streams/*.json": "streams/fashion-mnist-resnet8--fashion-mnist-2k--ccc-easy-20-43.json",
}
"""What a page's shell variables and patterns stand for."""


def reason_not_to_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, command)), None)


def shortened(command: str) -> list[str]:
    """The arguments of a command on less data: one forward pass of images, few draws, otherwise as written."""
    images = 1 if "-2k-p" in command else 4  # a sequence of one image has 31 frames
    command = re.sub(r"--limit \d+", f"--limit {images}", command)
    command = re.sub(r"--draws \d+", "--draws 16", command)
    command = command.replace("/usr/share/datasets/", "")
    for name, run in VARIABLES.items():
        command = command.replace(name, run)
    arguments = shlex.split(command)[1:]
    if arguments[0] == "train":
        arguments += ["--epochs", "1"]
    of_folder = "imagefolder" in arguments or "--labels" in arguments
    if arguments[0] == "eval" and "--limit" not in arguments and not of_folder:
        arguments += ["--limit", str(images)]
    if arguments[0] == "eval" and of_folder:
        arguments += ["-c", "fog", "-s", "1", "--force"]  # a network that was not trained
    if arguments[0] == "inspect":
        arguments += ["--draws", "16"] if "--draws" not in arguments else []
    return arguments


def copy_run(name: str, to: Path) -> None:
    """A golden run, and beside it the files that it names."""
    to.parent.mkdir(exist_ok=True)
    shutil.copy(GOLDEN / f"{name}.json", to)
    for beside in GOLDEN.glob(f"{name}.*.npy*"):
        shutil.copy(beside, to.parent / beside.name)


RUNS = {
    "runs/fashion-mnist-resnet8--fashion-mnist-2k.json": "plain",
    "runs/fashion-mnist-resnet8-pp3--fashion-mnist-2k.json": "pp3",
    "run.json": "plain",
}


COMPARABLE = ("old", "like", "worse")
"""Golden runs of one protocol, for names that a page makes up; the second passes a check against the first."""


def provide_runs(text: str, folder: Path) -> None:
    """Put a run in the place of each name of a run file that is read and is not there."""
    read = re.sub(r"(-o|--output|--update-baseline|--profile) \S+|output=\S+", "", text)
    absent = [name for name in re.findall(r"[\w/-]+\.json", read) if not (folder / name).exists()]
    for name, golden in zip(dict.fromkeys(absent), COMPARABLE, strict=False):
        copy_run(golden, folder / name)


def make_workspace(folder: Path) -> None:
    """What the blocks of all pages name: runs, photographs, checkpoints."""
    write_falling(folder / "calibration.csv")
    for to, name in RUNS.items():
        copy_run(name, folder / to)
    shutil.copy(GOLDEN / "plain.bits.npy", folder / "run.bits.npy")
    shutil.copytree(ROOT / "tests" / "runs", folder / "tests" / "runs")
    shutil.copy(GOLDEN / "accuracies.csv", folder / "accuracies.csv")
    write_class_folders(folder / "photos", per_class=1, size=40)
    for name, wnid in zip(class_names(2), ("n01440764", "n01443537"), strict=True):
        (folder / "photos" / name).rename(folder / "photos" / wnid)
    torch.save(torchvision.models.resnet18().state_dict(), folder / "net.pth")
    write_class_folders(folder / "val", per_class=1, size=40)
    write_parquet(folder / "photos", folder / "parquet")
    write_webdataset(folder / "photos", folder / "tars")
    Image.fromarray(photographs(40, 1)[0]).save(folder / "photos" / "cat.jpg")
    Image.fromarray(photographs(40, 1)[0]).save(folder / "photo.jpg")
    names = sorted(path.relative_to(folder / "photos") for path in (folder / "photos").glob("*/*.png"))
    (folder / "labels.csv").write_text("".join(f"{name},{name.parent}\n" for name in names))
    np.save(folder / "cifar10.npy", np.stack(photographs(32, 4)))
    shutil.copy(embedded_path("fashion-mnist-resnet8"), folder / "net.safetensors")
    torch.save(torchvision.models.resnet18(num_classes=10).state_dict(), folder / "mine.pth")
    network = create_model("resnet18-pp3", num_classes=10)
    theirs = {"fc.": "classifier.", "bn1.": "bn.", "conv1.weight": "conv1.push_conv.weight"}
    state = dict(network.state_dict())
    for ours, name in theirs.items():
        state = {name + key[len(ours) :] if key.startswith(ours) else key: value for key, value in state.items()}
    for name in ("net.ckpt", "last.ckpt"):
        authors_checkpoint(folder / name, state)
    card = Card(architecture="linear", num_classes=10, in_channels=1, input_size=28, mean=(0.5,), std=(0.5,))
    write_linear(folder / "net.onnx", metadata={METADATA_KEY: card.model_dump_json(exclude_none=True)})
    write_fashion_mnist(folder / "fashion-mnist", 16, 8)
    for page in PAGES:
        for block in blocks_of(page):
            if file := re.match(r"# (\w+\.py)\n", block.text):  # a block that is a file of the user's
                (folder / file[1]).write_text(block.text)


def make_small_network(path: Path) -> None:
    """A checkpoint for photographs of two classes, for the page that evaluates a folder."""
    torch.manual_seed(0)
    save_checkpoint(path, create_model("resnet8", num_classes=2), Card.cifar10("resnet8", 2))


def make_library_models(folder: Path) -> None:
    """Folders as transformers and open_clip write them, and the texts of a zero-shot model."""
    save_resnet(folder / "resnet-50", pytest.importorskip("transformers"), num_labels=2)
    save_clip(folder / "my-clip", pytest.importorskip("open_clip"))
    (folder / "names.txt").write_text("n01440764\ta tench\nn01443537\ta goldfish\n")
    (folder / "templates.txt").write_text("a photo of a {}.\na blurry photo of a {}.\n")
