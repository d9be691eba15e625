"""The run file: the record of one model on one dataset, and the only door between inference and metrics.

It holds integer counts per cell, never ratios, and all that is needed to know what they are counts of. One
correctness bit per image and cell lies beside it in ``<name>.bits.npy``, with a key per image that tells which image
it is. Free of torch; docs/run-file.md describes the format for people, `json_schema` for programs.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from ppbench.bits import Arrays, as_utf8, is_file_name, read_arrays
from ppbench.errors import DataError
from ppbench.files import atomic_write, read_text
from ppbench.parsing import LARGEST, parse_json
from ppbench.vocabulary import CLEAN, NAME_PATTERN

if TYPE_CHECKING:
    # Only the bits need numpy, and only `to_frame` pandas: `ppbench show` answers sooner without them.
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

VERSION: Literal[2] = 2
UNKNOWN = "unknown"
"""The recipe, engine and precision of what was made elsewhere."""
CALIBRATION_BINS = 15
"""Equal-width bins of the top-1 probability, as in Guo et al., ICML 2017."""
MICRO = 1_000_000
"""Log losses and probabilities are summed as integers of one millionth, so that sums do not depend on the order."""

Count = Annotated[int, Field(ge=0, le=LARGEST)]
Number = Annotated[int, Field(ge=1, le=LARGEST)]


def _utf8(text: Any) -> Any:
    return as_utf8(text) if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_utf8), Field(max_length=4096)]
"""A name or a sentence: of any characters, but no longer than a path may be."""
Bins = Annotated[tuple[Count, ...], Field(min_length=CALIBRATION_BINS, max_length=CALIBRATION_BINS)]


def _named(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"{name!r} is no corruption's name, which matches {NAME_PATTERN}")
    return name


CellName = Annotated[str, AfterValidator(_named), Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
"""``clean`` or a corruption, which may be one that only this dataset has."""
Severity = Annotated[int, Field(ge=1, le=5)]

_OLDER_DECISIONS = {"within": "pass", "beyond": "worse than allowed"}
"""What run files of before call a decision."""

Decision = Annotated[
    Literal["pass", "worse than allowed"],
    BeforeValidator(lambda word: _OLDER_DECISIONS.get(word, word) if isinstance(word, str) else word),
]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _beside(name: str) -> str:
    if not is_file_name(name):
        raise ValueError(f"{name!r} is no file name: bits lie beside their run file")
    return name


class Cell(_Record):
    """The counts of one corruption at one severity; ``clean`` at severity 0 is the uncorrupted images.

    Predictions that were given as labels have no probabilities: what is counted of these is None.
    """

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

    @model_validator(mode="after")
    def _consistent(self) -> Cell:
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
        if (self.corruption == CLEAN) != (self.severity == 0):
            raise ValueError("severity 0 is for clean images, and only for them")
        return self

    @property
    def key(self) -> tuple[str, int]:
        """(corruption, severity)."""
        return self.corruption, self.severity

    @property
    def error(self) -> float:
        """Top-1 error, a fraction."""
        return 1 - self.top1 / self.n


BEYOND_TOP1 = ("top5", "nll_micronats", "bin_n", "bin_top1", "bin_confidence")
"""Counts of a cell that cannot be had from correctness bits, and that baselines of ``check`` do not keep."""


def conversion(card: Mapping[str, Any]) -> str | None:
    """``push not rectified (ppbench convert of resnet50)``: how a model was made of a plain one; None if it was not.

    Args:
        card: Of the model, as a dict.
    """
    origin = card.get("origin") or {}
    converted = bool(origin.keys() - {"initial_weights"})  # which says of training alone what it began with
    made = f"ppbench convert of {origin.get('name', 'another network')}" if converted else None
    if card.get("rectified_push", True):
        return made
    return "push not rectified" + (f" ({made})" if made else "")


_HASH_OF_NOTHING = hashlib.sha256().hexdigest()


class _Origin(BaseModel):
    """What the right half reads of where a model came from; more may stand there."""

    model_config = ConfigDict(extra="allow")

    name: Text | None = None


class CardNotes(BaseModel):
    """What the right half reads of a card; more may stand in it, for people and for later versions."""

    model_config = ConfigDict(extra="allow")

    origin: _Origin | None = None
    trained_on: Text | None = None
    trained_on_corruptions: tuple[Text, ...] | None = None
    rectified_push: bool | None = None
    clean_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None


class ModelRecord(_Record):
    """Which weights were measured, and how they were used."""

    name: Text
    """As given on the command line: a name of the embedded models, or a file name."""
    weights_sha256: str | None = None
    """Of all parameters and buffers, independent of the file format (`ppbench.models.checkpoint.weights_hash`), and of
    what else the weights are in (`ppbench.models.weights`); None: which weights it has is not known."""
    parameters: Count
    card: dict[str, Any]

    @model_validator(mode="after")
    def _has_a_card(self) -> ModelRecord:
        try:
            CardNotes.model_validate(self.card)
        except ValidationError as error:
            raise ValueError(f"card.{_first_fault(error)}") from error
        return self

    @field_validator("weights_sha256")
    @classmethod
    def _no_hash_of_nothing(cls, value: str | None) -> str | None:
        """Earlier versions gave networks whose weights they did not see the hash of nothing."""
        return None if value == _HASH_OF_NOTHING else value

    def has_weights_of(self, sha256: str | None) -> bool:
        """Whether its weights are known to be those of a hash; what is not known is no other model's."""
        return self.weights_sha256 is not None and self.weights_sha256 == sha256

    @property
    def trained_on_corruptions(self) -> tuple[str, ...]:
        """Corruptions that an augmentation of its training is of the same kind as, by its card; empty if not known."""
        return tuple(self.card.get("trained_on_corruptions") or ())

    @property
    def conversion(self) -> str | None:
        """How it was made of a plain network, if it was: `conversion`."""
        return conversion(self.card)


class ClassSubset(_Record):
    """Which classes were in use where these are not all of the dataset's, and which outputs of the model competed."""

    n: Number
    """Classes in use."""
    outputs: Number
    """Outputs of the model."""
    names_sha256: str
    """Of the class names in order, joined by newlines."""
    logits: Literal["own", "masked", "all"]
    """"own": the model has just these outputs; "masked": only the outputs of these classes compete; "all": all do."""

    @model_validator(mode="after")
    def _consistent(self) -> ClassSubset:
        if self.n > self.outputs:
            raise ValueError(f"n {self.n} <= outputs {self.outputs} does not hold")
        if self.logits == "own" and self.n != self.outputs:
            raise ValueError(f"a model with outputs of its own for {self.n} classes does not have {self.outputs}")
        return self

    @property
    def competing(self) -> int:
        """Outputs that an image's prediction is chosen from."""
        return self.outputs if self.logits == "all" else self.n


class Stopping(_Record):
    """How an evaluation ended that visits images in a random order until it knows enough."""

    metric: Text
    """Of which the interval is: its label without the number of images."""
    confidence: float = Field(gt=0, lt=1)
    """Of the interval, however often it was looked at."""
    value: FiniteFloat
    """Of the metric over the images visited, in percent or points."""
    low: FiniteFloat
    high: FiniteFloat
    wanted: Text
    """What it went on for: ``half-width 0.5`` or ``decided against max drop 0.5``."""
    reached: bool
    """Whether it was reached before the images were at an end."""
    baseline: str | None = None
    """SHA-256 of the weights that it was compared with."""
    max_drop: FiniteFloat | None = None
    """Points by which the model may err more than the baseline; None where it was not compared with one."""
    decision: Decision | None = None
    """What `ppbench check` calls a drop within ``max_drop`` and one beyond it; None where that was not decided."""

    @model_validator(mode="after")
    def _consistent(self) -> Stopping:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} <= high {self.high:g} does not hold")
        if self.decision is not None and self.max_drop is None:
            raise ValueError("a decision needs max_drop")
        return self


class Protocol(_Record):
    """All that must be equal for two runs to be comparable."""

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
    corruptions: tuple[CellName, ...]
    severities: tuple[Severity, ...]
    n: Number
    """Images per cell that were asked for."""
    total: Number
    """Images per cell that the dataset has."""
    ids_sha256: Text
    """Of the evaluated images' ids, in order."""
    preprocessing: Text
    precision: Literal["fp32", "tf32", "bf16", "fp16", "unknown"]
    """"unknown" of predictions that were made elsewhere."""
    normalizer: Text
    """Denominators of CE that are customary for this dataset: "alexnet" or "none"."""
    classes: ClassSubset | None = None
    """None: all classes of the dataset, and the model's whole head."""
    unreadable: tuple[str, ...] | None = None
    """Ids of the images that were asked for and could not be read, and are in no cell; None if there are none."""

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        if self.n > self.total:
            raise ValueError(f"n {self.n} <= total {self.total} does not hold")
        if CLEAN in self.corruptions:
            raise ValueError(f"{CLEAN} is no corruption")
        for values in (self.corruptions, self.severities):
            if len(set(values)) != len(values):
                raise ValueError("a corruption or a severity stands twice")
        return self


class Provenance(_Record):
    """Where, when and with what the run was made; no two runs need agree in it."""

    command: Annotated[str, BeforeValidator(_utf8)]
    git_commit: str | None
    """Of the working directory, with "-dirty" if it has uncommitted changes; None outside a repository."""
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


class Bits(_Record):
    """The file of correctness bits beside the run file: uint8 ``(cells, ceil(n / 8))``, big-endian bits.

    A second array in the same file, uint64 ``(n,)``, has the images' keys (`image_keys`); older files lack it.
    """

    file: Annotated[str, AfterValidator(_beside)]
    """A file name, and no path: what is not beside the run file is not read."""
    sha256: str


class Run(_Record):
    """One model on one dataset."""

    version: Literal[2] = VERSION
    status: Literal["complete", "interrupted"]
    """"interrupted": only finished cells are in the file."""
    model: ModelRecord
    protocol: Protocol
    cells: tuple[Cell, ...]
    """Clean first, then in the order of the protocol; cells that were not finished are absent."""
    bits: Bits | None = None
    stopping: Stopping | None = None
    """Of an evaluation that was to stop as soon as it knew enough; its protocol's n is the images it visited."""
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> Run:
        keys = [cell.key for cell in self.cells]
        if len(set(keys)) != len(keys):
            raise ValueError("a cell stands twice")
        expected = dict.fromkeys(expected_cells(self.protocol.corruptions, self.protocol.severities))
        known = set(keys)
        for cell in self.cells:
            if cell.key not in expected:
                raise ValueError(f"{_words(cell.key)} is not among the cells of the protocol")
            if cell.n != self.protocol.n:
                raise ValueError(f"{_words(cell.key)} has n {cell.n}, the protocol {self.protocol.n}")
        # Clean images may be absent from a whole run: published sets of corrupted images have none.
        missing = [key for key in expected if key not in known and key != (CLEAN, 0)]
        if missing and self.status == "complete":
            raise ValueError(f"the run is complete, yet {_words(missing[0])} is missing")
        return self

    def cell(self, corruption: str, severity: int) -> Cell | None:
        """The cell, or None if it was not measured."""
        return next((cell for cell in self.cells if cell.key == (corruption, severity)), None)

    def to_frame(self) -> pd.DataFrame:
        """The cells as a pandas frame with columns corruption, severity, n, top1, top5, accuracy, error.

        An unknown top5 is NaN.
        """
        import pandas as pd

        unknown = float("nan")
        rows = [(*c.key, c.n, c.top1, unknown if c.top5 is None else c.top5, c.top1 / c.n, c.error) for c in self.cells]
        return pd.DataFrame(rows, columns=["corruption", "severity", "n", "top1", "top5", "accuracy", "error"])


def expected_cells(corruptions: Iterable[str], severities: Iterable[int]) -> list[tuple[str, int]]:
    """All cells of a protocol in order: clean, then each corruption at each severity."""
    severities = tuple(severities)
    return [(CLEAN, 0), *((corruption, severity) for corruption in corruptions for severity in severities)]


def _words(key: tuple[str, int]) -> str:
    """``fog at severity 3``."""
    corruption, severity = key
    return corruption if corruption == CLEAN else f"{corruption} at severity {severity}"


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the run file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Run.model_json_schema()}


def image_keys(ids: Sequence[str]) -> NDArray[np.uint64] | None:
    """A key for each image, the same in every run: the first 8 bytes of the id's BLAKE2b hash, low byte first.

    Returns:
        ``(n,)`` uint64; None if two images have one key, so that keys would not tell them apart.
    """
    import numpy as np

    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    keys = np.frombuffer(digests, "<u8").astype(np.uint64)
    return keys if len(np.unique(keys)) == len(keys) else None


def bits_file(path: Path) -> Path:
    """Where the bits of a run file are written: beside it."""
    return path.with_name(f"{path.name.removesuffix('.json')}.bits.npy")


def write_run(
    path: Path,
    run: Run,
    bits: Mapping[tuple[str, int], NDArray[np.bool_]] | None = None,
    keys: NDArray[np.uint64] | None = None,
    *,
    compact: bool = False,
) -> Run:
    """Write ``run`` and, beside it, the correctness bits; each file appears whole or not at all.

    Args:
        path: The run file (``….json``).
        run: The record; its ``bits`` entry is filled in here.
        bits: ``(n,)`` booleans per cell of the run, in the order of the images.
        keys: ``(n,)`` of the same images, in the same order (`image_keys`); None: the file has none, and the run can
            be paired only with runs of the very same images.
        compact: Write what a baseline needs and nothing that two runs of equal results differ in: no provenance, no
            card and no nulls.

    Returns:
        The run as written.

    Raises:
        DataError: If the folder cannot be written.
    """
    if bits is not None:
        import numpy as np

        packed = np.stack([np.packbits(bits[cell.key]) for cell in run.cells])
        buffer = io.BytesIO()
        np.save(buffer, packed, allow_pickle=False)
        if keys is not None:
            np.save(buffer, keys.astype("<u8"), allow_pickle=False)
        beside, content = bits_file(path), buffer.getvalue()
        atomic_write(beside, content)
        run = run.model_copy(
            update={"bits": Bits(file=as_utf8(beside.name), sha256=hashlib.sha256(content).hexdigest())}
        )
    record = run.model_dump(mode="json")
    atomic_write(path, _pretty(_compacted(record) if compact else record) + "\n")
    return run


def read_run(path: Path | str) -> Run:
    """Read a run file of this or an earlier version.

    Raises:
        DataError: If the file is missing, is no run file, is of a later version, or contradicts itself.
    """
    path = Path(path)
    try:
        content = parse_json(read_text(path))
    except OSError as error:
        raise DataError(f"cannot read the run {path}: {error.strerror}", "`ppbench eval` writes run files.") from error
    except ValueError as error:
        raise DataError(
            f"{path} is not a run file: it is not JSON ({error})", "`ppbench eval` writes run files."
        ) from error
    version = content.get("version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise DataError(f"{path} is not a run file: it has no version", "`ppbench eval` writes run files.")
    if version > VERSION:
        raise DataError(
            f"{path} is a run file of version {version}; this ppbench reads up to {VERSION}",
            "Update ppbench: `git pull && uv sync` in its clone.",
        )
    while version in _MIGRATIONS:
        content = _MIGRATIONS[version](content)
        version = content["version"]
    if content.pop("compact", False):
        content = _expanded(content)
    try:
        return Run.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {_first_fault(error)}", "Evaluate again, or restore the file.") from error


def _first_fault(error: ValidationError) -> str:
    """What pydantic found wrong first, in one line: where, and what."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "run"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


def read_bits(path: Path | str, run: Run) -> dict[tuple[str, int], NDArray[np.bool_]]:
    """Read the correctness bits that belong to the run file at ``path``: ``(n,)`` booleans per cell.

    Raises:
        DataError: If there are none, or the file is not the one the run was written with.
    """
    import numpy as np

    file, packed, _ = _read_arrays(path, run)
    found = {}
    for cell, row in zip(run.cells, packed, strict=True):
        found[cell.key] = np.unpackbits(row, count=cell.n).astype(bool)
        if np.count_nonzero(found[cell.key]) != cell.top1:
            raise _damaged(file, f"its bits of {_words(cell.key)} are not the {cell.top1} right images of the run file")
    return found


def read_image_keys(path: Path | str, run: Run) -> NDArray[np.uint64] | None:
    """Read the images' keys (`image_keys`) from beside the bits: ``(n,)``, in the order of the bits.

    Returns:
        None if the file was written without them, as all were before there were keys.

    Raises:
        DataError: As `read_bits`; or if what stands for keys is none, or has a key twice.
    """
    import numpy as np

    beside, _, keys = _read_arrays(path, run)
    if keys is None:
        return None
    if len(np.unique(keys)) < len(keys):
        raise _damaged(beside, "its images' keys have a key twice")
    return keys


def _read_arrays(path: Path | str, run: Run) -> Arrays:
    if run.bits is None:
        raise DataError(f"{path} has no correctness bits", "Evaluate again to get them.")
    shape = (len(run.cells), -(-run.protocol.n // 8))
    return read_arrays(Path(path), run.bits.file, run.bits.sha256, shape, run.protocol.n)


def _damaged(file: Path, found: str) -> DataError:
    return DataError(f"{file} is damaged: {found}", "Evaluate again, or restore the file.")


def _from_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """What version 2 added has defaults that say what version 1 was: all classes, one process, not compiled."""
    return {**content, "version": 2}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_version_1}
"""By the version that they read; each makes the next one."""


_NULLABLE = ("top5", "nll_micronats", "bin_n", "bin_top1", "bin_confidence")
"""Counts of a cell that may be unknown, which a compact file leaves out then."""


def _compacted(content: dict[str, Any]) -> dict[str, Any]:
    """A run file's content as baselines have it: sorted, and nothing in it of when and where it was made."""
    model = {key: value for key, value in content["model"].items() if key != "card"}
    kept = {key: value for key, value in content.items() if key != "provenance"}
    cells = [dict(sorted(cell.items())) for cell in content["cells"]]
    return _without_nulls({**kept, "cells": cells, "compact": True, "model": model})


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _expanded(content: dict[str, Any]) -> dict[str, Any]:
    """What `_compacted` left out, as unknown; anything that is not as it should be is left to the validation."""
    unknown = Provenance(
        command="", git_commit=None, versions={}, platform="unknown", device="unknown", started="unknown", seconds=0
    )
    filled = {"provenance": unknown.model_dump(), **content}
    if isinstance(filled.get("model"), dict):
        filled["model"] = {"card": {}, **filled["model"]}
    if isinstance(filled.get("cells"), list):
        empty = dict.fromkeys(_NULLABLE)
        filled["cells"] = [{**empty, **cell} if isinstance(cell, dict) else cell for cell in filled["cells"]]
    return filled


def _pretty(content: dict[str, Any]) -> str:
    """JSON with one line per cell: small enough to read, and a diff shows which cell changed."""
    rows = ",\n".join(f"    {json.dumps(cell)}" for cell in content["cells"])
    body = json.dumps({**content, "cells": "@"}, indent=2, ensure_ascii=False, sort_keys=True)
    return body.replace('"@"', f"[\n{rows}\n  ]" if content["cells"] else "[]", 1)
