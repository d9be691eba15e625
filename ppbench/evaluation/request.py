"""The request of an evaluation, from the command line or from Python. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppbench.data.catalog import EMBEDDED, dataset_of
from ppbench.data.own_images import ImagesGiven
from ppbench.errors import UsageError
from ppbench.models.card_options import CardOptions, parse_card_options
from ppbench.run import Adaptation, parse_adaptation
from ppbench.run.trial_counts import MOST_TRIALS
from ppbench.scalars import integer_of, number_of, plain
from ppbench.vocabulary import PREDICTED, severity_texts

if TYPE_CHECKING:
    from ppbench.models.load import LoadedModel

_PATHS = ("data", "clean", "classes", "output", "until_decided", "profile", "calibration")
_SEVERAL = ("models", "predictions", "corruptions", "weights_files")
_INTEGERS = frozenset({"seed", "limit", "resize", "passes", "batch_size", "workers", "input_size"})
_NUMBERS = frozenset({"until", "max_drop"})
_CARD_OPTIONS = (
    *("preset", "mean", "std", "input_size", "architecture", "ema", "test_size"),
    *("class_names", "templates", "trust_remote_code"),
)


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate, and how; `ppbench.evaluate` explains the fields."""

    models: tuple[str | LoadedModel, ...] = ()
    predictions: tuple[Path, ...] = ()
    """Files of predictions, instead of models."""
    dataset: str | ImagesGiven = EMBEDDED
    """A name, or images from Python."""
    data: Path | None = None
    clean: Path | None = None
    corruptions: Sequence[str] | None = None
    severities: Sequence[str] | None = None
    """Severities, or difficulties of sequences; None: 1-5, or difficulty 1."""
    recipe: str | None = None
    backend: str = "ppbench"
    jpeg: bool = True
    seed: int = 0
    limit: int | None = None
    classes: Path | None = None
    labels: str | None = None
    """"predicted", or the path of a CSV; None: the dataset's."""
    logits: str | None = None
    resize: int | None = None
    exif: bool = False
    adapt: str | None = None
    """``batchnorm`` or ``batchnorm:N``; None: networks are used as they are."""
    stream: str | None = None
    """``ccc``, ``ccc:hard`` or ``ccc:hard:2000``; None: no stream, but cells."""
    calibration: Path | None = None
    """Accuracies by which the stream keeps its level."""
    passes: int | None = None
    """Passes over each image of networks that draw random numbers; None: one, with whatever they draw."""
    precision: str = "fp32"
    compiled: bool = False
    card_options: CardOptions | None = None
    weights_files: tuple[Path, ...] = ()
    """Files that decide the outputs of a network of the user's own code beside its tensors."""
    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = 0
    """None: as many as keep up with the network."""
    output: Path | None = None
    """Run file, or folder for the run files of several models; None: nothing is written."""
    overwrite: bool = False
    fresh: bool = False
    """Whether to start over instead of using what an interrupted evaluation had finished."""
    force: bool = False
    skip_unreadable: bool = False
    until: float | None = None
    """Half-width in points at which to stop."""
    until_metric: str | None = None
    until_decided: Path | None = None
    """Baseline run against which to decide."""
    max_drop: float | None = None
    """Tolerated increase of the error over the baseline's, in points; None: 0."""
    keep_predictions: bool = True
    """Whether the class that comes first is kept for each image and cell, with its probability."""
    decode: str = "pillow"
    """What decodes JPEG files: "pillow", or "cuda" for the GPU."""
    profile: Path | None = None
    """File for a trace of some batches; None: none is made."""
    command: str = ""
    """The command line, for the record."""

    @classmethod
    def of(cls, **given: Any) -> EvalRequest:
        """Build a request from values as a Python caller or the command line gives them.

        Args:
            given: Fields by name. A path may be a string, and a single value stands for a sequence of one. The options
                of a model's card (``preset``, ``mean``, …) are given one by one.

        Raises:
            UsageError: If a number is none, or an option of the card is not allowed.
        """
        for name, value in given.items():
            if value is not None and name in _INTEGERS:
                given[name] = integer_of(name, value)
            elif value is not None and name in _NUMBERS:
                given[name] = number_of(name, value)
            elif name in ("mean", "std"):
                given[name] = plain(value)
        card = {name: value for name in _CARD_OPTIONS if (value := given.pop(name, None)) not in (None, False)}
        if card:
            given["card_options"] = parse_card_options(**card)
        if given.get("dataset") is None:
            given["dataset"] = EMBEDDED if given.get("data") is None else "imagefolder"
        if given.get("labels") is not None:
            given["labels"] = str(given["labels"])
        for name in _PATHS:
            if given.get(name) is not None:
                given[name] = _path(name, given[name])
        for name in _SEVERAL:
            if (value := given.get(name)) is not None:
                # A loaded model is a tuple too, but never stands alone: `ppbench.evaluate` puts it into a list.
                given[name] = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
        _check_names(given.get("corruptions") or ())
        for name in ("predictions", "weights_files"):
            given[name] = tuple(_path(name, value) for value in given.get(name) or ())
        if given.get("severities") is not None:
            given["severities"] = tuple(severity_texts(given["severities"]))
        return cls(**given)

    @property
    def adaptation(self) -> Adaptation | None:
        """How networks are adapted to each cell; None: not at all. It raises `UsageError` for a wrong value."""
        if self.adapt is None:
            return None
        adaptation = parse_adaptation(self.adapt)
        return adaptation if self.stream is None else adaptation.in_stream()

    def check(self) -> None:
        """Raise `UsageError` for values that are never allowed, whatever the images are."""
        least = (("--batch-size", self.batch_size, 1), ("--workers", self.workers, 0), ("--resize", self.resize, 8))
        for name, value, smallest in least:
            if value is not None and value < smallest:
                raise UsageError(f"{name} {value} is not allowed", f"It is at least {smallest}.")
        if dataset_of(self.dataset).sequences:
            self._check_sequences()
        if self.adaptation is not None:
            self._check_adaptation()
        self._check_stream()
        if self.passes is not None:
            self._check_passes(self.passes)
        if self.profile is not None and self.predictions:
            raise UsageError("--profile is not for --predictions", "Scoring them takes seconds.")
        if self.until is not None and self.until_decided is not None:
            raise UsageError("--until and --until-decided are given", "Give one of the two.")
        if self.max_drop is not None and self.until_decided is None:
            raise UsageError("--max-drop is only for --until-decided", "Add `--until-decided RUN`, or leave it out.")
        if self.until_metric is not None and self.until is None and self.until_decided is None:
            raise UsageError("--until-metric needs --until or --until-decided", "Add one, or leave it out.")

    def _check_stream(self) -> None:
        if self.stream is None:
            if self.calibration is not None:
                raise UsageError("--calibration is only for --stream", "Add `--stream ccc`, or leave it out.")
            return
        given = {
            "--predictions": self.predictions,
            "--corruptions": self.corruptions,
            "--severities": self.severities is not None,
            "--clean": self.clean,
            "--backend": self.backend != "ppbench",
            "--labels predicted": self.labels == PREDICTED,
            "--until": self.until is not None,
            "--until-decided": self.until_decided is not None,
            "--decode cuda": self.decode != "pillow",
        }
        refused = [name for name, is_given in given.items() if is_given]
        if refused:
            raise UsageError(
                f"{refused[0]} is given with --stream, whose frames are made from labelled clean images",
                f"Leave {refused[0]} out; `--limit N` takes the first N frames.",
            )

    def _check_adaptation(self) -> None:
        if self.labels == PREDICTED:
            raise UsageError(
                "--labels predicted and --adapt are given",
                "Every cell has statistics of its own, so label and prediction would come from two networks. Leave one "
                "out, or give labels: `--labels FILE.csv`.",
            )
        if self.until is not None or self.until_decided is not None:
            until = "--until" if self.until is not None else "--until-decided"
            raise UsageError(
                f"{until} is given with --adapt, whose statistics need all images of a cell",
                f"Leave {until} out; `--limit N` takes fewer images.",
            )

    def _check_sequences(self) -> None:
        """Refuse what perturbation sequences cannot have."""
        compared = "A flip compares a model's predictions with each other, so no labels are needed. Leave it out."
        fewer = "Leave it out; `--limit N` takes fewer images."
        refused: tuple[tuple[str, object, str], ...] = (
            ("--predictions", self.predictions and self.predictions[0], "See `ppbench.metrics.flip_probability`."),
            ("--passes", self.passes, "A flip would be one of the noise's: leave it out."),
            ("--adapt", self.adapt, "The frames of a cell are nearly the same images again and again. Leave it out."),
            ("--until", self.until, fewer),
            ("--until-decided", self.until_decided, fewer),
            ("--labels", self.labels, compared),
            ("--classes", self.classes, compared),
            ("--logits", self.logits, "All outputs of the model compete. Leave it out."),
            ("--clean", self.clean, "Frames are made from the images of --data: leave it out."),
            ("--backend", None if self.backend == "ppbench" else self.backend, "Leave it out."),
            ("--no-jpeg", None if self.jpeg else "", "Frames are never saved as JPEG: leave it out."),
            ("--decode", None if self.decode == "pillow" else self.decode, "Pillow decodes them: leave it out."),
        )
        for option, value, hint in refused:
            if value not in (None, ()):
                named = f"{option} {value}".rstrip()
                raise UsageError(
                    f"{named} is not for {dataset_of(self.dataset).name}, whose images are sequences", hint
                )

    def _check_passes(self, passes: int) -> None:
        if not isinstance(passes, int) or not 1 <= passes <= MOST_TRIALS:
            raise UsageError(f"--passes {passes} is not allowed", f"It is 1 to {MOST_TRIALS}.")
        reasons = {
            "--predictions": (bool(self.predictions), "they are given: there is no network to draw random numbers"),
            "--compile": (
                self.compiled,
                "a compiled network draws its random numbers itself, and they cannot be keyed",
            ),
            "--stream": (self.stream is not None, "a stream shows each frame once"),
            "--adapt": (self.adapt is not None, "a cell would have other batch-norm statistics in every pass"),
            "--labels predicted": (self.labels == PREDICTED, "a label would be what one pass happened to predict"),
        }
        for option, (is_given, why) in reasons.items():
            if is_given:
                raise UsageError(f"--passes is given with {option}: {why}", "Leave one of the two out.")


def _path(name: str, value: Any) -> Path:
    try:
        return Path(value)
    except TypeError as error:
        raise UsageError(f"{name} is of type {type(value).__name__}, not a path", "Give the name of a file.") from error


def _check_names(corruptions: Iterable[Any]) -> None:
    """Refuse functions, which another process or a later call could not find again."""
    odd = next((value for value in corruptions if not isinstance(value, str)), None)
    if odd is not None:
        name = getattr(odd, "__name__", "function")
        raise UsageError(
            f"corruptions has {odd!r:.60}, not a name",
            f"Give your own function by its name, `mine:{name}`: it has to be found again when an evaluation resumes.",
        )


REQUEST_FIELDS = frozenset(field.name for field in fields(EvalRequest)) | {*_CARD_OPTIONS}
"""What `EvalRequest.of` takes."""
