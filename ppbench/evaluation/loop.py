"""An evaluation from its plan to its result, and its loop: every image of every cell through every model, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from ppbench.devices import full_precision
from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.evaluation.adaptation import compute_adapted
from ppbench.evaluation.collector import Collector, Sender
from ppbench.evaluation.compiling import compiled_corruptions, with_graphs
from ppbench.evaluation.feed import (
    ImageBlock,
    Missing,
    block_size,
    evenly_spread,
    plan_blocks,
    plan_chunks,
    share,
    still_wanted,
)
from ppbench.evaluation.identity import Identity, identify
from ppbench.evaluation.in_stream import compute_in_stream
from ppbench.evaluation.inference import SMALL_SIDE, Inference
from ppbench.evaluation.journal import Journal
from ppbench.evaluation.labels import GivenLabels, PredictedLabels
from ppbench.evaluation.passes import PassKeys, RepeatedInference
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.processes import LostProcessError, Processes
from ppbench.evaluation.result import EvalResult
from ppbench.evaluation.run_files import claimed_outputs, results, save
from ppbench.evaluation.sanity import PROBE, doubtful, mildest
from ppbench.evaluation.sequences import compute_sequences
from ppbench.evaluation.settings import Advanced, Settings
from ppbench.evaluation.stopping import CHUNK
from ppbench.evaluation.tally import Scored
from ppbench.evaluation.work import Work


def measure(
    plan: EvalPlan,
    *,
    say: Callable[[str], None] = lambda line: None,
    advance: Advanced = lambda cell, images: None,
    processes: Processes | None = None,
) -> EvalResult:
    """Run a planned evaluation and write its run files.

    Args:
        plan: Models, images and settings.
        say: Called with lines for people: what is measured, what is used again and what is written.
        advance: Called with progress.
        processes: Processes that share the work; None: this one alone.

    Raises:
        UsageError: If another process is writing to the same place.
        DataError: If nothing can be written there.
    """
    processes = processes or Processes()
    plan = with_graphs(plan, processes, say)
    identities = _with_draws(plan, [identify(subject, plan.source, plan.settings) for subject in plan.subjects])
    _check_identities(identities, processes)
    _announce(plan, identities, say)
    _prepare_rule(plan, identities, say)
    with claimed_outputs(plan, identities, processes, say) as outputs:
        started = datetime.now(UTC)
        scored = run(plan, advance, [output.journal for output in outputs], processes, say)
        if not processes.is_first:
            return EvalResult.of([], scored, len(plan.source.ids), plan.remedy)
        runs = results(identities, scored, plan.source, plan.settings, started, processes.size)
        if outputs:
            runs = [save(output, run, say) for output, run in zip(outputs, runs, strict=True)]
    for identity, tally in zip(identities, scored.tallies, strict=True):
        if (
            scored.stopped_by is None
            and plan.source.stream is None
            and (doubt := doubtful(tally, plan.source.num_classes))
        ):
            say(f"warning: {identity.model.name} {doubt}")
    return EvalResult.of(runs, scored, len(plan.source.ids), plan.remedy)


def _with_draws(plan: EvalPlan, identities: list[Identity]) -> list[Identity]:
    """Record of which networks all images of a pass share random numbers.

    It is found out before, because an evaluation that goes on with a whole journal calls no network.
    """
    if plan.settings.request.passes is None:
        return identities
    shared = [network.shares_draws() for network in _repeated(plan, lambda line: None)]
    return [
        identity._replace(model=identity.model.model_copy(update={"shared_draws": True})) if one else identity
        for identity, one in zip(identities, shared, strict=True)
    ]


def _prepare_rule(plan: EvalPlan, identities: Sequence[Identity], say: Callable[[str], None]) -> None:
    """Let a stopping rule know of which networks all images of a pass share random numbers, and say what that means."""
    passes, shared = plan.settings.request.passes, [identity.model.shared_draws is True for identity in identities]
    if plan.rule is None or passes is None:
        return
    if passes > 1:
        plan.rule.share_draws(shared)
    names = " and ".join(identity.model.name for identity, one in zip(identities, shared, strict=True) if one)
    if names and passes > 1:
        say(f"all images of a pass share a draw of {names}: the interval is about other passes than these {passes} too")
    elif names:
        say(f"all images share a draw of {names}, and one pass says nothing of others: the interval is about this one")


def _check_identities(identities: Sequence[Identity], processes: Processes) -> None:
    """Refuse a model that is given twice, and processes that have different files."""
    known = [identity.model for identity in identities if identity.unknown is None]
    if len({(model.name, model.weights_sha256) for model in known}) < len(known):
        raise UsageError("the same model is given twice", "Give each once: `--model`.")
    # A different file on one machine would mix two measurements in one run.
    if any(other != identities for other in processes.gather(identities)):
        raise DataError(
            "the processes see different weights or images", "Give all machines the same files, at the same paths."
        )


def _announce(plan: EvalPlan, identities: Sequence[Identity], say: Callable[[str], None]) -> None:
    """Say what will be measured."""
    for subject, identity in zip(plan.subjects, identities, strict=True):
        say(plan.describe(subject, identity))
        if identity.unknown is not None:
            say(
                f"{subject.name}: its weights are unknown ({identity.unknown}), so an interrupted evaluation starts "
                "from the beginning; `--weights-file FILE` names the file that holds them"
            )
    for note in plan.source.notes:
        say(note)


def run(
    plan: EvalPlan,
    advance: Advanced = lambda cell, images: None,
    journals: Sequence[Journal] = (),
    processes: Processes | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Scored:
    """Measure all models on the same images; every image is loaded and corrupted once for all of them.

    Models are put into eval mode and moved to the device. What the journals hold is not computed again. An image that
    cannot be read in one cell is left out of all cells, so that every cell has the same images. Ctrl-C, or logits that
    are not finite, end the evaluation early. The finished cells are kept.

    Args:
        plan: Models, images and settings.
        advance: Called with progress.
        journals: One per model, to which finished pieces are written; empty: no journals.
        processes: Processes that share the work; None: this one alone.
        say: Called with lines for people: whether the clean images are kept on the GPU, and where the trace is.
    """
    processes = processes or Processes()
    keeper = Collector(plan, processes, advance, journals) if processes.is_first else Sender(plan, processes)
    work = Work(plan, keeper, processes, say)
    clock = time.perf_counter()
    making = compiled_corruptions(plan.settings, plan.source)
    with full_precision(), making, _threads_to_spare(plan.settings, plan.source.size):
        stopped_by = _run(plan, work)
    seconds = round(time.perf_counter() - clock, 3)
    work.trace.finish(say)
    return keeper.scored(stopped_by, seconds)


def _run(plan: EvalPlan, work: Work) -> KeyboardInterrupt | PpbenchError | None:
    """Compute all that is missing; return what kept it from finishing, if anything did."""
    keeper = work.keeper
    try:
        try:
            _compute(plan, work)
        except LostProcessError:
            raise
        except PpbenchError as reason:
            keeper.end_with(reason)
            _keep_what_is_scored(work)
        except Exception as reason:
            keeper.give_up(reason)
            raise
        keeper.finish()
    except (KeyboardInterrupt, LostProcessError) as reason:  # do not wait for the other processes
        with suppress(LostProcessError):
            work.processes.stop()
        _keep_what_is_scored(work)
        return reason
    return keeper.error


def _compute(plan: EvalPlan, work: Work) -> None:
    """Put this process's share of the missing images through all networks."""
    keeper, processes = work.keeper, work.processes
    if plan.adaptation is not None or plan.sequences is not None:
        networks = _networks(plan, work)
        if plan.adaptation is not None and plan.source.stream is not None:
            compute_in_stream(plan, plan.adaptation, networks, work)
        elif plan.adaptation is not None:
            compute_adapted(plan, plan.adaptation, networks, work)
        elif plan.sequences is not None:
            compute_sequences(plan, plan.sequences, networks, work)
        _warn_of_draws(networks, work)
        return
    # An image that any model lacks goes through all that lack it, so that it is loaded and corrupted once.
    missing = share(~np.logical_and.reduce(keeper.done), processes.rank, processes.size)
    if not missing.any():
        return
    networks, device = _networks(plan, work), plan.settings.device
    # Each frame of a stream is used once.
    work.keep_clean(int(missing.any(0).sum()) if plan.source.stream is None else 0)
    labels = (
        GivenLabels(plan.source.labels, device)
        if keeper.predicted is None
        else PredictedLabels(keeper.predicted, device)
    )
    with torch.inference_mode():
        for batch in work.feed.batches(_blocks(plan, missing)):
            for subject, network in enumerate(networks):
                wanted = still_wanted(batch, keeper.done[subject][plan.cells.index(batch.cell)])
                wanted &= labels.are_known(subject, batch)
                if wanted.any():
                    scores = network.score(batch.images, labels.of(subject, batch), batch.places)
                    labels.learn(subject, batch, wanted, scores)
                    work.arrivals.put(subject, batch.cell, batch.places, wanted, scores)
            _warn_of_draws(networks, work)
            work.fetch_if_due()
            if processes.is_stopped():
                break
        work.fetch(last=True)


def _keep_what_is_scored(work: Work) -> None:
    """After an error or Ctrl-C, count the scores that are on their way, unless they are what failed."""
    try:
        work.fetch(last=True)
    except LostProcessError:
        pass  # nothing more can be sent; the caller already ends with this error or with Ctrl-C
    except PpbenchError as reason:
        work.keeper.end_with(reason)


def _blocks(plan: EvalPlan, missing: Missing) -> list[ImageBlock]:
    """Divide all that is missing into blocks, in the order of computation.

    With a stopping rule, images come in their random order with all their cells. Otherwise some images of the mildest
    cell come first: they show early whether labels and preprocessing are right.
    """
    size = block_size(plan.settings, plan.source)
    if plan.rule is not None:
        return plan_chunks(missing, size, plan.rule.chunks)
    if plan.source.stream is not None:
        return plan_blocks(missing, size, image_major=True)
    first = np.zeros_like(missing)
    first[plan.cells.index(mildest(plan.cells))] = evenly_spread(missing.shape[1], PROBE)
    return plan_blocks(missing, size, image_major=plan.source.image_major, first=first)


def _networks(plan: EvalPlan, work: Work) -> list[Inference]:
    """Move the models to the device.

    On a GPU, whose memory is limited, the user chooses the number of images per forward pass. On a CPU it is fixed.
    """
    if plan.settings.request.passes is not None:
        return [*_repeated(plan, work.say)]
    how = _how(plan)
    return [
        Inference(subject, plan.settings.device, compiled=plan.settings.request.compiled, **how)
        for subject in plan.subjects
    ]


def _repeated(plan: EvalPlan, say: Callable[[str], None]) -> list[RepeatedInference]:
    """Move networks that are computed in several passes to the device."""
    passes, keys = plan.settings.request.passes or 1, PassKeys(plan.settings.request.seed, plan.source.ids)
    how = _how(plan)
    return [RepeatedInference(subject, plan.settings.device, passes, keys, say, **how) for subject in plan.subjects]


def _how(plan: EvalPlan) -> dict[str, Any]:
    """Return the precision, size and batch of all networks."""
    settings, request = plan.settings, plan.settings.request
    batch = request.batch_size or (None if plan.rule is None else CHUNK)
    return {
        "precision": request.precision, "resize": request.resize,
        "batch": batch if settings.device.type == "cuda" else None,
    }  # fmt: skip


def _warn_of_draws(networks: Sequence[Inference], work: Work) -> None:
    """Say once which networks draw random numbers, after their first batch."""
    for network in networks:
        if network.draws:
            network.draws = False
            work.say(
                f"warning: {network.subject.name} draws random numbers as it classifies: its results depend on the "
                "order of the images, and another evaluation gives others. `--passes 10` keys the draws by image, and "
                "measures their spread"
            )


@contextmanager
def _threads_to_spare(settings: Settings, size: int) -> Iterator[None]:
    """Leave cores to the workers while they are needed.

    Reading small images costs as much as classifying them, and OpenMP's threads, which spin while they wait, would take
    the workers' time: 32 s instead of 26 s for the embedded run with 250 images on 2 cores.
    """
    before = torch.get_num_threads()
    if size <= SMALL_SIDE and settings.workers > 0 and settings.device.type == "cpu":
        torch.set_num_threads(max(1, before - settings.workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)
