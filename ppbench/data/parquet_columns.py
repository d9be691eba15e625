"""Find the columns of images and labels in a Parquet file's schema. Free of torch; pyarrow is known by what it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppbench.data.from_python import IMAGE_NAMES, LABEL_NAMES
from ppbench.errors import DataError
from ppbench.parsing import parse_json


class Columns(NamedTuple):
    """The columns of a set of images."""

    image: str
    is_struct: bool
    """Whether it is a struct with ``bytes``, or else the bytes themselves."""
    has_paths: bool
    """Whether that struct has the path of each image's file."""
    label: str | None
    """None: there are no labels."""
    class_names: tuple[str, ...] | None
    """Names of the classes, from Hugging Face's metadata; None: not there."""

    @property
    def content(self) -> str:
        """The column to read for the bytes of images."""
        return f"{self.image}.bytes" if self.is_struct else self.image


def find_columns(schema: Any, path: Path, *, labelled: bool = True) -> Columns:
    """Find the columns by their names, Hugging Face's metadata and their types.

    Args:
        schema: The file's schema.
        path: The file, for messages.
        labelled: Whether labels are needed.

    Raises:
        DataError: If there is no image column, no label column although it is needed, or more than one that may be
            meant.
    """
    features = _features(schema)
    if twice := next((name for name, times in Counter(schema.names).items() if times > 1), None):
        raise DataError(f"{path} has several columns called {twice}", "Give each column a name of its own.")
    image = _choose(_image_columns(schema, features), IMAGE_NAMES, schema, path, "image")
    labels = [field.name for field in schema if _is_label(field.type) and field.name != image]
    classes = [name for name in labels if _feature(features, name).get("_type") == "ClassLabel"]
    fit = classes or [name for name in labels if name in LABEL_NAMES]
    label = _choose(fit, LABEL_NAMES, schema, path, "label") if labelled or fit else None
    kind = schema.field(image).type
    fields = {kind.field(place).name: str(kind.field(place).type) for place in range(kind.num_fields)}
    names = _feature(features, label).get("names") if label is not None else None
    known = tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
    return Columns(image, bool(fields), "string" in fields.get("path", ""), label, known or None)


def _choose(found: list[str], usual: tuple[str, ...], schema: Any, path: Path, what: str) -> str:
    """The column of a usual name, or the only one."""
    for name in usual:
        if name in found:
            return name
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{field.name} ({_short(field.type)})" for field in schema) or "none"
    problem = f"no column of {what}s" if not found else f"several columns that may be {what}s: {', '.join(found)}"
    kinds = "the bytes of image files, or a struct with `bytes`" if what == "image" else "integers or texts"
    raise DataError(f"{path} has {problem}; its columns are {there}", f"Name one {usual[0]!r}: a column of {kinds}.")


def _image_columns(schema: Any, features: Mapping[str, Any]) -> list[str]:
    fit = [field.name for field in schema if _is_image(field.type)]
    return [name for name in fit if _feature(features, name).get("_type") == "Image"] or fit


def _is_image(kind: Any) -> bool:
    """Whether a column has bytes, alone or in a struct."""
    fields = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
    return _is_binary(fields.get("bytes", kind))


def _is_binary(kind: Any) -> bool:
    return str(kind) in ("binary", "large_binary", "binary_view")


def _is_label(kind: Any) -> bool:
    name = str(kind)
    return name.startswith(("int", "uint")) or name in ("string", "large_string", "string_view") or "dictionary" in name


def _short(kind: Any) -> str:
    """A type in a few characters."""
    return str(kind).replace("\n", " ")[:40]


def _features(schema: Any) -> Mapping[str, Any]:
    """Hugging Face's description of the columns, which it keeps in the schema's metadata."""
    try:
        found = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _feature(features: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = features.get(name)
    return found if isinstance(found, Mapping) else {}
