"""The tables that can be reproduced: TOML files, in the package or of the user. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from ppbench.data.catalog import DATASETS
from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.files import read_text
from ppbench.lookup import did_you_mean, unknown_name
from ppbench.metrics.cell_errors import headline_corruptions
from ppbench.models.card import first_fault
from ppbench.models.shapes import parse_model_name
from ppbench.parsing import parse_toml
from ppbench.reproduce.columns import Column, parse_column
from ppbench.train.recipe import TrainRecipe
from ppbench.vocabulary import expand_corruptions

ROW_PATTERN = r"[a-z0-9][a-z0-9_.+]*(-[a-z0-9_.+]+)*"
"""Row ids are part of file names."""

ROWS_OWN = ("model", "dataset", "seed", "augment", "jsd")
"""Settings in which rows differ, so that they cannot be set for all rows."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Training(_Part):
    """How the networks of a table are trained."""

    dataset: str
    """Name for ``ppbench train --dataset``."""
    recipe: str
    """Name for ``ppbench train --recipe``."""
    overrides: dict[str, Any] = {}
    """Values that replace the recipe's."""
    images: int = Field(ge=1)
    """Training images; for estimates."""
    size: int = Field(ge=8)
    """Side of the square images that enter the network, in pixels; for estimates."""


class Evaluation(_Part):
    """The images that the networks are measured on."""

    dataset: str
    """Name for ``ppbench eval --dataset``."""
    data: str | None = None
    """Where its images are in the folder of the training data; None: they come with ppbench."""
    corruptions: tuple[str, ...] | None = None
    """Names, families and sets; None: the dataset's own."""
    limit: int | None = Field(default=None, ge=1)
    """Number of images to use; None: all."""
    images: int = Field(ge=1)
    """Images of the dataset; for estimates."""

    @field_validator("dataset")
    @classmethod
    def _known(cls, name: str) -> str:
        return DATASETS[name].name

    @field_validator("corruptions")
    @classmethod
    def _known_corruptions(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None:
            expand_corruptions(names)
        return names


class Row(_Part):
    """One network of a table."""

    id: str = Field(pattern=f"^{ROW_PATTERN}$")
    """For ``--rows``."""
    label: str
    """Name in the publication's table."""
    model: str
    """Name for `ppbench.create_model`."""
    augment: str | None = None
    """Added augmentation: ``ppbench train --augment``."""
    jsd: bool = False
    """Whether the loss has AugMix's Jensen-Shannon term."""
    overrides: dict[str, Any] = {}
    """Values that replace the recipe's and the table's."""
    published: dict[str, FiniteFloat] = {}
    """Published figures in percent, by label."""

    @field_validator("model")
    @classmethod
    def _known(cls, name: str) -> str:
        parse_model_name(name)
        return name


class Table(_Part):
    """A table of a publication, or one made like it."""

    name: str
    title: str
    source: str
    """Source of the published figures, or why there are none."""
    baseline: str
    """The row that the others are compared with."""
    metrics: tuple[str, ...] = Field(min_length=1)
    """Labels of the columns: `ppbench.reproduce.columns`."""
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    gpu: str = "a100-tf32"
    """The machine of estimates by default: a name of `ppbench.reproduce.costs.MACHINES`."""
    protocol_differences: tuple[str, ...] = ()
    """Sentences about what differs from the publication."""
    training: Training
    evaluation: Evaluation
    rows: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [row.id for row in self.rows]
        twice = [name for name in ids if ids.count(name) > 1]
        if twice:
            raise ValueError(f"the row {twice[0]} appears twice")
        if self.baseline not in ids:
            raise ValueError(f"the baseline {self.baseline} is not one of the rows")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed appears twice")
        columns = self.columns()
        for label, column in zip(self.metrics, columns, strict=True):
            if label != column.label:
                raise ValueError(f"the metric {label} must be written {column.label}")
            if column.quantity.reference and headline_corruptions(column.corruptions) != column.corruptions:
                raise ValueError(f"{label}: R_net needs c15 itself, or corruptions that do not include all of c15")
        if any(column.baseline not in (None, self.baseline) for column in columns):
            raise ValueError(f"R_net must be compared with the baseline {self.baseline}, not with another row")
        unknown = [label for row in self.rows for label in row.published if label not in self.metrics]
        if unknown:
            raise ValueError(f"{unknown[0]} has a published figure, but is not one of the metrics")
        return self

    def columns(self) -> tuple[Column, ...]:
        """The columns that the labels in `metrics` stand for."""
        return tuple(parse_column(label) for label in self.metrics)

    def with_overrides(self, values: Mapping[str, Any]) -> Table:
        """Return the table with other settings of the training, listed among its `protocol_differences`.

        Raises:
            UsageError: If a setting is unknown, its value is not allowed, or it is one in which rows differ.
        """
        if not values:
            return self
        own = [key for key in values if key in ROWS_OWN]
        if own:
            raise UsageError(
                f"--set {own[0]} is not allowed: the rows and seeds set it", "Use `--rows` and `--seeds` instead."
            )
        _check_settings(values)
        listed = ", ".join(f"{key} = {value}" for key, value in values.items())
        sentences = (*self.protocol_differences, f"Trained with settings that are not the table's: {listed}.")
        training = self.training.model_copy(update={"overrides": {**self.training.overrides, **values}})
        return self.model_copy(update={"training": training, "protocol_differences": sentences})

    def row(self, name: str) -> Row:
        """Return a row by its id.

        Raises:
            UsageError: If there is none; the message suggests the closest id.
        """
        found = next((row for row in self.rows if row.id == name), None)
        if found is None:
            raise unknown_name(
                "row", name, [row.id for row in self.rows], f"ppbench reproduce --table {self.name} --list"
            )
        return found

    def select(self, names: Sequence[str] | None) -> tuple[Row, ...]:
        """Return these rows, each once, in the order of the table; all rows for None.

        Raises:
            UsageError: If one is unknown.
        """
        if names is None:
            return self.rows
        wanted = {self.row(name).id for name in names}
        return tuple(row for row in self.rows if row.id in wanted)


def _check_settings(values: Mapping[str, Any]) -> None:
    """Raise `UsageError` for the first setting that no recipe can have."""
    known = [name for name in TrainRecipe.model_fields if name not in ("name", *ROWS_OWN)]
    for key in values:
        if key not in known:
            raise UsageError(
                f"--set {key}: there is no such setting", f"{did_you_mean(key, known)}allowed: {', '.join(known)}"
            )
    try:
        TrainRecipe.model_validate({"model": "", "dataset": "", **values})
    except ValidationError as error:
        for fault in error.errors():
            # Only faults of a single value count: the rest of the recipe here is made up.
            if fault["loc"] and (key := str(fault["loc"][0])) in values:
                raise UsageError(
                    f"--set {key}={values[key]} is not allowed", f"{fault['msg'].removeprefix('Value error, ')}."
                ) from error


def table_names() -> list[str]:
    """Names of the tables that come with ppbench, sorted."""
    folder = files("ppbench.reproduce") / "tables"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_table(name: str) -> Table:
    """Read a table by its name, or by the path of a TOML file.

    Raises:
        UsageError: If there is no table of that name, or the content of the file is not allowed.
        DataError: If the file cannot be read.
    """
    if name.endswith(".toml") or "/" in name:
        return _parse(_read(Path(name)), name)
    if name not in table_names():
        closest = did_you_mean(name, table_names())
        listed = ", ".join(table_names())
        raise UsageError(
            f"unknown table {name!r}", f"{closest}There are {listed}; or give a file: `--table FILE.toml`."
        )
    return _parse((files("ppbench.reproduce") / "tables" / f"{name}.toml").read_text(encoding="utf-8"), name)


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read the table {path}: {reason}", f"There are {', '.join(table_names())}.") from error


def _parse(text: str, what: str) -> Table:
    try:
        return Table.model_validate(parse_toml(text))
    except ValidationError as error:
        fault = first_fault(error)
        raise UsageError(f"the table {what} is not valid: {fault}", "docs/reproduce.md has an example.") from error
    except ValueError as error:  # after ValidationError, which is a ValueError
        raise UsageError(f"{what} is not TOML: {error}", "docs/reproduce.md has an example.") from error
    except PpbenchError as error:
        raise UsageError(f"the table {what}: {error.message}", error.hint) from error
