"""Evaluates the networks of a table together, so that each image is corrupted once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ppbench.errors import PpbenchError
from ppbench.evaluation.api import measure
from ppbench.evaluation.plan import EvalPlan, prepare
from ppbench.evaluation.record import Identity, identify
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.settings import Advanced
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.per_image import PerImage
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.load import LoadedModel
from ppbench.reproduce.figures import Measured
from ppbench.reproduce.networks import Network
from ppbench.run import Run, read_bits, read_run

Say = Callable[[str], None]
Progress = Callable[[int], AbstractContextManager[Advanced]]
"""From the number of evaluations of an image to what is told of them."""


def evaluate_networks(
    networks: Sequence[Network],
    optional: Sequence[Network],
    request: EvalRequest,
    folder: Path,
    *,
    say: Say,
    progress: Progress,
) -> dict[str, Measured]:
    """Measure networks whose checkpoints are there, and read what was measured before; by the networks' names.

    Args:
        networks: To be measured.
        optional: Taken only if they have been measured: another process may be at them.
        request: What they are measured on.
        folder: Of the run files; what an interrupted evaluation had finished is in its journals there.
        say: Told what is measured.
        progress: Shows how the evaluation goes on.

    Raises:
        UsageError: If a value of the request is not allowed, or another process is writing to the same place.
        DataError: If a checkpoint or the images are missing or do not fit.
        KeyboardInterrupt: On Ctrl-C; what is finished is kept.
    """
    models = tuple(LoadedModel(network.name, *load_checkpoint(network.path)) for network in (*networks, *optional))
    plan = prepare(replace(request, models=models, output=folder))
    found: dict[str, Measured] = {}
    for network, subject in zip((*networks, *optional), plan.subjects, strict=True):
        identity = identify(subject, plan.source, plan.settings)
        if (known := _measured_before(folder, network, identity)) is not None:
            found[network.name] = known
    missing = [network for network in networks if network.name not in found]
    if found:
        say(f"measured before: {', '.join(found)}")
    if missing:
        wanted = {network.name for network in missing}
        rest = replace(plan, subjects=[subject for subject in plan.subjects if subject.name in wanted])
        found |= _measure(missing, rest, say, progress)
    return found


def _measured_before(folder: Path, network: Network, identity: Identity) -> Measured | None:
    """The complete run of these weights on these images, if there is one."""
    for path in sorted(folder.glob(f"{network.name}--*.json")):
        with suppress(PpbenchError):
            run = read_run(path)
            if run.status == "complete" and _is_of(run, identity):
                return as_measured(network, run, read_bits(path, run))
    return None


def _is_of(run: Run, identity: Identity) -> bool:
    return run.protocol == identity.protocol and run.model.has_weights_of(identity.model.weights_sha256)


def _measure(networks: Sequence[Network], plan: EvalPlan, say: Say, progress: Progress) -> dict[str, Measured]:
    with progress(len(networks) * len(plan.cells) * len(plan.source.ids)) as advance:
        evaluated = measure(plan, say=say, advance=advance)
    if (reason := evaluated.stopped_by or evaluated.unreadable) is not None:
        raise reason
    return {
        network.name: as_measured(network, result.run, result.bits)
        for network, result in zip(networks, evaluated.runs, strict=True)
    }


def as_measured(network: Network, run: Run, bits: Mapping[tuple[str, int], NDArray[np.bool_]]) -> Measured:
    """A run with what is computed from it."""
    return Measured(network.seed, run, CellErrors.from_run(run), PerImage.from_run(run, bits))
