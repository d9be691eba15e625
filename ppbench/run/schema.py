"""The run file: the record of one model on one dataset, and the only door between inference and metrics.

It holds integer counts per cell, never ratios, and all that is needed to know what they are counts of. Free of torch;
docs/run-file.md describes the format for people, `json_schema` for programs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from ppbench.run.adaptation import Adaptation
from ppbench.run.classes import ClassSubset
from ppbench.run.fields import (
    MOST_CLASSES,
    Bins,
    CellName,
    Count,
    FileName,
    Many,
    Number,
    Record,
    Severity,
    Text,
    as_text,
)
from ppbench.run.in_notebooks import ShownInNotebooks
from ppbench.run.model import ModelRecord
from ppbench.run.prompts import Prompts
from ppbench.run.stopping import Stopping
from ppbench.run.stream import StreamRecord
from ppbench.run.trial_counts import MOST_TRIALS, Sequences, TrialsFile, check_frames, check_trials, check_trials_of_run
from ppbench.vocabulary import CLEAN, Cell, cell_in_words

if TYPE_CHECKING:
    import pandas as pd

VERSION: Literal[3] = 3
UNKNOWN = "unknown"
"""The recipe, engine and precision of what was made elsewhere."""
MICRO = 1_000_000
"""Log losses and probabilities are summed as integers of one millionth, so that sums do not depend on the order."""


class CellCounts(Record):
    """The counts of one corruption at one severity; ``clean`` at severity 0 is the uncorrupted images.

    Predictions that were given as labels have no probabilities: what is counted of these is None. Where the labels are
    the clean predictions (`Protocol.labels`), right means the same prediction as without corruption.
    """

    absent_if_none: ClassVar[frozenset[str]] = frozenset(
        {"label_confidence", "trials", "failures", "top5_distance", "right_by_pass"}
    )

    corruption: CellName
    severity: int = Field(ge=0, le=5)
    n: Number
    """Images."""
    top1: Count
    """Images whose label is the highest logit."""
    top5: Count | None
    """Images whose label is among the five highest logits; None if the order of the outputs is unknown."""
    nll_micronats: Count | None
    """Sum over images of the negative log probability of the label, in millionths of a nat."""
    bin_n: Bins | None
    """Images whose highest probability p lies in bin ceil(15 p) - 1."""
    bin_top1: Bins | None
    """Those of them that are right."""
    bin_confidence: Bins | None
    """Sum of their highest probabilities, in millionths."""
    label_confidence: Count | None = None
    """Sum over images of the probability of the label, in millionths; only where the labels are clean predictions."""
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    """Trials of each image: pairs of frames, or passes; ``top1`` then counts images without failures. Else None."""
    failures: Count | None = None
    """Sum over images of the trials that failed: flips, or wrong predictions; only with ``trials``."""
    top5_distance: Count | None = None
    """Sum over images and pairs of frames of the top-5 distance; only of sequences, and of 5 classes or more."""
    right_by_pass: Many[Count] | None = None
    """Right images of each pass; None for sequences, and for a part of the images."""

    @model_validator(mode="after")
    def _consistent(self) -> CellCounts:
        if self.top5 is None and self.top1 > self.n:
            raise ValueError(f"top1 {self.top1} <= n {self.n} does not hold")
        if self.top5 is not None and not self.top1 <= self.top5 <= self.n:
            raise ValueError(f"top1 {self.top1} <= top5 {self.top5} <= n {self.n} does not hold")
        absent = [value is None for value in (self.nll_micronats, self.bin_n, self.bin_top1, self.bin_confidence)]
        if any(absent) and not all(absent):
            raise ValueError("nll_micronats and the calibration bins are there together or not at all")
        if (self.bin_n and sum(self.bin_n) != self.n) or (self.bin_top1 and sum(self.bin_top1) != self.top1):
            raise ValueError("the calibration bins do not add up to n and top1")
        if self.bin_n and self.bin_top1 and self.bin_confidence:
            bins = zip(self.bin_n, self.bin_top1, self.bin_confidence, strict=True)
            # A probability that is 1 but for rounding may count as a millionth more.
            if any(right > n or confidence > n * (MICRO + 1) for n, right, confidence in bins):
                raise ValueError("a calibration bin has more right images, or probability, than images")
        if self.label_confidence is not None and self.label_confidence > self.n * (MICRO + 1):
            raise ValueError("label_confidence has more probability than images")
        if (self.corruption == CLEAN) != (self.severity == 0):
            raise ValueError("severity 0 is for clean images, and only for them")
        check_trials(self)
        return self

    @property
    def key(self) -> Cell:
        """(corruption, severity)."""
        return self.corruption, self.severity

    @property
    def distance(self) -> float | None:
        """Mean top-5 distance over all pairs of frames, 0 to 15; None if it is not known."""
        return None if self.top5_distance is None else self.top5_distance / (self.n * (self.trials or 1))

    @property
    def error(self) -> float:
        """Top-1 error, a fraction; with trials, the share of all images' trials that failed."""
        if self.trials is not None and self.failures is not None:
            return self.failures / (self.n * self.trials)
        return 1 - self.top1 / self.n


PROBABILITY_COUNTS = ("top5", "nll_micronats", "bin_n", "bin_top1", "bin_confidence")
"""Counts of a cell that cannot be had from correctness bits, and that baselines of ``check`` do not keep."""


class Protocol(Record):
    """All that must be equal for two runs to be comparable."""

    absent_if_none: ClassVar[frozenset[str]] = frozenset(
        {
            "own_corruptions",
            "adaptation",
            "labels",
            "prompts",
            "head_precision",
            "decoder",
            "sequences",
            "passes",
            "stream",
        }
    )

    dataset: Text
    fingerprint: Text
    """SHA-256 of the dataset's images (arrays) or of their paths and sizes (folders), with the labels."""
    source: Literal["published", "generated-jpeg85", "generated"]
    """Whether the corrupted images were read from a published set, or made from clean ones (with JPEG step or not)."""
    recipe: Text
    """Constants and algorithm behind the corruptions."""
    engine: Text
    """Who computed them, with its version; like the recipe `UNKNOWN` of predictions on images made elsewhere."""
    seed: int
    corruptions: Many[CellName]
    severities: Many[Severity]
    n: Number
    """Images per cell that were asked for."""
    total: Number
    """Images per cell that the dataset has."""
    ids_sha256: Text
    """SHA-256 of the evaluated images' ids, in order."""
    preprocessing: Text
    precision: Literal["fp32", "tf32", "bf16", "fp16", "unknown"]
    """"unknown" of predictions that were made elsewhere."""
    normalizer: Text
    """Denominators of CE that are customary for this dataset: "alexnet" or "none"."""
    classes: ClassSubset | None = None
    """None: all classes of the dataset, and the model's whole head."""
    unreadable: Many[str] | None = None
    """Ids of the images that were asked for and could not be read, and are in no cell; None if there are none."""
    own_corruptions: dict[CellName, Text] | None = None
    """SHA-256 of the source of each corruption of the user's own, by name; None, and not written, without any."""
    adaptation: Adaptation | None = None
    """How the network was adapted to each cell, the clean one too; None, and not written: it was used as it is."""
    labels: Literal["predicted"] | None = None
    """"predicted": the label of each image is the model's own prediction without corruption; None: the dataset's."""
    prompts: Prompts | None = None
    """What a zero-shot model was asked; None, and not written: it was no such model. Compared runs may differ in it."""
    head_precision: Literal["fp32"] | None = None
    """Precision of the last linear layer where it is not ``precision``; None, and not written, where it is."""
    decoder: Literal["nvjpeg"] | None = None
    """What decoded JPEG files; None, and not written: libjpeg, by Pillow."""
    sequences: Sequences | None = None
    """Where there are perturbation sequences, corruptions are perturbations and severities difficulties."""
    passes: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    """Passes of a stochastic model over each image; None, and not written, where they were not asked for."""
    stream: StreamRecord | None = None
    """The stream whose first n frames are the images of the only cell; None, and not written: it is no stream."""

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        if self.n > self.total:
            raise ValueError(f"n {self.n} <= total {self.total} does not hold")
        if CLEAN in self.corruptions:
            raise ValueError(f"{CLEAN} is no corruption")
        for values in (self.corruptions, self.severities):
            if len(set(values)) != len(values):
                raise ValueError("a corruption or a severity occurs twice")
        if self.sequences is not None:
            check_frames(self.sequences, self.corruptions, self.severities)
        return self

    @property
    def has_trials(self) -> bool:
        """Whether each image of a cell has several trials: the pairs of a sequence, or passes."""
        return self.sequences is not None or self.passes is not None

    @property
    def is_by_image(self) -> bool:
        """Whether a cell has one result for each image, all independent of each other: no trials, no stream."""
        return not self.has_trials and self.stream is None

    @property
    def images_in_words(self) -> str:
        """``all 2000 images``, ``500 of 2000 images``, ``the only image``; of a stream frames."""
        if self.stream is not None:
            return f"{self.n} of {self.total} frames"
        if self.n < self.total:
            return f"{self.n} of {self.total} images"
        return f"all {self.total} images" if self.total > 1 else "the only image"


class Provenance(Record):
    """Where, when and with what the run was made; no two runs need agree in it."""

    absent_if_none: ClassVar[frozenset[str]] = frozenset({"compiled_corruptions"})

    command: Annotated[str, BeforeValidator(as_text)]
    git_commit: str | None
    """Commit of the working directory, with "-dirty" if it has uncommitted changes; None outside a repository."""
    versions: dict[str, str]
    platform: str
    device: str
    started: str
    """UTC, ISO 8601."""
    seconds: Annotated[FiniteFloat, Field(ge=0)]
    """Wall time, from the first image to the last."""
    processes: int = Field(default=1, ge=1)
    """Processes that ran the model, each on a share of the images."""
    compiled: bool = False
    """Whether the model ran through torch.compile."""
    compiled_corruptions: Literal["all", "some"] | None = None
    """How many of the corruptions a GPU made by compiled graphs; absent if none."""


class Bits(Record):
    """The file of correctness bits beside the run file: uint8 ``(cells, ceil(n / 8))``, big-endian bits.

    A second array in the same file, uint64 ``(n,)``, has the images' keys (`image_keys`); older files lack it.
    """

    file: FileName
    """A file name, and no path: what is not beside the run file is not read."""
    sha256: str


class PredictionsFile(Record):
    """The file of predictions beside the run file: compressed arrays (`predictions_content`)."""

    file: FileName
    """A file name, and no path: what is not beside the run file is not read."""
    sha256: str
    class_names: Many[Text] = Field(max_length=MOST_CLASSES)
    """Names of the dataset's classes, in the order of their numbers in the file."""


class Run(ShownInNotebooks, Record):
    """One model on one dataset."""

    absent_if_none: ClassVar[frozenset[str]] = frozenset({"trials"})

    version: Literal[3] = VERSION
    status: Literal["complete", "interrupted"]
    """"interrupted": only finished cells are in the file."""
    model: ModelRecord
    protocol: Protocol
    cells: Many[CellCounts]
    """Clean first, then in the order of the protocol; cells that were not finished are absent."""
    bits: Bits | None = None
    predictions: PredictionsFile | None = None
    """None if they were not kept, as in files of earlier versions."""
    trials: TrialsFile | None = None
    """Failures image by image, where images have several trials; None, and not written, where they have not."""
    stopping: Stopping | None = None
    """How an evaluation with a stopping rule ended; its protocol's n is the images it visited."""
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Run:
        keys = [cell.key for cell in self.cells]
        if len(set(keys)) != len(keys):
            raise ValueError("a cell occurs twice")
        expected = dict.fromkeys(expected_cells(self.protocol.corruptions, self.protocol.severities))
        known = set(keys)
        for cell in self.cells:
            if cell.key not in expected:
                raise ValueError(f"{cell_in_words(cell.key)} is not among the cells of the protocol")
            if cell.n != self.protocol.n:
                raise ValueError(f"{cell_in_words(cell.key)} has n {cell.n}, the protocol {self.protocol.n}")
        # Clean images may be absent from a whole run: published sets of corrupted images have none.
        missing = [key for key in expected if key not in known and key != (CLEAN, 0)]
        if missing and self.status == "complete":
            raise ValueError(f"the run is complete, yet {cell_in_words(missing[0])} is missing")
        files = {"predictions": self.predictions, "trials": self.trials}
        check_trials_of_run(self.cells, self.protocol.sequences, self.protocol.passes, files)
        return self

    @property
    def called(self) -> str:
        """The model's name in tables, with its adaptation: ``resnet50 (batchnorm-adapted)``."""
        adaptation = self.protocol.adaptation
        return self.model.name if adaptation is None else f"{self.model.name} ({adaptation.label})"

    def cell(self, corruption: str, severity: int) -> CellCounts | None:
        """The cell, or None if it was not measured."""
        return next((cell for cell in self.cells if cell.key == (corruption, severity)), None)

    def to_frame(self) -> pd.DataFrame:
        """The cells as a pandas frame with columns corruption, severity, n, top1, top5, accuracy, error.

        An unknown top5 is NaN. Where the labels are clean predictions, the last two are agreement and flip_rate. Of
        sequences the columns are perturbation, difficulty, n, flip_probability, top5_distance (its mean).
        """
        from ppbench.run.frame import as_frame

        shares = ("accuracy", "error") if self.protocol.labels is None else ("agreement", "flip_rate")
        return as_frame(self.cells, flips=self.protocol.sequences is not None, shares=shares)


def expected_cells(corruptions: Iterable[str], severities: Iterable[int]) -> list[Cell]:
    """All cells of a protocol in order: clean, then each corruption at each severity."""
    severities = tuple(severities)
    return [(CLEAN, 0), *((corruption, severity) for corruption in corruptions for severity in severities)]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the run file."""
    # The schema calls the counts of a cell by the name that they had when it was published.
    text = json.dumps(Run.model_json_schema()).replace("CellCounts", "Cell")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **json.loads(text)}
