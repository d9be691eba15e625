"""Types of the fields of a run file, and the base of its records."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic_core import CoreSchema

from ppbench.parsing import LARGEST_INTEGER
from ppbench.vocabulary import NAME_PATTERN

CALIBRATION_BINS = 15
"""Equal-width bins of the top-1 probability, as in Guo et al., ICML 2017."""

MOST_CLASSES = 2**16
"""Classes that 16 bits can number, as predictions do."""

_T = TypeVar("_T")


class _UpToTheFirstFault:
    """What pydantic's ``FailFast`` does, for types with an alternative as well."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return {**handler(source), "fail_fast": True}


Many = Annotated[tuple[_T, ...], _UpToTheFirstFault()]
"""Values of one kind. After the first that is wrong, the others are not looked at: each error takes a kilobyte."""

Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Number = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]


def is_file_name(name: str) -> bool:
    """Whether a name can only be of a file in the same folder: no path, no drive, not too long."""
    return Path(name).name == name not in ("", "..") and "\0" not in name and len(name.encode()) <= 255


def _beside(name: str) -> str:
    if not is_file_name(name):
        raise ValueError(f"{name!r} is not a file name: what belongs to a run file is beside it")
    return name


FileName = Annotated[str, AfterValidator(_beside)]
"""The name of a file beside the run file."""


def as_utf8(name: str) -> str:
    """Convert a name from the command line or a folder for a run file; bytes that are not UTF-8 are replaced."""
    try:
        return os.fsencode(name).decode("utf-8", "replace")
    except UnicodeEncodeError:  # not from the system, or from another locale
        return name.encode("utf-8", "replace").decode()


def as_text(text: Any) -> Any:
    """Apply `as_utf8` to a text; anything else is left to the validation."""
    return as_utf8(text) if isinstance(text, str) else text


LONGEST_TEXT = 4096
"""Characters that a name or a sentence may have, as many as a path."""

Text = Annotated[str, BeforeValidator(as_text), Field(max_length=LONGEST_TEXT)]
"""A name or a sentence of any characters."""
Bins = Annotated[tuple[Count, ...], Field(min_length=CALIBRATION_BINS, max_length=CALIBRATION_BINS)]


def _named(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"{name!r} is not a corruption's name, which matches {NAME_PATTERN}")
    return name


CellName = Annotated[str, AfterValidator(_named), Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
"""``clean`` or a corruption, perhaps one that only this dataset has."""
Severity = Annotated[int, Field(ge=1, le=5)]


class Record(BaseModel):
    """A part of a run file: it cannot be changed, and has no fields that this version does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    absent_if_none: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not written if they are None, so that files without them stay as they were."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        for name in self.absent_if_none:
            if content.get(name, 0) is None:
                del content[name]
        return content


def first_problem(error: ValidationError) -> str:
    """Describe the first problem that pydantic found, in one line: where and what."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "run"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
