"""The one way into an evaluation, for Python and for the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from torch import nn

from ppbench.data.catalog import DATASETS, EMBEDDED, open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.devices import choose_device, describe_device
from ppbench.evaluation.loop import Settings, Subject, check_fits, evaluate_all
from ppbench.evaluation.subjects import resolve_model
from ppbench.files import check_writable
from ppbench.models.card import Card
from ppbench.models.checkpoint import Checkpoint, weights_hash
from ppbench.pool import usable_cores
from ppbench.run import Run, write_run
from ppbench.vocabulary import expand_corruptions, expand_severities

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What to evaluate; see `evaluate` for the fields."""

    dataset: str = EMBEDDED
    data: Path | None = None
    corruptions: Sequence[str] = ("c15",)
    severities: Sequence[str] = ("1-5",)
    recipe: str | None = None
    backend: str = "ppbench"
    seed: int = 0
    limit: int | None = None
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = 0
    """None: one per core where making the images takes long, else none."""
    command: str = ""

    def settings(self) -> Settings:
        """The checked settings of the loop.

        Raises:
            UsageError: If a value is not allowed.
        """
        for name, value, least in (("--batch-size", self.batch_size, 1), ("--workers", self.workers, 0)):
            if value is not None and value < least:
                raise UsageError(f"{name} {value} is not allowed", f"It is at least {least}.")
        return Settings(
            corruptions=expand_corruptions(self.corruptions),
            severities=expand_severities(self.severities),
            seed=self.seed,
            normalizer=DATASETS.get(self.dataset).normalizer,
            device=choose_device(self.device),
            batch_size=self.batch_size,
            workers=self.workers or 0,
            command=self.command,
        )

    def source_options(self) -> dict[str, Any]:
        """Keyword arguments of `open_source`."""
        return {"recipe": self.recipe, "backend": self.backend, "seed": self.seed, "limit": self.limit}


class Prepared(NamedTuple):
    """Models, images and settings, opened and checked; nothing has been computed yet."""

    subjects: list[Subject]
    source: Source
    settings: Settings

    def describe(self, subject: Subject) -> str:
        """One line for people: model, weights, images, corruptions, preprocessing, device."""
        source, settings = self.source, self.settings
        n, total = len(source.ids), source.total
        images = f"{total:,} images" if n == total else f"{n:,} of {total:,} images"
        cells = f"{len(settings.corruptions)} corruptions x {len(settings.severities)} severities"
        made = "as published" if source.kind == "published" else f"made by {source.engine}, recipe {source.recipe}"
        return (
            f"{subject.name}: {subject.card.architecture}, weights {weights_hash(subject.model)[:12]} | "
            f"{images} of {source.dataset} | {cells}, {made} | "
            f"{subject.card.preprocessing(source.resizes)} | {describe_device(settings.device)}"
        )


def prepare(job: Job, models: Sequence[str | Subject]) -> Prepared:
    """Open the models and the images of a job and check that they fit each other.

    Args:
        job: What to evaluate.
        models: Names, files, or loaded models.

    Raises:
        UsageError: If a name or value is not allowed, or the models want images of different sizes.
        DataError: If weights or images are missing or do not fit; if both are missing, one error says both.
    """
    settings = job.settings()
    problems: list[DataError] = []
    subjects = [_attempt(problems, resolve_model, m) if isinstance(m, str) else m for m in models]
    opened = [subject for subject in subjects if subject is not None]
    geometry = _common_geometry(opened)
    source = _attempt(problems, lambda: open_source(job.dataset, job.data, geometry, **job.source_options()))
    if problems or source is None:
        raise _together(problems)
    for subject in opened:
        check_fits(subject, source)
    source.check(settings.corruptions, settings.severities)
    if job.workers is None and source.is_slow:
        settings = replace(settings, workers=usable_cores())
    return Prepared(opened, source, settings)


def evaluate(
    model: str | Checkpoint | nn.Module,
    dataset: str = EMBEDDED,
    *,
    card: Card | None = None,
    data: str | Path | None = None,
    corruptions: str | Sequence[str] = "c15",
    severities: str | int | Sequence[str | int] = "1-5",
    recipe: str | None = None,
    backend: str = "ppbench",
    seed: int = 0,
    limit: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    workers: int = 0,
    output: str | Path | None = None,
) -> Run:
    """Measure one model on one dataset.

    Args:
        model: The name of an embedded checkpoint, a checkpoint file, the result of `load_checkpoint`, or a module.
        dataset: One of ``ppbench list datasets``.
        card: How to use ``model``, if it is a module.
        data: Folder of the dataset; not needed for the embedded one.
        corruptions: Names, families ("noise") and sets ("c15").
        severities: 1 to 5, or ranges ("1-3").
        recipe: One of ``ppbench list recipes``; None: the one that suits the images' size.
        backend: What makes corrupted images: "ppbench", or "imagecorruptions" for the package of that name.
        seed: Key of the corruptions' draws and of ``limit``.
        limit: Number of images, with equal shares of all classes; None for all.
        device: "auto", "cpu", "cuda", "cuda:1".
        batch_size: Images per forward pass; None: by size.
        workers: Processes that make images; a script that uses them needs ``if __name__ == "__main__"``.
        output: Run file to write, with the correctness bits beside it.

    Returns:
        The run, complete.

    Raises:
        UsageError: If a name or value is not allowed.
        DataError: If weights or images are missing, damaged or do not fit.
        KeyboardInterrupt: On Ctrl-C. As after any error, what is finished has been written to ``output``.
    """
    if output is not None:
        check_writable(Path(output))
    job = Job(
        dataset=dataset,
        data=Path(data) if data is not None else None,
        corruptions=[corruptions] if isinstance(corruptions, str) else corruptions,
        severities=[str(s) for s in ([severities] if isinstance(severities, str | int) else severities)],
        recipe=recipe,
        backend=backend,
        seed=seed,
        limit=limit,
        device=device,
        batch_size=batch_size,
        workers=workers,
    )
    results, stopped_by = evaluate_all(*prepare(job, [_as_subject(model, card)]))
    run, bits = results[0]
    if output is not None and run.cells:
        run = write_run(Path(output), run, bits)
    if stopped_by is not None:
        raise stopped_by
    return run


def _as_subject(model: str | Checkpoint | nn.Module, card: Card | None) -> str | Subject:
    """What `prepare` takes."""
    if isinstance(model, Checkpoint):
        return Subject(model.card.architecture, *model)
    if not isinstance(model, nn.Module):
        return model
    if card is None:
        raise UsageError("a module needs its card", "evaluate(model, card=ppbench.Card(…))")
    return Subject(card.architecture, model, card)


def _common_geometry(subjects: Sequence[Subject]) -> Geometry:
    """The one way all models want their images cut (ImageNet's usual one if there is no model)."""
    wanted = {Geometry(s.card.input_size, s.card.resize, s.card.interpolation): s.name for s in subjects}
    if len(wanted) > 1:
        sizes = ", ".join(f"{name} {g.size} px (resize {g.resize or 'none'})" for g, name in wanted.items())
        raise UsageError(f"the models want images cut differently: {sizes}", "Evaluate them one at a time.")
    return next(iter(wanted), Geometry(224, 256))


def _attempt(problems: list[DataError], function: Callable[..., T], *args: Any) -> T | None:
    try:
        return function(*args)
    except DataError as error:
        problems.append(error)
        return None


def _together(problems: Sequence[DataError]) -> DataError:
    """One error of one line per problem and one per mend."""
    return DataError("; ".join(p.message for p in problems), "\n".join(p.hint for p in problems))
