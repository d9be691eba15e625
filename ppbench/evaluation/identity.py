"""The identity of a measurement, known before it begins: model, protocol, and the key of its journal."""

from __future__ import annotations

import copy
import hashlib
import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import nn

from ppbench.data.sequences import SequenceSource
from ppbench.data.source import Source, fingerprint_of, ids_hash
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.subject import Subject, output_names
from ppbench.models.float32_head import float32_classifier
from ppbench.models.foreign import ForeignNetwork
from ppbench.models.outside import asked_outside
from ppbench.models.own_state import LIBRARIES
from ppbench.models.trial import count_classes
from ppbench.models.weights import WeightsIdentity, code_modules, has_own_code, identify_weights
from ppbench.run import (
    ClassSubset,
    ModelRecord,
    Prompts,
    Protocol,
    Sequences,
)
from ppbench.streams.frames import StreamFrames
from ppbench.versions import versions_of
from ppbench.vocabulary import PREDICTED


class Identity(NamedTuple):
    """The identity of a measurement."""

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
    libraries: tuple[str, ...] = ()
    """Distributions besides torch's that have modules of the network, whose versions the run records."""
    drawn_from: str = ""
    """SHA-256 of the ids of the images that a stream draws its frames from: without one of them, frames of the same
    numbers are of other images. Empty if it is no stream."""
    outputs: tuple[str, ...] = ()
    """Names of the network's outputs if its clean predictions are the labels; empty if the images have labels."""

    def key(self, settings: Settings) -> dict[str, Any]:
        """All that distinguishes its results from another measurement's, by name; the wanted cells do not."""
        # What depends on the wanted cells is left out, so that an evaluation of more cells resumes. The fingerprint is
        # replaced by that of all images. Prompts are in the card and in the weights' hash.
        left_out = {
            "corruptions",
            "severities",
            "normalizer",
            "total",
            "fingerprint",
            "unreadable",
            "prompts",
            "sequences",
        }
        return {
            "weights": self.model.weights_sha256,
            "card": self.model.card,
            **self.protocol.model_dump(mode="json", exclude=left_out),
            "fingerprint": self.fingerprint,
            "class_names": self.class_names,
            "code": self.code,
            **({"values": self.values} if self.values else {}),
            **({"encoding": self.protocol.sequences.encoding} if self.protocol.sequences else {}),
            **({"images": self.drawn_from} if self.drawn_from else {}),
            # The user's own corruptions draw from numpy, whose generators may change with its version.
            **(versions_of("numpy") if self.protocol.own_corruptions else {}),
            **({"runtime": self.model.runtime} if self.model.runtime else {}),
            "device": settings.device.type,
            "compiled": settings.request.compiled,
            **({"compiled_corruptions": True} if settings.graphs else {}),
            **versions_of("torch", "torchvision", "pillow", *self.libraries),
        }


def identify(subject: Subject, source: Source, settings: Settings) -> Identity:
    """Identify what will be measured."""
    head, card = subject.head, subject.card
    weights = _weights(subject, settings)
    foreign = subject.model if isinstance(subject.model, ForeignNetwork) else None
    model = ModelRecord(
        name=subject.name,
        weights_sha256=weights.sha256,
        parameters=foreign.parameter_count if foreign else sum(p.numel() for p in subject.model.parameters()),
        card=card.model_dump(mode="json", exclude_none=True),
        runtime=foreign.runtime_on(settings.device) if foreign else None,
    )
    measured = protocol(source, settings, preprocessing(subject, source, settings), head.subset)
    own = {"prompts": Prompts.of_card(card.prompts), "head_precision": head_precision(subject, settings)}
    measured = measured.model_copy(update=own)
    names, code = ids_hash(source.class_names), code_hash(subject.model)
    fingerprint = source.fingerprint()
    outputs = output_names(card) if settings.are_predicted else ()
    return Identity(
        model, measured, fingerprint, names, code, weights.values, weights.unknown, head.competing,
        libraries_of(subject.model), source.drawn_from() if isinstance(source, StreamFrames) else "", outputs,
    )  # fmt: skip


def head_precision(subject: Subject, settings: Settings) -> Literal["fp32"] | None:
    """Precision of the network's classifier where it is not that of the other layers."""
    precision = settings.request.precision
    return "fp32" if float32_classifier(subject.model, subject.card.num_classes, precision) is not None else None


_DISTRIBUTIONS = {"open_clip": "open-clip-torch", "transformers": "transformers"}


def libraries_of(model: nn.Module) -> tuple[str, ...]:
    """Return the distributions of Hugging Face and open_clip that have modules of ``model``, sorted."""
    packages = {type(module).__module__.partition(".")[0] for module in model.modules()}
    return tuple(_DISTRIBUTIONS[package] for package in sorted(packages & _DISTRIBUTIONS.keys()))


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
    for _ in range(2):  # the first call may create state, or load it, which is not a change
        with asked_outside() as asked:
            count_classes(subject.name, trial, subject.card.in_channels, subject.card.input_size)
        found.append(identify_weights(trial))
    if found[0] != found[1]:
        return "its state changes when it is called"
    return f"{asked[0]} when it is called" if asked else None


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
        seed=settings.request.seed if source.made_seed is None else source.made_seed,
        corruptions=tuple(settings.corruptions),
        severities=tuple(settings.severities),
        n=len(source.ids),
        total=source.total,
        ids_sha256=ids_hash(source.ids),
        preprocessing=entering,
        precision=precision or settings.request.precision,  # type: ignore[arg-type]
        normalizer=settings.normalizer,
        classes=classes,
        own_corruptions={name: source.own[name] for name in settings.corruptions if name in source.own} or None,
        adaptation=settings.request.adaptation,
        labels=PREDICTED if settings.are_predicted else None,
        stream=source.stream,
        decoder="nvjpeg" if settings.request.decode == "cuda" else None,
        sequences=_sequences(source, settings) if isinstance(source, SequenceSource) else None,
        passes=settings.request.passes,
    )


def _sequences(source: SequenceSource, settings: Settings) -> Sequences:
    return Sequences(frames={name: source.frames_of(name) for name in settings.corruptions}, encoding=source.encoding)


def code_hash(model: nn.Module) -> str:
    """SHA-256 of the source files of the network's classes or function, without libraries; empty if none."""
    own = sorted(name for name in code_modules(model) if name.partition(".")[0] not in LIBRARIES)
    paths = [getattr(sys.modules.get(name), "__file__", None) for name in own]
    texts = [Path(path).read_bytes() for path in paths if path is not None and Path(path).is_file()]
    return hashlib.sha256(b"\n".join(texts)).hexdigest() if texts else ""


def preprocessing(subject: Subject, source: Source, settings: Settings) -> str:
    """Describe, for people and for the protocol, how images are cut and how they enter the network."""
    card, resize = subject.card, settings.request.resize
    resized = f", then resize {resize} ({card.interpolation}), crop {card.input_size}" if resize else ""
    return f"{source.cut}{resized}{card.normalization()}"
