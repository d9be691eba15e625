"""Pairing two runs over all their images, or over the images that both saw, which are found by their keys."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from ppbench.compare.comparability import (
    IDS,
    NEEDED_TO_PAIR,
    NEVER_ALLOWED,
    ON_THE_SAME_IMAGES,
    check_allowed,
    differing,
    prompts_remark,
    require_comparable,
)
from ppbench.compare.measured import ComparedRun, vary_together
from ppbench.lookup import counted
from ppbench.metrics.intervals import Interval
from ppbench.metrics.per_image import FEWEST, SharedImages, shared_images
from ppbench.run import Stopping
from ppbench.tables.numbers import points


class Pair(NamedTuple):
    """Two runs of the same images, in the same order."""

    reference: ComparedRun
    other: ComparedRun
    allowed: tuple[str, ...]
    """Allowed differences between the protocols, in words."""
    remarks: tuple[str, ...]
    """That the images are only a part of a run's or share draws, that a run stopped early, or that prompts differ."""


def pair(reference: ComparedRun, other: ComparedRun, allow: Collection[str] = (), said: Collection[str] = ()) -> Pair:
    """Check that two runs were measured in the same way, and reduce them to the images that both saw if allowed.

    They are reduced if one of them stopped early by its own rule and all its images are among the other's, or if
    ``ids`` may differ. `require_comparable` checks everything else.

    Args:
        reference: The run that differences start from.
        other: The run that is compared with it.
        allow: Protocol fields that may differ, and ``ids``.
        said: Fields that may differ too, because the result says so.

    Raises:
        UsageError: If a field cannot be allowed.
        NotComparableError: If they differ in another field, or share fewer than 2 images. The message says how many.
    """
    check_allowed(allow)
    fields = [field for field in allow if field != IDS]
    names = (reference.name, other.name)
    if not set(NEEDED_TO_PAIR) & set(differing(reference.run.protocol, other.run.protocol)):
        allowed = require_comparable(reference.run.protocol, other.run.protocol, names, fields, said=said)
        remarks = [*_remarks(reference, other), *_stopped_remarks(reference, other)]
        return Pair(reference, other, tuple(allowed), tuple(remarks))
    shared = shared_images(reference.keys, other.keys)
    if shared is None or not _may_reduce(reference, other, shared, allow):
        hint = _hint(reference, other, shared, [*fields, *said])
        require_comparable(reference.run.protocol, other.run.protocol, names, fields, hint, said)
        raise RuntimeError("runs of other images were found comparable")
    first, second = _reduced(reference, other, shared)
    allowed = require_comparable(first.run.protocol, second.run.protocol, names, fields, said=said)
    sizes = f"{reference.run.protocol.n:,} and {other.run.protocol.n:,}"
    remark = f"paired over the {len(shared.one):,} images that both saw, of {sizes}"
    return Pair(first, second, tuple(allowed), (remark, *_remarks(first, second), *_stopped_remarks(reference, other)))


def _may_reduce(reference: ComparedRun, other: ComparedRun, shared: SharedImages, allow: Collection[str]) -> bool:
    """Whether to compare over the shared images: there are enough, and ``ids`` is allowed or a run stopped early."""
    n = len(shared.one)
    stopped_within = any(_stopping(run) is not None and run.run.protocol.n == n for run in (reference, other))
    return n >= FEWEST and (IDS in allow or stopped_within)


def _stopping(measured: ComparedRun) -> Stopping | None:
    """How a run stopped before its last image; None if it did not."""
    stopping = measured.run.stopping
    return stopping if stopping is not None and stopping.reached else None


def _reduced(reference: ComparedRun, other: ComparedRun, shared: SharedImages) -> tuple[ComparedRun, ComparedRun]:
    """Reduce both to the shared images."""
    n = len(shared.one)
    whole = [run.run.protocol.ids_sha256 for run in (reference, other) if run.run.protocol.n == n]
    # Only the keys of the shared images are known, not their ids. If they are all of one run, its hash is theirs.
    keys = np.zeros(0, "<u8") if reference.keys is None else reference.keys[shared.one].astype("<u8")
    # min: the same choice whichever run comes first.
    name = min(whole) if whole else hashlib.sha256(keys.tobytes()).hexdigest()
    return reference.of_images(shared.one, name), other.of_images(shared.other, name)


def _hint(reference: ComparedRun, other: ComparedRun, shared: SharedImages | None, allowed: Collection[str]) -> str:
    """The hint for runs of other images."""
    if shared is None:
        bare = " and ".join(run.name for run in (reference, other) if run.keys is None)
        return (
            f"{ON_THE_SAME_IMAGES} What both saw could be compared, but {bare} was written without its images' "
            "keys: evaluate it again."
        )
    n = len(shared.one)
    if n < FEWEST:
        few = f"They share {counted(n, 'image')}, but comparing them takes at least {FEWEST}. {ON_THE_SAME_IMAGES}"
        if reference.run.protocol.sequences and other.run.protocol.sequences:
            return f"{few} (Ids of sequences had the files' endings in earlier versions: evaluate such a run again.)"
        return few
    refused = [field for field in differing(reference.run.protocol, other.run.protocol) if field not in allowed]
    if set(refused) & set(NEVER_ALLOWED):
        return ON_THE_SAME_IMAGES
    options = [IDS, *(field for field in refused if field not in NEEDED_TO_PAIR)]
    option = " ".join(f"--allow {field}" for field in options)
    return f"{ON_THE_SAME_IMAGES} Or compare them over the {n:,} images that both saw: `{option}`."


def _remarks(reference: ComparedRun, other: ComparedRun) -> list[str]:
    """Remarks on prompts, and on what intervals are about where images share draws."""
    prompts = prompts_remark(reference.run.protocol, other.run.protocol, (reference.name, other.name))
    shared = [run.name for run in (reference, other) if run.run.model.shared_draws]
    about = (
        "the intervals and p-values are about other images, not about other passes"
        if vary_together(reference, other) is None
        else "the variance between passes is added, and the intervals and p-values are about other images and other "
        "passes"
    )
    passes = [f"all images of a pass share a draw of {' and '.join(shared)}, so {about}"] * bool(shared)
    return [*([] if prompts is None else [prompts]), *passes]


def _stopped_remarks(reference: ComparedRun, other: ComparedRun) -> list[str]:
    """Remarks on early stopping, which makes intervals for a fixed number of images too narrow."""
    pairs = ((reference, other), (other, reference))
    return [_stopped_remark(run, how, than) for run, than in pairs if (how := _stopping(run)) is not None]


def _stopped_remark(measured: ComparedRun, stopping: Stopping, than: ComparedRun) -> str:
    words = (
        f"{measured.name} stopped early by looking at its results ({stopping.wanted}, after "
        f"{measured.run.protocol.n:,} images), but the intervals and p-values here assume a number of images that was "
        "fixed in advance, so they look more certain than they are"
    )
    if not than.run.model.has_weights_of(stopping.baseline):
        return words
    lasting = points(Interval(stopping.value, stopping.low, stopping.high), stopping.confidence, 2)
    return f"{words}. Valid at every look: {stopping.metric}: {lasting}"
