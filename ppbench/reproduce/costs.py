"""Estimate how long a table takes, network by network, from published throughputs. Free of torch.

A training step costs three forward passes (backward is twice forward: Kaplan et al., arXiv 2001.08361, section 2.1).
The images per second at which a machine trains one network therefore tell, by multiply-accumulates, how fast it trains
another one and how fast it evaluates. Images are assumed to be read and augmented as fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ppbench.data.catalog import DATASETS
from ppbench.errors import PpbenchError, UsageError
from ppbench.lookup import check_name
from ppbench.reproduce.macs import macs
from ppbench.reproduce.networks import TrainedRow
from ppbench.reproduce.plan import ReproducePlan
from ppbench.reproduce.table import Table
from ppbench.run import read_run
from ppbench.tables.report import Rows
from ppbench.tables.sheet import MISSING, Line, Sheet
from ppbench.vocabulary import SEVERITIES, expand_corruptions

DEVICES = (1, 8)
"""Numbers of devices for which there are estimates."""

TRAINING_OVER_FORWARD = 3
JSD_VIEWS = 3
"""Images per training image with the Jensen-Shannon loss: Hendrycks et al., AugMix, ICLR 2020."""

_NVIDIA = "README of NVIDIA/DeepLearningExamples, PyTorch ResNet50 v1.5, measured with the container 21.03"


class Machine(NamedTuple):
    """A machine, and how fast it trains a network whose cost is known."""

    name: str
    description: str
    model: str
    size: int
    """Side of the images, in pixels."""
    one: float
    """Images per second in training on one device."""
    eight: float | None
    """Images per second on eight devices; None: unknown."""
    source: str
    device: str = "GPU"
    """What one of its devices is called."""

    def seconds(self, forward_macs: float, devices: int) -> float | None:
        """Time to train at a cost of so many multiply-accumulates of forward passes; None: unknown."""
        images = self.one if devices == 1 else self.eight
        if images is None:
            return None
        # Images of 28 px are those of Fashion-MNIST, which are grey.
        channels = 1 if self.size == 28 else 3
        return forward_macs / (images * macs(self.model, self.size, in_channels=channels))


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("a100", "A100 80 GB, mixed precision", "resnet50", 224, 2470, 16621, _NVIDIA),
        Machine("a100-tf32", "A100 80 GB, TF32", "resnet50", 224, 938, 7248, _NVIDIA),
        Machine("v100", "V100 16 GB, mixed precision", "resnet50", 224, 1200, 8322, _NVIDIA),
        Machine("v100-fp32", "V100 16 GB, fp32", "resnet50", 224, 367, 2855, _NVIDIA),
        Machine(
            "cpu-core", "one core of a server CPU, fp32", "resnet8", 28, 1050, None,
            "`ppbench train --model resnet8` on one core, 57 s an epoch of 60,000 images of 28 px",
            "core",
        ),
    )
}  # fmt: skip
"""Machines by the name that ``--gpu`` takes."""

_SCALING = MACHINES["a100"].eight / MACHINES["a100"].one  # type: ignore[operator]
"""Speed-up of eight devices over one, for machines of which only one was measured: NVIDIA's figure."""


class Workload(NamedTuple):
    """The work that one network still needs."""

    model: str
    size: int
    """Side of the images, in pixels."""
    in_channels: int
    epochs: int
    """0 if the network is already trained."""
    training_images: int
    views: int
    """Images per training image: `JSD_VIEWS` with that loss, else 1."""
    evaluated: int
    """Images times cells."""


class Hours(NamedTuple):
    """Hours for one network, on one device and on eight (None: unknown)."""

    training: tuple[float | None, float | None]
    evaluation: tuple[float | None, float | None]


def choose_machine(name: str, images_per_second: float | None, model: str, size: int) -> Machine:
    """Return the machine for an estimate.

    Args:
        name: A name of `MACHINES`.
        images_per_second: Speed at which one device trains ``model`` on images of ``size``; None: the machine's figure.
        model: Name of a network.
        size: Side of the images, in pixels.

    Raises:
        UsageError: If there is no such machine, or the throughput is not above 0.
    """
    check_name("machine", name, MACHINES, "ppbench reproduce --help")
    if images_per_second is None:
        return MACHINES[name]
    if not 0 < images_per_second < float("inf"):
        raise UsageError(
            f"--images-per-second {images_per_second:g} is not allowed", f"It is the speed at which {model} trains."
        )
    one, eight = images_per_second, images_per_second * _SCALING
    return Machine("given", f"{model} at {one:g} images/s", model, size, one, eight, "--images-per-second")


def hours(work: Workload, machine: Machine) -> Hours:
    """Estimate the hours that the work takes."""
    forward = macs(work.model, work.size, in_channels=work.in_channels)
    trained = forward * work.epochs * work.training_images * work.views
    evaluated = forward * work.evaluated / TRAINING_OVER_FORWARD
    return Hours(_both(machine, trained), _both(machine, evaluated))


def _both(machine: Machine, forward_macs: float) -> tuple[float | None, float | None]:
    one, eight = (machine.seconds(forward_macs, devices) for devices in (1, 8))
    return (None if one is None else one / 3600, None if eight is None else eight / 3600)


class Step(NamedTuple):
    """One network, and the work that it still needs."""

    network: TrainedRow
    evaluated: bool
    """Whether there is a complete run of it."""
    hours: Hours
    """Hours of the work that is left."""

    @property
    def all_hours(self) -> tuple[float | None, ...]:
        """Training on one device and on eight, evaluation on one and on eight."""
        return (*self.hours.training, *self.hours.evaluation)


@dataclass(frozen=True)
class WorkLeft:
    """The work that reproducing a table still takes, network by network."""

    table: Table
    steps: tuple[Step, ...]
    machine: Machine

    def sheets(self) -> list[Sheet]:
        """One table: a line per network, and their sum."""
        device = self.machine.device
        several = () if self.machine.eight is None else (f"hours to train, {DEVICES[1]} {device}s",)
        header = ("network", "model, augmentation", "to do", "epochs", f"hours to train, 1 {device}", *several)
        header = (*header, f"hours to evaluate, 1 {device}")
        lines = [Line((step.network.name, *_words(step), *_shown(step.all_hours))) for step in self.steps]
        lines.append(Line(("sum", "", "", "", *_shown(self.sums())), "total"))
        title = f"{self.table.title}: the work that is left"
        return [Sheet(title, header, tuple(lines), (0, 1, 2), tuple(_notes(self)))]

    def as_dict(self) -> dict[str, Any]:
        """Hours on one and on eight devices; null if unknown."""
        return {
            "table": self.table.name,
            "machine": self.machine._asdict(),
            "devices": DEVICES,
            "networks": [_step_dict(step) for step in self.steps],
            "sum_hours": dict(
                zip(("training_1", "training_8", "evaluation_1", "evaluation_8"), self.sums(), strict=True)
            ),
            "training_8_apart_hours": self.hours_apart(),
        }

    def rows(self) -> Rows:
        """The cells of the table."""
        (sheet,) = self.sheets()
        return Rows(sheet.header, (line.cells for line in sheet.lines))

    def sums(self) -> list[float | None]:
        """`Step.all_hours`, summed over networks; None if those of one network are unknown."""
        columns = zip(*(step.all_hours for step in self.steps), strict=True)
        # Some of the hours would look like all of them.
        return [None if None in column else sum(one for one in column if one is not None) for column in columns]

    def hours_apart(self) -> float | None:
        """Hours of training with one network at a time on each of the eight devices; None: unknown.

        The longest trainings start first, which takes at most 4/3 of the shortest possible time (Graham, SIAM J. Appl.
        Math. 17, 1969).
        """
        if self.machine.eight is None:
            return None
        ends = [0.0] * DEVICES[1]
        for one in sorted((step.hours.training[0] or 0 for step in self.steps), reverse=True):
            # To the device that is free first.
            ends[0] += one
            ends.sort()
        return ends[-1]


def estimate_work(plan: ReproducePlan, machine: Machine) -> WorkLeft:
    """Estimate the work that is left of a plan, on a machine."""
    request = plan.request
    steps = (_step(request.table, network, request.limit, request.runs, machine) for network in plan.networks)
    return WorkLeft(request.table, tuple(steps), machine)


def _step(table: Table, network: TrainedRow, limit: int | None, runs: Path, machine: Machine) -> Step:
    evaluated = network.card is not None and _has_run(runs, network, table.evaluation.dataset)
    of = table.evaluation
    names = DATASETS[of.dataset].corruptions if of.corruptions is None else expand_corruptions(of.corruptions)
    images = min(of.images, limit or of.limit or of.images)
    work = Workload(
        model=network.row.model,
        size=table.training.size,
        in_channels=1 if "grey" in DATASETS[of.dataset].size else 3,
        epochs=0 if network.action == "take" else network.recipe.epochs,
        training_images=round(table.training.images * network.recipe.fraction),
        views=JSD_VIEWS if network.recipe.jsd else 1,
        evaluated=0 if evaluated else images * (1 + len(names) * len(SEVERITIES)),
    )
    return Step(network, evaluated, hours(work, machine))


def _has_run(runs: Path, network: TrainedRow, dataset: str) -> bool:
    """Whether there seems to be a complete run of the checkpoint. Its weights are compared later, on use."""
    for path in sorted(runs.glob(f"{network.name}--*.json")):
        with suppress(PpbenchError):
            run = read_run(path)
            if run.status == "complete" and run.protocol.dataset == dataset and run.model.card == network.card:
                return True
    return False


def _step_dict(step: Step) -> dict[str, Any]:
    network = step.network
    return {
        "network": network.name,
        "row": network.row.id,
        "seed": network.seed,
        "checkpoint": str(network.path),
        "training": network.action,
        "differences": None if network.given is None else list(network.given.differences),
        "evaluation": "take" if step.evaluated else "evaluate",
        "recipe": network.recipe.model_dump(mode="json"),
        "training_hours": list(step.hours.training),
        "evaluation_hours": list(step.hours.evaluation),
    }


def _words(step: Step) -> tuple[str, ...]:
    network = step.network
    todo = network.action + ("" if step.evaluated else ", evaluate")
    parts = (network.row.model, network.row.augment, "JSD" if network.row.jsd else None)
    return ", ".join(filter(None, parts)), todo, "" if network.action == "take" else str(network.recipe.epochs)


def _shown(values: Sequence[float | None]) -> list[str]:
    """Hours to train on one device and, if known, on eight; to evaluate on one, as `ppbench reproduce` uses no more."""
    return [_hours(values[0]), *([] if values[1] is None else [_hours(values[1])]), _hours(values[2])]


def _hours(value: float | None) -> str:
    if value is None:
        return MISSING
    if 0 < value < 0.005:
        return "< 0.01"
    return "0" if value == 0 else f"{value:.{2 if value < 1 else 1 if value < 10 else 0}f}"


def _notes(work: WorkLeft) -> Iterator[str]:
    machine = work.machine
    apart, together = work.hours_apart(), work.sums()[1]
    if apart is not None and together:
        yield (
            f"Training on {DEVICES[1]} {machine.device}s: {_hours(together)} hours if all work on one network after "
            f"the other (ppbench train --devices {DEVICES[1]}), {_hours(apart)} hours with one network on each (one "
            "ppbench reproduce per row). docs/reproduce.md has the commands."
        )
    eight = "" if machine.eight is None else f", {machine.eight:,.0f} on eight"
    yield (
        f"Hours on {machine.description}: {machine.model} at {machine.size} px trains at "
        f"{machine.one:,.0f} images/s on one{eight} ({machine.source})."
    )
    yield (
        "The hours of other networks follow from their multiply-accumulates. A training step costs "
        f"{TRAINING_OVER_FORWARD} forward passes; evaluation has forward passes only, in fp32, which is slower than "
        "TF32. The estimate assumes large batches, and that images are read, augmented and corrupted as fast. "
        "--images-per-second takes your own measurement."
    )
    for step in work.steps:
        if step.network.given is not None:
            yield f"{step.network.name}: {step.network.given.words}."
    begun = [step.network.name for step in work.steps if step.network.action == "resume"]
    if begun:
        yield f"Begun, but counted in full: {', '.join(begun)}."
