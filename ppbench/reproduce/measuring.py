"""Evaluate the networks of a table together, so that each image is corrupted once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from ppbench.errors import PpbenchError
from ppbench.evaluation.identity import Identity, identify
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import EvalPlan, prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.settings import Advanced
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.load import LoadedModel
from ppbench.reproduce.figures import SeedRun
from ppbench.reproduce.networks import TrainedRow
from ppbench.run import MeasuredRun, read_bits, read_run, trials_if_any

EvaluationProgress = Callable[[int], AbstractContextManager[Advanced]]
"""Opens a progress display, given the number of evaluations of an image."""


def evaluate_networks(
    networks: Sequence[TrainedRow],
    optional: Sequence[TrainedRow],
    request: EvalRequest,
    folder: Path,
    *,
    say: Callable[[str], None],
    progress: EvaluationProgress,
) -> dict[str, SeedRun]:
    """Measure networks whose checkpoints exist, and read what was measured before.

    Args:
        networks: Networks to measure.
        optional: Networks that are used only if they were measured before, as another process may be working on them.
        request: The evaluation; models and output are set here.
        folder: Folder of the run files, and of the journals of interrupted evaluations.
        say: Receives messages.
        progress: Shows the progress of the evaluation.

    Returns:
        The runs by the networks' names.

    Raises:
        UsageError: If a value of the request is not allowed, or another process is writing to the same place.
        DataError: If a checkpoint or the images are missing or do not fit.
        KeyboardInterrupt: On Ctrl-C; finished work is kept.
    """
    models = tuple(LoadedModel(network.name, *load_checkpoint(network.path)) for network in (*networks, *optional))
    plan = prepare(replace(request, models=models, output=folder))
    found: dict[str, SeedRun] = {}
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


def _measured_before(folder: Path, network: TrainedRow, identity: Identity) -> SeedRun | None:
    """The complete run of these weights on these images, if there is one."""
    for path in sorted(folder.glob(f"{network.name}--*.json")):
        # Files that cannot be read are no runs of this table; they are left alone.
        with suppress(PpbenchError):
            run = read_run(path)
            if (
                run.status == "complete"
                and run.protocol == identity.protocol
                and run.model.has_weights_of(identity.model.weights_sha256)
            ):
                return SeedRun(network.seed, MeasuredRun(run, read_bits(path, run), trials=trials_if_any(path, run)))
    return None


def _measure(
    networks: Sequence[TrainedRow], plan: EvalPlan, say: Callable[[str], None], progress: EvaluationProgress
) -> dict[str, SeedRun]:
    with progress(len(networks) * len(plan.cells) * len(plan.source.ids)) as advance:
        evaluated = measure(plan, say=say, advance=advance)
    if (reason := evaluated.stopped_by or evaluated.unreadable) is not None:
        raise reason
    return {
        network.name: SeedRun(network.seed, measured)
        for network, measured in zip(networks, evaluated.runs, strict=True)
    }
