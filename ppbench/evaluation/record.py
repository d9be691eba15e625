"""Records of what was measured: identity and key, protocol, provenance, run."""

from __future__ import annotations

import copy
import hashlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ppbench.data.source import Source, ids_hash
from ppbench.devices import describe_device
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.subject import Subject
from ppbench.evaluation.tally import Scored, Tally
from ppbench.models.own_state import LIBRARIES
from ppbench.models.trial import count_classes
from ppbench.models.weights import WeightsIdentity, has_own_code, identify_weights
from ppbench.run import (
    CellCounts,
    ClassSubset,
    MeasuredRun,
    ModelRecord,
    Protocol,
    Provenance,
    Run,
    Stopping,
    image_keys,
)
from ppbench.versions import versions_of
from ppbench.vocabulary import Cell


class Identity(NamedTuple):
    """The identity of a measurement, known before it begins."""

    model: ModelRecord
    protocol: Protocol
    fingerprint: str = ""
    """Fingerprint of the images, whichever cells are wanted."""
    class_names: str = ""
    """SHA-256 of the names of the images' classes, in order."""
    code: str = ""
    """SHA-256 of the user's own code in the network; empty if there is none."""
    values: str = ""
    """SHA-256 of the plain values that this code holds, such as a factor; empty if there is none."""
    unknown: str | None = None
    """Why it is not known which weights the model has; None if it is."""
    competing: int | None = None
    """Outputs that an image's prediction is chosen from; None if that is not known."""

    def key(self, settings: Settings) -> dict[str, Any]:
        """All that distinguishes its results from another measurement's, by name; the wanted cells do not."""
        left_out = {"corruptions", "severities", "normalizer", "total", "fingerprint", "unreadable"}
        return {
            "weights": self.model.weights_sha256,
            "card": self.model.card,
            **self.protocol.model_dump(mode="json", exclude=left_out),
            "fingerprint": self.fingerprint,
            "class_names": self.class_names,
            "code": self.code,
            **({"values": self.values} if self.values else {}),
            "device": settings.device.type,
            "compiled": settings.request.compiled,
            **versions_of("torch", "torchvision", "pillow"),
        }


def identify(subject: Subject, source: Source, settings: Settings) -> Identity:
    """Identify what will be measured."""
    head, card = subject.head, subject.card
    weights = _weights(subject, settings)
    model = ModelRecord(
        name=subject.name,
        weights_sha256=weights.sha256,
        parameters=sum(p.numel() for p in subject.model.parameters()),
        card=card.model_dump(mode="json", exclude_none=True),
    )
    measured = protocol(source, settings, preprocessing(subject, source, settings), head.subset)
    names, code = ids_hash(source.class_names), code_hash(subject.model)
    fingerprint = source.fingerprint()
    return Identity(model, measured, fingerprint, names, code, weights.values, weights.unknown, head.competing)


def _weights(subject: Subject, settings: Settings) -> WeightsIdentity:
    """Identify the weights of a model. They are unknown if its own code changes them when it is called."""
    weights = identify_weights(subject.model, settings.request.weights_files)
    if settings.request.weights_files or weights.sha256 is None or not has_own_code(subject.model):
        return weights
    if (unknown := _why_unsteady(subject)) is None:
        return weights
    return weights._replace(sha256=None, unknown=unknown)


def _why_unsteady(subject: Subject) -> str | None:
    """Why a call may change a network; None if it does not. The test calls a copy."""
    try:
        trial = copy.deepcopy(subject.model).cpu()
    except Exception:  # the user's classes may refuse in any way
        return "its state cannot be copied, to see whether it changes"
    found = []
    for _ in range(2):  # the first call may create state lazily, which is not a change
        count_classes(subject.name, trial, subject.card.in_channels, subject.card.input_size)
        found.append(identify_weights(trial))
    return None if found[0] == found[1] else "its state changes when it is called"


def protocol(
    source: Source, settings: Settings, entering: str, classes: ClassSubset | None, precision: str | None = None
) -> Protocol:
    """All that must be equal for two runs to be comparable.

    Args:
        source: The images.
        settings: How they are evaluated.
        entering: Preprocessing in words.
        classes: The classes that compete.
        precision: Precision of the model; None: that of the settings.
    """
    return Protocol(
        dataset=source.dataset,
        fingerprint=fingerprint_of(source, settings.cells_of(source)),
        source=source.kind,
        recipe=source.recipe,
        engine=source.engine,
        seed=settings.request.seed,
        corruptions=tuple(settings.corruptions),
        severities=tuple(settings.severities),
        n=len(source.ids),
        total=source.total,
        ids_sha256=ids_hash(source.ids),
        preprocessing=entering,
        precision=precision or settings.request.precision,  # type: ignore[arg-type]
        normalizer=settings.normalizer,
        classes=classes,
    )


def fingerprint_of(source: Source, cells: Sequence[Cell]) -> str:
    """SHA-256 of the set of images, and of a sample of the pixels of cells that are read as published."""
    content = source.content(cells)
    whole = source.fingerprint()
    return hashlib.sha256(f"{whole} {content}".encode()).hexdigest() if content else whole


def code_hash(model: nn.Module) -> str:
    """SHA-256 of the source files of the network's classes, without libraries; empty if there are none."""
    modules = {type(module).__module__ for module in model.modules()}
    own = sorted(name for name in modules if name.partition(".")[0] not in LIBRARIES)
    paths = [getattr(sys.modules.get(name), "__file__", None) for name in own]
    texts = [Path(path).read_bytes() for path in paths if path is not None and Path(path).is_file()]
    return hashlib.sha256(b"\n".join(texts)).hexdigest() if texts else ""


def preprocessing(subject: Subject, source: Source, settings: Settings) -> str:
    """Describe, for people and for the protocol, how images are cut and how they enter the network."""
    card, resize = subject.card, settings.request.resize
    resized = f", then resize {resize} ({card.interpolation}), crop {card.input_size}" if resize else ""
    return f"{source.cut}{resized}{card.normalization()}"


def results(
    identities: list[Identity], scored: Scored, source: Source, settings: Settings, started: datetime, processes: int
) -> list[MeasuredRun]:
    """Make the runs, with their finished cells."""
    provenance = Provenance(
        command=settings.request.command or shlex.join(sys.argv),
        git_commit=_git_commit(),
        versions=versions_of("python", "ppbench", "torch", "torchvision", "numpy", "pillow", "imagecorruptions-imaug"),
        platform=platform.platform(),
        device=describe_device(settings.device),
        started=started.astimezone(UTC).isoformat(timespec="seconds"),
        seconds=scored.seconds,
        processes=processes,
        compiled=settings.request.compiled,
    )
    stoppings: Sequence[Stopping | None] = scored.stoppings or [None] * len(identities)
    ids = source.ids
    if scored.images is not None and scored.images.any():
        ids = [name for name, is_in in zip(source.ids, scored.images, strict=True) if is_in]
        unreadable = tuple(source.ids[place] for place in sorted({broken.place for broken in scored.unreadable}))
        identities = [_narrowed(identity, ids, unreadable) for identity in identities]
    keys = image_keys(ids)
    return [
        _result(identity, tally, keys, provenance, stopping)
        for identity, tally, stopping in zip(identities, scored.tallies, stoppings, strict=True)
    ]


def _narrowed(identity: Identity, ids: Sequence[str], unreadable: tuple[str, ...]) -> Identity:
    """Restrict an identity to some of the images."""
    update = {"n": len(ids), "ids_sha256": ids_hash(ids), "unreadable": unreadable or None}
    protocol = identity.protocol.model_copy(update=update)
    return identity._replace(protocol=protocol)


def _result(
    identity: Identity,
    tally: Tally,
    keys: NDArray[np.uint64] | None,
    provenance: Provenance,
    stopping: Stopping | None,
) -> MeasuredRun:
    finished = tally.finished()
    status: Literal["complete", "interrupted"] = "complete" if len(finished) == len(tally.cells) else "interrupted"
    run = Run(
        status=status,
        model=identity.model,
        protocol=identity.protocol,
        cells=tuple(_cell(tally.cell(cell), identity.competing) for cell in finished),
        stopping=stopping,
        provenance=provenance,
    )
    return MeasuredRun(run, {cell: tally.bits(cell) for cell in finished}, keys)


def _cell(counts: CellCounts, competing: int | None) -> CellCounts:
    """Drop the top-5 count of five outputs or fewer: every label is among them."""
    says_nothing = competing is not None and competing <= 5
    return counts.model_copy(update={"top5": None}) if says_nothing else counts


def _git_commit() -> str | None:
    """Return the commit of the working directory, marked if tracked files differ from it."""
    try:
        ask = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
