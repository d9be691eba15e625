"""What reproducing a table will take: network by network, with hours. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ppbench.data.catalog import DATASETS
from ppbench.errors import PpbenchError
from ppbench.reproduce.cost import JSD_VIEWS, TRAINING_OVER_FORWARD, Hours, Machine, Work, hours
from ppbench.reproduce.networks import Network
from ppbench.reproduce.tables import Table
from ppbench.run import read_run
from ppbench.tables.escapes import to_json
from ppbench.tables.sheet import MISSING, Line, Sheet
from ppbench.vocabulary import SEVERITIES, expand_corruptions

DEVICES = (1, 8)


class Step(NamedTuple):
    """One network."""

    network: Network
    evaluated: bool
    """Whether there is a complete run of it."""
    hours: Hours
    """Of what is still to be done."""


class Plan(NamedTuple):
    """All of them."""

    table: Table
    steps: tuple[Step, ...]
    machine: Machine


def make_plan(table: Table, networks: Sequence[Network], limit: int | None, runs: Path, machine: Machine) -> Plan:
    """Reckon up what is still to be done.

    Args:
        table: Which.
        networks: Of it.
        limit: Images to evaluate; None: all.
        runs: Folder of the run files.
        machine: What does it.
    """
    return Plan(table, tuple(_step(table, network, limit, runs, machine) for network in networks), machine)


def sheet(plan: Plan) -> Sheet:
    """The plan as a table with its sum."""
    device = plan.machine.device
    several = () if plan.machine.eight is None else (f"hours to train, {DEVICES[1]} {device}s",)
    header = ("network", "model, augmentation", "to do", "epochs", f"hours to train, 1 {device}", *several)
    header = (*header, f"hours to evaluate, 1 {device}")
    lines = [Line((step.network.name, *_words(step), *_shown(_all(step)))) for step in plan.steps]
    lines.append(Line(("sum", "", "", "", *_shown(_sums(plan))), "total"))
    return Sheet(f"{plan.table.title}: what is to be done", header, tuple(lines), (0, 1, 2), tuple(_notes(plan)))


def as_json(plan: Plan) -> str:
    """The plan for programs; hours on one and on eight devices, null where they are not known."""
    steps = [
        {
            "network": step.network.name,
            "row": step.network.row.id,
            "seed": step.network.seed,
            "checkpoint": str(step.network.path),
            "training": step.network.action,
            "differences": None if step.network.given is None else list(step.network.given.differences),
            "evaluation": "take" if step.evaluated else "evaluate",
            "recipe": step.network.recipe.model_dump(mode="json"),
            "training_hours": list(step.hours.training),
            "evaluation_hours": list(step.hours.evaluation),
        }
        for step in plan.steps
    ]
    content = {
        "table": plan.table.name,
        "machine": plan.machine._asdict(),
        "devices": DEVICES,
        "networks": steps,
        "sum_hours": dict(zip(_SUMMED, _sums(plan), strict=True)),
        "training_8_apart_hours": hours_apart(plan),
    }
    return to_json(content)


def hours_apart(plan: Plan) -> float | None:
    """Hours of training with one network at a time on each of the eight devices; None: not known.

    The longest are begun first: what it takes is at most 4/3 of the best (Graham, SIAM J. Appl. Math. 17, 1969).
    """
    if plan.machine.eight is None:
        return None
    ends = [0.0] * DEVICES[1]
    for one in sorted((step.hours.training[0] or 0 for step in plan.steps), reverse=True):
        ends[0] += one
        ends.sort()
    return ends[-1]


_SUMMED = ("training_1", "training_8", "evaluation_1", "evaluation_8")


def _step(table: Table, network: Network, limit: int | None, runs: Path, machine: Machine) -> Step:
    evaluated = network.card is not None and _has_run(runs, network, table.evaluation.dataset)
    of = table.evaluation
    names = DATASETS[of.dataset].corruptions if of.corruptions is None else expand_corruptions(of.corruptions)
    images = min(of.images, limit or of.limit or of.images)
    work = Work(
        model=network.row.model,
        size=table.training.size,
        in_channels=1 if "grey" in DATASETS[of.dataset].size else 3,
        epochs=0 if network.action == "take" else network.recipe.epochs,
        training_images=round(table.training.images * network.recipe.fraction),
        views=JSD_VIEWS if network.recipe.jsd else 1,
        evaluated=0 if evaluated else images * (1 + len(names) * len(SEVERITIES)),
    )
    return Step(network, evaluated, hours(work, machine))


def _has_run(runs: Path, network: Network, dataset: str) -> bool:
    """Whether there seems to be a complete run of the checkpoint; its weights are looked at when it is used."""
    for path in sorted(runs.glob(f"{network.name}--*.json")):
        with suppress(PpbenchError):
            run = read_run(path)
            if run.status == "complete" and run.protocol.dataset == dataset and run.model.card == network.card:
                return True
    return False


def _words(step: Step) -> tuple[str, ...]:
    network = step.network
    evaluation = "" if step.evaluated else "evaluate"
    training = "resume" if network.action == "resume" else "train" if network.action == "train" else "take"
    todo = ", ".join(filter(None, (training, evaluation)))
    parts = (network.row.model, network.row.augment, "JSD" if network.row.jsd else None)
    return ", ".join(filter(None, parts)), todo, "" if training == "take" else str(network.recipe.epochs)


def _all(step: Step) -> tuple[float | None, ...]:
    return (*step.hours.training, *step.hours.evaluation)


def _shown(values: Sequence[float | None]) -> list[str]:
    """Training on one device and, if known, on eight; evaluation on one, which is all that `ppbench reproduce` uses."""
    return [_hours(values[0]), *([] if values[1] is None else [_hours(values[1])]), _hours(values[2])]


def _sums(plan: Plan) -> list[float | None]:
    """By `_SUMMED`."""
    return [_sum(column) for column in zip(*map(_all, plan.steps), strict=True)]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _hours(value: float | None) -> str:
    if value is None:
        return MISSING
    if 0 < value < 0.005:
        return "< 0.01"
    return "0" if value == 0 else f"{value:.{2 if value < 1 else 1 if value < 10 else 0}f}"


def _notes(plan: Plan) -> Iterator[str]:
    machine = plan.machine
    apart, together = hours_apart(plan), _sums(plan)[1]
    if apart is not None and together:
        yield (
            f"Training on {DEVICES[1]} {machine.device}s: {_hours(together)} hours with all of them on one network "
            f"after the other (ppbench train --devices {DEVICES[1]}); {_hours(apart)} hours with a network on each (a "
            "ppbench reproduce for each row). docs/reproduce.md has the commands."
        )
    eight = "" if machine.eight is None else f", {machine.eight:,.0f} on eight"
    yield (
        f"Hours on {machine.description}: {machine.model} at {machine.size} px trains at "
        f"{machine.one:,.0f} images/s on one{eight} ({machine.source})."
    )
    yield (
        "Other networks by their multiply-accumulates; evaluation has forward passes only, a training step "
        f"{TRAINING_OVER_FORWARD} of them. Reading, augmenting and corrupting images are taken to keep up, and batches "
        "to be large; evaluation is in fp32, which is slower than TF32. Give what you measured with "
        "--images-per-second."
    )
    for step in plan.steps:
        if step.network.given is not None:
            yield f"{step.network.name}: {step.network.given.words}."
    begun = [step.network.name for step in plan.steps if step.network.action == "resume"]
    if begun:
        yield f"Begun, and counted whole: {', '.join(begun)}."
