"""What evaluation costs beside the network's own forward passes, and against the usual loop; paired in one run.

Run it on a quiet machine: ``python tests/bench/bench_eval.py``; on a GPU ``--device cuda``. The sides of a comparison
take turns in one process, after a pass to warm up; each pass starts from files and ends with the run file and its bits
written, worker processes included. Ratios are medians over the rounds, with the lowest and the highest.

- ``on the fly``: ResNet-50, 224 px, clean photographs in class folders, 15 corruptions and clean, against forward
  passes of the same model on as many images that lie in memory as float32, in the faster of the two layouts. Goal: at
  most 1.08 (CPU); at least 0.9 of the rate (GPU, bf16).
- ``arrays``: resnet20 on CIFAR-10-C's arrays, the same. Goal: at most 1.05.
- ``usual loop``: DataLoader, Pillow, NCHW, float32, one decoding per cell, the package imagecorruptions, against
  ppbench on the same folder. Goal: at least 1.5 times as long. ``published``: the same on a tree of corrupted JPEGs.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Dataset

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import ppbench  # noqa: E402
from ppbench.devices import computing, full_precision  # noqa: E402
from ppbench.evaluation.inference import keep_freed_memory  # noqa: E402
from ppbench.evaluation.loop import measure  # noqa: E402
from ppbench.evaluation.plan import prepare  # noqa: E402
from ppbench.evaluation.request import EvalRequest  # noqa: E402
from ppbench.models.card import CIFAR_MEAN, CIFAR_STD, IMAGENET_MEAN, IMAGENET_STD, Card  # noqa: E402
from ppbench.models.load import LoadedModel  # noqa: E402
from ppbench.models.resnet import create_model  # noqa: E402
from ppbench.vocabulary import C15  # noqa: E402
from tests.bench import record  # noqa: E402

ALL_IMAGES = 50_000 * 75
"""Corrupted images of ImageNet-C."""


def resnet50() -> LoadedModel:
    """With random weights: they cost as much as trained ones."""
    torch.manual_seed(0)
    card = Card(
        architecture="resnet50", num_classes=1000, input_size=224, resize=256, mean=IMAGENET_MEAN, std=IMAGENET_STD
    )
    return LoadedModel("resnet50", create_model("resnet50").eval(), card)


def resnet20() -> LoadedModel:
    torch.manual_seed(0)
    card = Card(architecture="resnet20", num_classes=10, input_size=32, mean=CIFAR_MEAN, std=CIFAR_STD)
    return LoadedModel("resnet20", create_model("resnet20", 10).eval(), card)


def write_photographs(root: Path, count: int) -> Path:
    """``count`` JPEGs of about ImageNet's size in class folders named by WordNet ids."""
    import skimage.data
    from PIL import Image

    from ppbench.evaluation.subject import imagenet_classes

    names = ("astronaut", "chelsea", "coffee", "rocket")
    for number in range(count):
        whole = Image.fromarray(getattr(skimage.data, names[number % 4])()).convert("RGB")
        start = 3 * (number // 4 % 20)
        cut = whole.crop((start, start, start + 400, start + 280)).resize((500, 350))
        path = root / imagenet_classes()[number % 1000] / f"{number:05}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        cut.save(path, quality=92)
    return root


def write_cifar_c(root: Path, images: int, corruptions: tuple[str, ...]) -> Path:
    """Arrays of real photographs, as CIFAR-10-C has them."""
    from tests.trees import photographs

    root.mkdir()
    clean = np.stack([photographs(32, 64)[number % 64] for number in range(64)])
    clean = np.resize(clean, (images, 32, 32, 3))
    for corruption in corruptions:
        cells = [ppbench.corrupt(clean, corruption, severity, recipe="cifar-c") for severity in range(1, 6)]
        np.save(root / f"{corruption}.npy", np.concatenate(cells))
    np.save(root / "labels.npy", np.tile(np.arange(images) % 10, 5))
    return root


def seconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turn(works: dict[str, Callable[[], object]], rounds: int, device: str) -> dict[str, list[float]]:
    """Seconds of each work in each round, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        order = list(works) if turn % 2 else list(reversed(works))
        for name in order:
            taken = seconds(works[name], device)
            if turn:
                times[name].append(taken)
    return times


def ours(subject: LoadedModel, request: EvalRequest, target: Path) -> None:
    """The whole of ``ppbench eval`` but the start of Python and the tables."""
    stopped_by = measure(
        prepare(replace(request, models=(subject,), output=target / "run.json", overwrite=True))
    ).stopped_by
    assert stopped_by is None, stopped_by


def forward(model: nn.Module, batches: list[torch.Tensor], precision: str, device: str) -> None:
    """Nothing but the network, on data that lies in memory as it takes it."""
    with torch.inference_mode(), full_precision(), computing(precision, torch.device(device)):
        for batch in batches:
            model(batch)


def forwards(
    subject: LoadedModel, images: int, size: int, options: argparse.Namespace
) -> dict[str, Callable[[], object]]:
    """The pure forward passes in both layouts, each with its own copy of the network."""
    batch = options.batch or ((256 if options.device == "cuda" else 16) if size > 64 else 64)
    works: dict[str, Callable[[], object]] = {}
    for name, layout in (("channels_last", torch.channels_last), ("NCHW", torch.contiguous_format)):
        model = create_model(subject.card.architecture, subject.card.num_classes).eval()
        model.load_state_dict(subject.model.state_dict())
        model = model.to(options.device, memory_format=layout)  # type: ignore[call-overload]
        one = torch.randn(batch, 3, size, size, device=options.device).contiguous(memory_format=layout)
        full, rest = divmod(images, batch)
        batches = [one] * full + ([one[:rest]] if rest else [])
        works[name] = partial(forward, model, batches, options.precision, options.device)
    return works


ROWS: list[dict[str, Any]] = []
"""Comparisons so far, for the record."""


LABELS = {
    "on the fly": "clean and 15 corruptions, made on the fly / forward passes alone, of float32 in memory",
    "arrays": "CIFAR-10-C's arrays, `resnet20` / forward passes alone",
    "usual loop": "the usual loop (DataLoader with 2 workers, Pillow, NCHW, the package imagecorruptions, one decoding "
    "per cell) / ppbench, the same folder",
    "published": "the usual loop / ppbench, a published tree of JPEGs (only forward passes and decoding differ)",
}
"""What the record calls each comparison."""


def report(name: str, times: dict[str, list[float]], images: int, goal: str, base: str | None = None) -> None:
    """One comparison: ppbench over the faster layout, or ``base`` over ppbench."""
    medians = {side: statistics.median(values) for side, values in times.items()}
    top, bottom = ("ppbench", min((s for s in times if s != "ppbench"), key=medians.__getitem__))
    if base is not None:
        top, bottom = base, "ppbench"
    ratios = [a / b for a, b in zip(times[top], times[bottom], strict=True)]
    rates = ", ".join(f"{side} {images / value:,.1f} images/s" for side, value in medians.items())
    print(
        f"{name:<12} {top}/{bottom} {statistics.median(ratios):.3f} "
        f"[{min(ratios):.3f}, {max(ratios):.3f}] (goal {goal}); {rates}",
        flush=True,
    )
    other = bottom if base is None else base
    sides = {
        key: record.figure([images / seconds for seconds in times[side]])
        for key, side in (("ours", "ppbench"), ("other", other))
    }
    label = f"{LABELS[name]}: {images:,} images"
    ROWS.append({"name": label, "ratio": record.figure(ratios), **sides, "goal": record.wanted("ratio", goal)})


class UsualDataset(Dataset[Any]):
    """One cell, as it is usually written."""

    def __init__(self, root: Path, cell: tuple[str, int] | None) -> None:
        self.files = sorted(root.rglob("*.JPEG"))
        names = sorted({path.parent.name for path in self.files})
        self.labels = [names.index(path.parent.name) for path in self.files]
        self.cell = cell
        transforms = torchvision.transforms
        cut = [transforms.Resize(256), transforms.CenterCrop(224)] if cell else []
        self.cut = transforms.Compose(cut)
        self.enter = transforms.Compose([transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        image = self.cut(Image.open(self.files[place]).convert("RGB"))
        if self.cell and self.cell[1]:
            from imagecorruptions import corrupt

            corruption, severity = self.cell
            image = Image.fromarray(corrupt(np.asarray(image), corruption_name=corruption, severity=severity))
        return self.enter(image), self.labels[place]


def usual_loop(model: nn.Module, folders: list[tuple[Path, tuple[str, int] | None]], batch: int, workers: int) -> None:
    """One cell after the other, each with its own DataLoader."""
    for folder, cell in folders:
        right = 0
        with torch.no_grad():
            for images, labels in DataLoader(UsualDataset(folder, cell), batch, num_workers=workers):
                right += int((model(images).argmax(1) == labels).sum())


def write_published(clean: Path, root: Path, cells: list[tuple[str, int]]) -> Path:
    """The cells of a folder as JPEGs of quality 85."""
    from ppbench.copies.api import corrupt_folder

    names, severities = sorted({c for c, _ in cells}), sorted({str(s) for _, s in cells})
    corrupt_folder(clean, root, corruptions=names, severities=severities, size=224, format="jpeg")
    return root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=None, help="photographs (32 on a CPU, 2048 on a GPU)")
    parser.add_argument("--batch", type=int, default=None, help="images per forward pass (default: ppbench's)")
    parser.add_argument("--precision", default=None, help="fp32 on a CPU, bf16 on a GPU")
    parser.add_argument("--only", default=None, help="on-the-fly, arrays, usual or published")
    record.add_json_option(parser)
    options = parser.parse_args()
    gpu = options.device == "cuda"
    options.precision = options.precision or ("bf16" if gpu else "fp32")
    images = options.images or (2048 if gpu else 32)
    keep_freed_memory()
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}")
    where = torch.cuda.get_device_name() if gpu else f"{platform.machine()}, {torch.get_num_threads()} threads"
    print(f"{where}, {options.precision}, {options.rounds} rounds")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.only in (None, "on-the-fly"):
            on_the_fly(folder, images, options)
        if options.only in (None, "arrays"):
            arrays(folder, options)
        if options.only in (None, "usual") and not gpu:
            usual(folder, images, options)
        if options.only in (None, "published") and not gpu:
            published(folder, images, options)
    columns = [record.column("ratio", "ratio", 3)]
    columns += [record.column(key, name, 1, "images/s") for key, name in (("ours", "ppbench"), ("other", "other side"))]
    photographs = f"ResNet-50 at 224 px with random weights, {images} photographs of 500 x 350 px, severity 3"
    settings = f"{options.device}, {options.precision}; {photographs}"
    record.save(options.json, __file__, settings, columns, ROWS, n=options.rounds, first_column="comparison")


def request_for(options: argparse.Namespace, dataset: str, data: Path, **more: Any) -> EvalRequest:
    return EvalRequest(
        dataset=dataset, data=data, device=options.device, precision=options.precision, batch_size=options.batch,
        workers=None, force=True, **more,
    )  # fmt: skip


def on_the_fly(folder: Path, images: int, options: argparse.Namespace) -> None:
    photographs = write_photographs(folder / "val", images)
    subject = resnet50()
    severities = ["1-5"] if options.device == "cuda" else ["3"]
    cells = 1 + 15 * (5 if options.device == "cuda" else 1)
    request = request_for(options, "imagenet-c", photographs, severities=severities)
    works = {"ppbench": partial(ours, subject, request, folder), **forwards(subject, images * cells, 224, options)}
    times = in_turn(works, options.rounds, options.device)
    report("on the fly", times, images * cells, "<= 1.08; GPU <= 1.11")
    rate = images * cells / statistics.median(times["ppbench"])
    print(f"{'':12} all {ALL_IMAGES:,} images of ImageNet-C: {ALL_IMAGES / rate / 60:,.1f} minutes at this rate")


def arrays(folder: Path, options: argparse.Namespace) -> None:
    images, corruptions = (10_000, C15[:4]) if options.device == "cuda" else (10_000, C15[:1])
    data = write_cifar_c(folder / "cifar", images, corruptions)
    subject = resnet20()
    request = request_for(options, "cifar10-c", data, corruptions=list(corruptions))
    number = images * 5 * len(corruptions)
    works = {"ppbench": partial(ours, subject, request, folder), **forwards(subject, number, 32, options)}
    report("arrays", in_turn(works, options.rounds, options.device), number, "<= 1.05")


def usual(folder: Path, images: int, options: argparse.Namespace) -> None:
    photographs = write_photographs(folder / "usual", images)
    subject = resnet50()
    plain = create_model("resnet50").eval()
    cells = [("clean", 0), *((name, 3) for name in C15)]
    request = request_for(options, "imagenet-c", photographs, severities=["3"])
    loop = partial(usual_loop, plain, [(photographs, cell) for cell in cells], 32, 2)
    times = in_turn({"ppbench": partial(ours, subject, request, folder), "usual": loop}, options.rounds, "cpu")
    report("usual loop", times, images * len(cells), ">= 1.5", base="usual")


def published(folder: Path, images: int, options: argparse.Namespace) -> None:
    cells = [(name, 3) for name in C15]
    subject, plain = resnet50(), create_model("resnet50").eval()
    tree = write_published(write_photographs(folder / "clean", images), folder / "published", cells)
    request = request_for(options, "imagenet-c", tree, severities=["3"])
    loop = partial(usual_loop, plain, [(tree / name / "3", None) for name, _ in cells], 32, 2)
    times = in_turn({"ppbench": partial(ours, subject, request, folder), "usual": loop}, options.rounds, "cpu")
    report("published", times, images * 15, "none", base="usual")


if __name__ == "__main__":
    main()
