"""From a request to a plan: models and images are opened and checked. Nothing is computed yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ppbench.corruptions.own import split_own
from ppbench.data.catalog import Dataset, dataset_of, default_corruptions
from ppbench.data.cut import describe_cut
from ppbench.data.opening import open_source
from ppbench.data.sequence_opening import open_sequences
from ppbench.data.sequences import SequenceSource
from ppbench.data.source import Geometry, Source
from ppbench.devices import check_precision, choose_device, describe_device
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.identity import Identity, head_precision, preprocessing
from ppbench.evaluation.nvjpeg import decoder_for
from ppbench.evaluation.opponent import Opponent
from ppbench.evaluation.profile import check_trace_file
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.stopping import DecidedAgainst, NarrowEnough, StoppingRule, metric_weights
from ppbench.evaluation.subject import Subject, fit, parse_classes
from ppbench.evaluation.zero_shot_classes import with_classes
from ppbench.files import read_text
from ppbench.launch import environment_number
from ppbench.lookup import counted
from ppbench.metrics.quantities import MEAN_ERROR
from ppbench.models.batch_norms import check_adaptable
from ppbench.models.foreign import check_foreign
from ppbench.models.load import LoadedModel, is_code, resolve_model
from ppbench.models.weights import hash_file
from ppbench.models.zero_shot import ZeroShot
from ppbench.pool import usable_cores
from ppbench.run import Adaptation
from ppbench.vocabulary import (
    C19,
    P4,
    P10,
    PREDICTED,
    Cell,
    expand_corruptions,
    expand_difficulties,
    expand_perturbations,
    expand_severities,
    in_order,
)

_T = TypeVar("_T")


@dataclass(frozen=True)
class EvalPlan:
    """What will be evaluated."""

    subjects: Sequence[Subject]
    source: Source
    settings: Settings
    rule: StoppingRule | None = None
    """When to stop early; None: never."""

    @property
    def adaptation(self) -> Adaptation | None:
        """How the networks are adapted to each cell; None: not at all."""
        return self.settings.request.adaptation

    @property
    def sequences(self) -> SequenceSource | None:
        """The source, if images are perturbation sequences; None: they are single images."""
        return self.source if isinstance(self.source, SequenceSource) else None

    @property
    def joint(self) -> int | None:
        """How many images that follow each other have results that depend on each other; None: each has its own."""
        if (adaptation := self.adaptation) is None:
            return None
        return adaptation.batch if adaptation.consecutive else len(self.source.ids)

    @property
    def remedy(self) -> str | None:
        """What to do about images that cannot be read; None: the usual, as each has a result of its own."""
        if self.source.stream is not None:
            return (
                "Replace their files: the same command then does only what is missing. Without one of its images it "
                "is another stream, which is measured from its beginning."
            )
        if self.adaptation is not None:
            return (
                "Replace them, or remove them from every cell. All images of a cell decide its statistics, so the same "
                "command then measures these cells again."
            )
        return None

    @property
    def cells(self) -> list[Cell]:
        """The cells of each subject, in order."""
        return self.settings.cells_of(self.source)

    @property
    def unit(self) -> str:
        """What an image is called: a stream has frames."""
        return "image" if self.source.stream is None else "frame"

    def describe(self, subject: Subject, identity: Identity) -> str:
        """One line for people: model, weights, images, corruptions, preprocessing, device."""
        source, settings = self.source, self.settings
        n, total, sha256 = len(source.ids), source.total, identity.model.weights_sha256
        weights = "weights not known" if sha256 is None else f"weights {sha256[:12]}"
        images = counted(total, self.unit) if n == total else f"{n:,} of {total:,} {self.unit}s"
        classes = subject.head.describe(source.num_classes, subject.card.num_classes)
        if self.sequences is not None:
            classes = f"without labels, {counted(subject.card.num_classes, 'output')}"
        cells = self._cells_in_words()
        made = "as published" if source.kind == "published" else f"made by {source.engine}, recipe {source.recipe}"
        made += "" if source.made_seed is None else ", in files"
        jpeg = ", saved as JPEG 85" if source.kind == "generated-jpeg85" else ""
        # The label of a stream's adaptation says that batches are adapted; there are no cells.
        to = " to each cell" if source.stream is None else ""
        adapted = "" if self.adaptation is None else f"{self.adaptation.label}{to} | "
        repeated = "" if settings.request.passes is None else f"{counted(settings.request.passes, 'pass', 'passes')} | "
        computing = describe_device(settings.device) + (", compiled" if settings.request.compiled else "")
        computing += f", {runtime}" if (runtime := identity.model.runtime) else ""
        how = f"{adapted}{repeated}{settings.request.precision}"
        return (
            f"{subject.name}: {subject.card.architecture}, {weights} | "
            f"{images} of {source.dataset}, {classes} | {cells}, {made}{jpeg} | "
            f"{preprocessing(subject, source, settings)} | {how} on {computing}"
        )

    def _cells_in_words(self) -> str:
        corruptions, severities = len(self.settings.corruptions), len(self.settings.severities)
        if self.source.stream is not None:
            return f"stream {self.source.stream}"
        if self.sequences is None:
            return f"{counted(corruptions, 'corruption')} x {counted(severities, 'severity', 'severities')}"
        return f"{counted(corruptions, 'perturbation')} x {counted(severities, 'difficulty', 'difficulties')}"


def prepare(request: EvalRequest, on_download: Callable[[int, int], None] | None = None) -> EvalPlan:
    """Open the models and the images of a request and check that they fit each other.

    Args:
        request: What to evaluate.
        on_download: Called with the bytes downloaded so far and their total.

    Raises:
        UsageError: If a name or value is not allowed, or the models need images of different sizes.
        DataError: If weights or images are missing or do not fit. If both are missing, one error names both.
    """
    request.check()
    _check_weights_files(request)
    if request.profile is not None:
        check_trace_file(request.profile)
    problems: list[DataError] = []

    def open_model(model: str | LoadedModel) -> LoadedModel:
        return resolve_model(model, request.card_options, on_download) if isinstance(model, str) else model

    models = [model for given in request.models if (model := _attempt(problems, open_model, given)) is not None]
    for model in models:
        check_foreign(model.model, request.precision, compiled=request.compiled, passes=request.passes)
    # Also if a model could not be opened: one error then names everything that is missing.
    opened = _attempt(problems, open_images, request, models)
    if problems or opened is None:
        raise DataError("; ".join(p.message for p in problems), "\n".join(p.hint for p in problems))
    source, settings = opened
    models = [with_classes(model, source, settings.device) for model in models]
    chosen = request.classes is not None
    if (adaptation := request.adaptation) is not None:
        for model in models:
            check_adaptable(model.name, model.model, adaptation, len(source.ids))
    subjects = [fit(model, source, logits=request.logits, chosen=chosen, resize=request.resize) for model in models]
    source.check(settings.corruptions, settings.severities)
    return EvalPlan(subjects, source, settings, _stopping_rule(source, settings, subjects))


def open_images(request: EvalRequest, models: Sequence[LoadedModel]) -> tuple[Source, Settings]:
    """Open the images of a request, and derive the settings that depend on them.

    Raises:
        UsageError: If a name or value is not allowed, or the models need images of different sizes.
        DataError: If the images are missing or not as they should be.
    """
    request.check()
    dataset = dataset_of(request.dataset)
    device = choose_device(request.device)
    check_precision(request.precision, device)
    if dataset.sequences:
        return _open_sequences(request, dataset, device)
    severities = expand_severities(request.severities or ("1-5",))
    names, own = split_own(request.corruptions or ())
    if request.data is None:
        expand_corruptions(names, own=True)  # before images are opened; only folders may have other names
    cut_by_model = dataset.name == "imagefolder" or dataset.form == "own"
    source = _open_source(request, _common_geometry(models, cut_by_model), _outputs(models))
    if request.stream is not None:
        return _open_stream(request, source, device)
    source.include(own)
    decoder_for(request.decode, source, device)
    if request.corruptions is None:
        corruptions = default_corruptions(request.dataset, source)
    else:
        known, named = in_order({*C19, *source.corruptions}), [*names, *(one.name for one in own)]
        corruptions = expand_corruptions(named, known, c_bar=source.c_bar, own=True)
    source.choose(corruptions)
    workers = request.workers if request.workers is not None else _workers(source, device)
    normalizer = "none" if request.labels == PREDICTED else dataset.normalizer
    return source, Settings(request, corruptions, severities, normalizer, device, workers)


def _open_sequences(request: EvalRequest, dataset: Dataset, device: torch.device) -> tuple[Source, Settings]:
    """Open perturbation sequences; corruptions and severities are then perturbations and difficulties."""
    if request.stream is not None:
        raise UsageError(
            f"--stream is given with --dataset {dataset.name}, whose images are sequences", "Leave one of the two out."
        )
    difficulties = expand_difficulties(request.severities or ("1",))
    wanted = None if request.corruptions is None else expand_perturbations(request.corruptions, (*P10, *P4))
    source = open_sequences(
        dataset, request.data, recipe=request.recipe, seed=request.seed, limit=request.limit, exif=request.exif
    )
    perturbations = in_order(default_corruptions(request.dataset, source)) if wanted is None else wanted
    source.choose(perturbations)
    workers = request.workers if request.workers is not None else _workers(source, device)
    return source, Settings(request, perturbations, difficulties, dataset.normalizer, device, workers)


def _open_stream(request: EvalRequest, source: Source, device: torch.device) -> tuple[Source, Settings]:
    """Open the frames of a stream that is made of the images of a request."""
    from ppbench.streams.opening import frames_of

    frames = frames_of(source, str(request.stream), request.seed, request.calibration, request.limit, jpeg=request.jpeg)
    workers = request.workers if request.workers is not None else _workers(frames, device)
    return frames, Settings(request, frames.corruptions, (1,), "none", device, workers)


def _check_weights_files(request: EvalRequest) -> None:
    """Refuse ``--weights-file`` for a network whose weights are known, and files that cannot be read."""
    if not request.weights_files:
        return
    if len(request.models) != 1:
        raise UsageError(f"--weights-file is given for {len(request.models)} models", "Evaluate them one at a time.")
    (model,) = request.models
    if isinstance(model, str) and not is_code(model):
        raise UsageError(
            f"--weights-file is not for --model {model}, whose weights are known",
            "Leave it out: it is for networks of your own code, `--model pkg.mod:factory`.",
        )
    for path in request.weights_files:
        hash_file(path)


def _open_source(request: EvalRequest, geometry: Geometry, outputs: Sequence[str] | None) -> Source:
    classes = None
    if (path := request.classes) is not None:
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"cannot read {path}: {reason}", "Give a text file with a class name a line.") from error
        classes = parse_classes(text, str(path))
    return open_source(
        request.dataset, request.data, geometry, recipe=request.recipe, seed=request.seed,
        limit=request.limit if request.stream is None else None,
        backend=request.backend, jpeg=request.jpeg, classes=classes, exif=request.exif, clean=request.clean,
        outputs=outputs, labels=request.labels,
    )  # fmt: skip


def _outputs(models: Sequence[LoadedModel]) -> Sequence[str] | None:
    """Return the names of the outputs that all models have: their cards' or numbers; None if they differ."""
    known = {_outputs_of(model) for model in models}
    if len({None if names is None else len(names) for names in known}) != 1:
        return None
    first = next(iter(known))
    return first if first is None or len(known) == 1 else [str(number) for number in range(len(first))]


def _outputs_of(model: LoadedModel) -> tuple[str, ...] | None:
    if isinstance(model.model, ZeroShot):
        return tuple(one.name for one in model.model.texts.classes or ()) or None
    return model.card.class_names or tuple(str(number) for number in range(model.card.num_classes))


def _common_geometry(models: Sequence[LoadedModel], cut_by_model: bool) -> Geometry:
    """Return the one way in which all models need images cut; without models, ImageNet's usual one."""
    wanted: dict[Geometry, str] = {Geometry.of(model.card): model.name for model in models}
    if len(wanted) > 1 and cut_by_model:  # other datasets cut images in their own way
        sizes = ", ".join(f"{name} {g.size} px ({describe_cut(g)})" for g, name in wanted.items())
        raise UsageError(f"the models need images cut differently: {sizes}", "Evaluate them one at a time.")
    return next(iter(wanted), Geometry(224, 256))


def _workers(source: Source, device: torch.device) -> int:
    """Choose the number of processes that read images: as many as keep up with the network.

    On a CPU, reading is a hundredth of the work, and even less if one reading serves all cells of an image. More
    processes would only take time from the network. With the imagecorruptions package, making images is most of the
    work.
    """
    if not source.is_slow or (device.type == "cpu" and source.image_major):
        return 0
    cores = max(1, usable_cores() // max(environment_number("LOCAL_WORLD_SIZE") or 1, 1))
    return 1 + cores // 16 if device.type == "cpu" and source.is_stored else cores


def _stopping_rule(source: Source, settings: Settings, subjects: Sequence[Subject]) -> StoppingRule | None:
    """Return when to stop early; None: never. Images that the baseline lacks are removed from the source."""
    request = settings.request
    if request.until is None and request.until_decided is None:
        return None
    mean_error = None if request.until_decided is None or settings.are_predicted else MEAN_ERROR.name
    wanted = request.until_metric or mean_error
    label, weights = metric_weights(wanted, source, settings.corruptions, settings.severities, settings.normalizer)
    if request.until_decided is None:
        return NarrowEnough(request.until or 0.0, source, request.seed, len(subjects), label, weights)
    opponent = Opponent.read(
        request.until_decided, source, settings, [subject.head.subset for subject in subjects],
        [head_precision(subject, settings) for subject in subjects],
    )  # fmt: skip
    source.limit(opponent.seen)
    return DecidedAgainst(
        request.max_drop or 0.0, opponent.errors, opponent.weights_sha256, source, request.seed, len(subjects), label,
        weights, opponent.by_pass, shares=opponent.shares_draws,
    )  # fmt: skip


def _attempt(problems: list[DataError], function: Callable[..., _T], *args: Any) -> _T | None:
    try:
        return function(*args)
    except DataError as error:
        problems.append(error)
        return None
