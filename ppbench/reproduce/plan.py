"""What reproducing a table will take: network by network, with hours. Free of torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ppbench.data.catalog import DATASETS
from ppbench.errors import PpbenchError
from ppbench.report.sheets import MISSING, Line, Sheet
from ppbench.reproduce.cost import JSD_VIEWS, TRAINING_OVER_FORWARD, Hours, Machine, Work, hours
from ppbench.reproduce.networks import Network
from ppbench.reproduce.tables import Table
from ppbench.run import read_run
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
    header = ["network", "model", "augment", "to do", "epochs"]
    header += [f"{what}, {devices}" for what in ("training", "evaluation") for devices in DEVICES]
    lines = [Line((step.network.name, *_words(step), *map(_hours, _all(step)))) for step in plan.steps]
    lines.append(Line(("sum", "", "", "", "", *map(_hours, _sums(plan))), "total"))
    return Sheet(
        f"{plan.table.title}: what is to be done", tuple(header), tuple(lines), (0, 1, 2, 3), tuple(_notes(plan))
    )


def as_json(plan: Plan) -> str:
    """The plan for programs; hours on one and on eight devices, null where they are not known."""
    steps = [
        {
            "network": step.network.name,
            "row": step.network.row.id,
            "seed": step.network.seed,
            "checkpoint": str(step.network.path),
            "training": step.network.action,
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
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


_SUMMED = ("training_1", "training_8", "evaluation_1", "evaluation_8")


def _step(table: Table, network: Network, limit: int | None, runs: Path, machine: Machine) -> Step:
    evaluated = network.card is not None and _has_run(runs, network, table.evaluation.dataset)
    of = table.evaluation
    names = DATASETS.get(of.dataset).corruptions if of.corruptions is None else expand_corruptions(of.corruptions)
    images = min(of.images, limit or of.limit or of.images)
    work = Work(
        model=network.row.model,
        size=table.training.size,
        in_channels=1 if "grey" in DATASETS.get(of.dataset).size else 3,
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
    augment = (network.row.augment or "") + (" + JSD" if network.row.jsd else "")
    return network.row.model, augment, todo, "" if training == "take" else str(network.recipe.epochs)


def _all(step: Step) -> tuple[float | None, ...]:
    return (*step.hours.training, *step.hours.evaluation)


def _sums(plan: Plan) -> list[float | None]:
    """By `_SUMMED`."""
    return [_sum(column) for column in zip(*map(_all, plan.steps), strict=True)]


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _hours(value: float | None) -> str:
    if value is None:
        return MISSING
    return "0" if value == 0 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _notes(plan: Plan) -> Iterator[str]:
    machine = plan.machine
    eight = "" if machine.eight is None else f", {machine.eight:,.0f} on eight"
    yield (
        f"Hours on 1 and on 8 devices ({machine.description}): {machine.model} at {machine.size} px trains at "
        f"{machine.one:,.0f} images/s on one{eight} ({machine.source})."
    )
    yield (
        "Other networks by their multiply-accumulates; evaluation has forward passes only, a training step "
        f"{TRAINING_OVER_FORWARD} of them. Reading, augmenting and corrupting images are taken to keep up, and batches "
        "to be large; evaluation is in fp32, which is slower than TF32. Give what you measured with "
        "--images-per-second."
    )
    begun = [step.network.name for step in plan.steps if step.network.action == "resume"]
    if begun:
        yield f"Begun, and counted whole: {', '.join(begun)}."
