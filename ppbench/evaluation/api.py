"""The one way into an evaluation, for Python and for the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn

from ppbench.data.catalog import DATASETS, EMBEDDED, default_corruptions
from ppbench.data.cut import describe_cut
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.devices import check_precision, choose_device, describe_device
from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.evaluation.destinations import Output, Say, claimed, place, save
from ppbench.evaluation.loop import Advance, Outcome, Settings, check_fits, evaluate_all
from ppbench.evaluation.opponent import Baseline
from ppbench.evaluation.predictions import score_predictions
from ppbench.evaluation.processes import Team
from ppbench.evaluation.record import Identity, identify, preprocessing, results
from ppbench.evaluation.sanity import doubtful
from ppbench.evaluation.stopping import DecidedAgainst, Enough, NarrowEnough, metric_weights
from ppbench.evaluation.subject import choose_head, class_subset, read_classes
from ppbench.evaluation.unreadable import is_tolerable, unreadable_images
from ppbench.files import check_writable, read_text
from ppbench.launch import environment_number
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.load import Subject, is_code, resolve_model
from ppbench.models.loaded import Checkpoint
from ppbench.models.weights import hash_file
from ppbench.pool import usable_cores
from ppbench.run import MeasuredRun, Run
from ppbench.vocabulary import C19, expand_corruptions, expand_severities, in_order, severity_texts

_T = TypeVar("_T")


@dataclass(frozen=True)
class Job:
    """What to evaluate; see `evaluate` for the fields."""

    dataset: str = EMBEDDED
    data: Path | None = None
    clean: Path | None = None
    corruptions: Sequence[str] | None = None
    severities: Sequence[str] = ("1-5",)
    recipe: str | None = None
    backend: str = "ppbench"
    jpeg: bool = True
    seed: int = 0
    limit: int | None = None
    classes: Path | None = None
    logits: str | None = None
    resize: int | None = None
    exif: bool = False
    precision: str = "fp32"
    compiled: bool = False
    card: CardOptions | None = None
    weights_files: tuple[Path, ...] = ()
    """What else decides the outputs of a network of the user's own code."""
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = 0
    """None: as many as keep up with the network."""
    force: bool = False
    overwrite: bool = False
    until: float | None = None
    """Half-width in points at which to stop."""
    until_decided: Path | None = None
    """Baseline run against which to decide."""
    max_drop: float | None = None
    """In points, against the baseline; None: 0."""
    until_metric: str | None = None
    command: str = ""

    def check(self) -> None:
        """Raise `UsageError` for values that are not allowed whatever the images are."""
        least = (("--batch-size", self.batch_size, 1), ("--workers", self.workers, 0), ("--resize", self.resize, 8))
        for name, value, smallest in least:
            if value is not None and value < smallest:
                raise UsageError(f"{name} {value} is not allowed", f"It is at least {smallest}.")
        if self.until is not None and self.until_decided is not None:
            raise UsageError("--until and --until-decided are given", "Give one of the two.")
        if self.max_drop is not None and self.until_decided is None:
            raise UsageError("--max-drop is only for --until-decided", "Add `--until-decided RUN`, or leave it out.")
        if self.until_metric is not None and self.until is None and self.until_decided is None:
            raise UsageError("--until-metric needs something to wait for", "Add `--until POINTS`, or leave it out.")

    def open_source(self, geometry: Geometry) -> Source:
        """The images.

        Raises:
            UsageError: If a value is not allowed.
            DataError: If they are missing or do not fit.
        """
        classes = None if self.classes is None else read_classes(_read(self.classes), str(self.classes))
        return open_source(
            self.dataset, self.data, geometry, recipe=self.recipe, seed=self.seed, limit=self.limit,
            backend=self.backend, jpeg=self.jpeg, classes=classes, exif=self.exif, clean=self.clean,
        )  # fmt: skip


class Prepared(NamedTuple):
    """Models, images and settings, opened and checked; nothing has been computed yet."""

    subjects: list[Subject]
    source: Source
    settings: Settings
    enough: Enough | None = None
    """When to end before all images are done."""

    def describe(self, subject: Subject, identity: Identity) -> str:
        """One line for people: model, weights, images, corruptions, preprocessing, device."""
        source, settings = self.source, self.settings
        n, total = len(source.ids), source.total
        images = f"{total:,} images" if n == total else f"{n:,} of {total:,} images"
        head = choose_head(subject.name, subject.card, source, settings.logits)
        classes = head.describe(source.num_classes, subject.card.num_classes)
        cells = f"{len(settings.corruptions)} corruptions x {len(settings.severities)} severities"
        made = "as published" if source.kind == "published" else f"made by {source.engine}, recipe {source.recipe}"
        jpeg = ", saved as JPEG 85" if source.kind == "generated-jpeg85" else ""
        computing = describe_device(settings.device) + (", compiled" if settings.compiled else "")
        return (
            f"{subject.name}: {subject.card.architecture}, {_weights(identity)} | "
            f"{images} of {source.dataset}, {classes} | {cells}, {made}{jpeg} | "
            f"{preprocessing(subject, source, settings)} | {settings.precision} on {computing}"
        )


class Evaluated(NamedTuple):
    """What an evaluation came to."""

    results: list[MeasuredRun]
    """One per model; of an evaluation that was stopped, with the finished cells. None in processes but the first."""
    stopped_by: BaseException | None
    """What ended it early. Whoever called keeps the results, then raises this."""
    unreadable: DataError | None = None
    """Which images could not be read and are in no cell; None if all could. For whoever called to raise or to say."""
    may_skip: bool = True
    """Whether they are few enough to do without."""


def prepare(job: Job, models: Sequence[str | Subject], progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Open the models and the images of a job and check that they fit each other.

    Args:
        job: What to evaluate.
        models: Names, files, or loaded models.
        progress: Told of downloads: bytes so far, bytes in all.

    Raises:
        UsageError: If a name or value is not allowed, or the models want images of different sizes.
        DataError: If weights or images are missing or do not fit; if both are missing, one error says both.
    """
    job.check()
    _check_weights_files(job, models)
    problems: list[DataError] = []

    def open_model(model: str | Subject) -> Subject:
        return resolve_model(model, job.card, progress) if isinstance(model, str) else model

    subjects = [subject for model in models if (subject := _attempt(problems, open_model, model)) is not None]
    opened = _attempt(problems, open_images, job, subjects)
    if problems or opened is None:
        raise _together(problems)
    source, settings = opened
    for subject in subjects:
        check_fits(subject, source, settings)
    source.check(settings.corruptions, settings.severities)
    return Prepared(subjects, source, settings, _enough(job, source, settings, subjects))


def _check_weights_files(job: Job, models: Sequence[str | Subject]) -> None:
    """Refuse files that are said to be of a network whose weights are known, and ones that cannot be read."""
    if not job.weights_files:
        return
    if len(models) != 1:
        raise UsageError(f"--weights-file is given for {len(models)} models", "Evaluate them one at a time.")
    if isinstance(models[0], str) and not is_code(models[0]):
        raise UsageError(
            f"--weights-file is not for --model {models[0]}, whose weights are known",
            "Leave it out: it is for networks of your own code, `--model pkg.mod:factory`.",
        )
    for path in job.weights_files:
        hash_file(path)


def open_images(job: Job, subjects: Sequence[Subject]) -> tuple[Source, Settings]:
    """Open the images of a job, and settle what depends on them.

    Raises:
        UsageError: If a name or value is not allowed, or the models want images of different sizes.
        DataError: If the images are missing or not what they should be.
    """
    job.check()
    normalizer = DATASETS[job.dataset].normalizer
    device = choose_device(job.device)
    check_precision(job.precision, device)
    severities = expand_severities(job.severities)
    if job.corruptions is not None and job.data is None:
        expand_corruptions(job.corruptions)  # sooner than the images: a folder may have names of its own
    source = job.open_source(_common_geometry(subjects, job.dataset))
    settings = Settings(
        corruptions=_corruptions(job, source),
        severities=severities,
        seed=job.seed,
        normalizer=normalizer,
        device=device,
        precision=job.precision,
        compiled=job.compiled,
        resize=job.resize,
        logits=job.logits,
        chosen_classes=job.classes is not None,
        weights_files=job.weights_files,
        batch_size=job.batch_size,
        workers=job.workers if job.workers is not None else _workers(source, device),
        force=job.force,
        overwrite=job.overwrite,
        command=job.command,
    )
    return source, settings


def measure(
    prepared: Prepared,
    target: Path | None,
    *,
    say: Say = lambda line: None,
    advance: Advance = lambda cell, images: None,
    team: Team | None = None,
    fresh: bool = False,
) -> Evaluated:
    """Do what was prepared, and write what came out.

    Args:
        prepared: Models, images and settings.
        target: Run file, or folder for the run files of several models; None: nothing is written.
        say: Told what is measured, what is used again and what is written.
        advance: Told of progress.
        team: The processes that share the work; None: this one alone.
        fresh: Whether what an earlier, interrupted evaluation has finished is done again.

    Raises:
        UsageError: If another process is writing to the same place.
        DataError: If nothing can be written there.
    """
    subjects, source, settings, enough = prepared
    team = team or Team()
    identities = [identify(subject, source, settings) for subject in subjects]
    known = [identity.model for identity in identities if identity.unknown is None]
    if len({(model.name, model.weights_sha256) for model in known}) < len(known):
        raise UsageError("the same model is given twice", "Give each once: `--model`.")
    if any(other != identities for other in team.gather(identities)):
        raise DataError(
            "the processes see different weights or images", "Give all machines the same files, at the same paths."
        )
    for subject, identity in zip(subjects, identities, strict=True):
        say(prepared.describe(subject, identity))
        if identity.unknown is not None:
            say(_nothing_is_reused(subject, identity.unknown))
    for note in source.notes:
        say(note)
    with ExitStack() as stack:
        outputs: list[Output] = []
        refused: PpbenchError | None = None
        if target is not None and team.is_first:
            try:
                outputs = stack.enter_context(claimed(target, identities, source, settings, say, fresh=fresh))
            except PpbenchError as error:
                refused = error
        if (refused := team.share(refused)) is not None:
            raise refused
        started = datetime.now(UTC)
        journals = [output.journal for output in outputs]
        outcome = evaluate_all(subjects, source, settings, advance, journals, team, enough)
        if not team.is_first:
            return Evaluated([], outcome.stopped_by, *_left_out(outcome, source))
        found = results(identities, outcome, source, settings, started, team.size)
        saved = [save(output, measured, say) for output, measured in zip(outputs, found, strict=bool(outputs))]
    for identity, tally in zip(identities, outcome.tallies, strict=True):
        if outcome.stopped_by is None and (doubt := doubtful(tally, source.num_classes)):
            say(f"warning: {identity.model.name} {doubt}")
    return Evaluated(saved or found, outcome.stopped_by, *_left_out(outcome, source))


def _left_out(outcome: Outcome, source: Source) -> tuple[DataError | None, bool]:
    """What is to be said of unreadable images, and whether they may be skipped."""
    if not outcome.unreadable:
        return None, True
    number, images = len({broken.place for broken in outcome.unreadable}), len(source.ids)
    kept = 0 if outcome.images is None else int(outcome.images.sum())
    return unreadable_images(outcome.unreadable, images, kept), is_tolerable(number, images)


def _weights(identity: Identity) -> str:
    """Which weights are measured, for people."""
    sha256 = identity.model.weights_sha256
    return "weights not known" if sha256 is None else f"weights {sha256[:12]}"


def _nothing_is_reused(subject: Subject, unknown: str) -> str:
    """What it means that the weights of a model are not known."""
    return (
        f"{subject.name}: which weights it has is not known ({unknown}), so an interrupted evaluation starts from the "
        "beginning; `--weights-file FILE` names the file that they are in"
    )


def measure_predictions(path: Path, job: Job, target: Path, say: Say = lambda line: None) -> tuple[MeasuredRun, Path]:
    """Score predictions that were made elsewhere, and write their run.

    Args:
        path: See `ppbench.evaluation.predictions.score_predictions`.
        job: The dataset, corruptions and severities.
        target: Run file, or folder for it.
        say: Told what is taken for granted of the file.

    Returns:
        The run, and where it was written.

    Raises:
        UsageError: If a name or value is not allowed, or another process is writing to the same place.
        DataError: If the predictions or the dataset are missing or do not fit.
    """
    if job.weights_files:
        raise UsageError("--weights-file is not for --predictions", "Leave it out: the file itself is hashed.")
    if job.until is not None or job.until_decided is not None:
        raise UsageError("--until is not for --predictions", "They are of all images already: leave it out.")
    source, settings = open_images(job, [])
    started = datetime.now(UTC)
    identity, outcome, notes = score_predictions(path, source, settings)
    for note in notes:
        say(f"warning: {note}")
    (measured,) = results([identity], outcome, source, settings, started, 1)
    where = place(target, identity, identity.key(settings), overwrite=settings.overwrite)
    return measured.write(where), where


def evaluate(
    model: str | Checkpoint | nn.Module,
    dataset: str = EMBEDDED,
    *,
    card: Card | None = None,
    data: str | Path | None = None,
    clean: str | Path | None = None,
    corruptions: str | Sequence[str] | None = None,
    severities: str | int | Sequence[str | int] = "1-5",
    recipe: str | None = None,
    backend: str = "ppbench",
    jpeg: bool = True,
    seed: int = 0,
    limit: int | None = None,
    classes: str | Path | None = None,
    logits: str | None = None,
    resize: int | None = None,
    exif: bool = False,
    precision: str = "fp32",
    compiled: bool = False,
    device: str = "auto",
    batch_size: int | None = None,
    workers: int = 0,
    force: bool = False,
    output: str | Path | None = None,
    weights_files: str | Path | Sequence[str | Path] = (),
    skip_unreadable: bool = False,
    overwrite: bool = False,
) -> Run:
    """Measure one model on one dataset.

    Args:
        model: What ``ppbench eval --model`` takes, the result of `load_checkpoint`, or a module.
        dataset: One of ``ppbench list datasets``.
        card: How to use ``model``, if it is a module.
        data: Folder of the dataset; not needed for the embedded one.
        clean: Where the clean images are, of a published set that has none, such as CIFAR-10-C: CIFAR-10's folder, or
            an .npy file of all in the order of the set.
        corruptions: Names, families ("noise") and sets ("c15"); None: the dataset's own.
        severities: 1 to 5, or ranges ("1-3").
        recipe: One of ``ppbench list recipes``; None: the one that suits the images' size.
        backend: What makes corrupted images: "ppbench", or "imagecorruptions" for the package of that name.
        jpeg: Whether images made for ImageNet-C and Tiny-ImageNet-C go through JPEG as the published ones did.
        seed: Key of the corruptions' draws and of ``limit``.
        limit: Number of images, with equal shares of all classes; None for all.
        classes: File with the names of the classes to use, one a line; None: all.
        logits: "masked" or "all", where the model has more classes than the images; None: "masked".
        resize: Side in pixels to which images are resized before they are cut to the model's size; None: not at all.
        exif: Whether photographs are turned upright as their EXIF data tell, and converted to sRGB by their colour
            profiles.
        precision: "fp32", "tf32", "bf16" or "fp16".
        compiled: Whether the network goes through ``torch.compile``.
        device: "auto", "cpu", "cuda", "cuda:1".
        batch_size: Images per forward pass; None: by size.
        workers: Processes that read images; a script that uses them needs ``if __name__ == "__main__"``.
        force: Whether to go on where the accuracy is under twice chance.
        output: Run file to write, with the correctness bits beside it. What an earlier call for the same measurement
            had finished when it was interrupted is used again.
        weights_files: Of a network of your own code: files that decide its outputs beside the tensors that torch knows
            of, such as the ``.onnx`` file of a session that a module holds. They are part of the weights' hash.
        skip_unreadable: Whether images that cannot be read, at most half of all, are no error. They are left out of
            every cell, and ``run.protocol.unreadable`` names them.
        overwrite: Whether ``output`` may be the finished run of another model, or of other images.

    Returns:
        The run, complete.

    Raises:
        UsageError: If a name or value is not allowed.
        DataError: If weights or images are missing, damaged or do not fit.
        KeyboardInterrupt: On Ctrl-C. As after any error, what is finished is kept in ``output``.
    """
    if output is not None:
        check_writable(Path(output))
    job = Job(
        dataset=dataset,
        data=Path(data) if data is not None else None,
        clean=Path(clean) if clean is not None else None,
        corruptions=[corruptions] if isinstance(corruptions, str) else corruptions,
        severities=severity_texts(severities),
        recipe=recipe,
        backend=backend,
        jpeg=jpeg,
        seed=seed,
        limit=limit,
        classes=Path(classes) if classes is not None else None,
        logits=logits,
        resize=resize,
        exif=exif,
        precision=precision,
        compiled=compiled,
        device=device,
        batch_size=batch_size,
        workers=workers,
        force=force,
        overwrite=overwrite,
        weights_files=tuple(map(Path, [weights_files] if isinstance(weights_files, str | Path) else weights_files)),
    )
    evaluated = measure(prepare(job, [_as_subject(model, card)]), Path(output) if output else None)
    if evaluated.stopped_by is not None:
        raise evaluated.stopped_by
    if evaluated.unreadable is not None and not (skip_unreadable and evaluated.may_skip):
        raise evaluated.unreadable
    return evaluated.results[0].run


_WITH_CARD = (
    "`evaluate(model, card=ppbench.Card(architecture='mine', num_classes=1000, input_size=224, resize=256, "
    "mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)))`"
)


def _as_subject(model: str | Checkpoint | nn.Module, card: Card | None) -> str | Subject:
    """What `prepare` takes."""
    if card is not None and not isinstance(card, Card):
        raise UsageError(f"card is {card!r}, of type {type(card).__name__}; it must be a ppbench.Card", _WITH_CARD)
    if isinstance(model, Checkpoint):
        return Subject(model.card.architecture, *model)
    if isinstance(model, str):
        return model
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"model is of type {type(model).__name__}",
            "Give a name as of `ppbench eval --model`, what `ppbench.load_checkpoint` returns, or a torch module.",
        )
    if card is None:
        raise UsageError("a module needs its card", _WITH_CARD)
    return Subject(card.architecture, model, card)


def _enough(job: Job, source: Source, settings: Settings, subjects: Sequence[Subject]) -> Enough | None:
    """When to end before all images are done; None: never. Images that a baseline lacks are taken from the source."""
    if job.until is None and job.until_decided is None:
        return None
    wanted = job.until_metric or (None if job.until_decided is None else "mean_error")
    label, weights = metric_weights(
        wanted, source, settings.corruptions, settings.severities, DATASETS[job.dataset].normalizer
    )
    if job.until_decided is None:
        return NarrowEnough(job.until or 0.0, source, job.seed, len(subjects), label, weights)
    heads = [(check_fits(subject, source, settings), subject.card) for subject in subjects]
    classes = [class_subset(head, card, source, chosen=settings.chosen_classes) for head, card in heads]
    baseline = Baseline.read(job.until_decided, source, settings, classes)
    source.limit(baseline.seen)
    return DecidedAgainst(
        job.max_drop or 0.0, baseline.errors, baseline.weights_sha256, source, job.seed, len(subjects), label, weights
    )


def _corruptions(job: Job, source: Source) -> tuple[str, ...]:
    """Those asked for, or the dataset's own."""
    if job.corruptions is None:
        return default_corruptions(job.dataset, source)
    return expand_corruptions(job.corruptions, in_order({*C19, *source.corruptions}))


def _workers(source: Source, device: torch.device) -> int:
    """Processes that read images: as many as keep up with the network.

    On a CPU, reading is a hundredth of the work, and where one reading serves all cells of an image it is nothing: more
    processes would only take the network's time. Images that the package makes are most of the work.
    """
    if not source.is_slow or (device.type == "cpu" and source.image_major):
        return 0
    cores = max(1, usable_cores() // max(environment_number("LOCAL_WORLD_SIZE") or 1, 1))
    return 1 + cores // 16 if device.type == "cpu" and source.kind == "published" else cores


def _common_geometry(subjects: Sequence[Subject], dataset: str) -> Geometry:
    """The one way all models want their images cut (ImageNet's usual one if there is no model)."""
    wanted: dict[Geometry, str] = {Geometry.of(s.card): s.name for s in subjects}
    if len(wanted) > 1 and dataset == "imagefolder":  # the others have a way of their own
        sizes = ", ".join(f"{name} {g.size} px ({describe_cut(g)})" for g, name in wanted.items())
        raise UsageError(f"the models want images cut differently: {sizes}", "Evaluate them one at a time.")
    return next(iter(wanted), Geometry(224, 256))


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", "Give a text file with a class name a line.") from error


def _attempt(problems: list[DataError], function: Callable[..., _T], *args: Any) -> _T | None:
    try:
        return function(*args)
    except DataError as error:
        problems.append(error)
        return None


def _together(problems: Sequence[DataError]) -> DataError:
    """One error of one line per problem and one per mend."""
    return DataError("; ".join(p.message for p in problems), "\n".join(p.hint for p in problems))
