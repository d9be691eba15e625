"""The manifest of a folder that ``ppbench corrupt`` wrote, which says how its images were made. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ppbench.data.source import Source
from ppbench.data.walk import MANIFEST, SCRATCH, is_output
from ppbench.errors import DataError
from ppbench.parsing import parse_json

MANIFEST_VERSION = 1

SOURCES_LINE = '  "sources": {'
"""The line after which a manifest has one line for each source."""

_LONGEST = 256
"""Characters of a name in a manifest: of a recipe, an engine, a hash."""


@dataclass(frozen=True)
class CopyRecord:
    """How the images of a folder were made."""

    recipe: str
    """With the factor of its lengths, if there was one: ``imagenet-c, scale 2.0``."""
    engine: str
    seed: int
    is_jpeg: bool | None
    """Whether the files are JPEGs of quality 85; None: those of JPEG images are."""
    cells: frozenset[str] = field(default=frozenset(), compare=False)
    """``fog/3``, ``clean/0``: what was written."""
    own: Mapping[str, str] = field(default_factory=dict, compare=False)
    """SHA-256 of the source of each corruption of the user's own, by name."""

    def has(self, name: str) -> bool:
        """Whether a corruption or perturbation was written."""
        return any(cell.rpartition("/")[0] == name for cell in self.cells)


def read_head(file: BinaryIO) -> dict[str, Any]:
    """Read a manifest up to its sources, at which the file then is.

    Raises:
        ValueError: If it is no manifest of this version, or damaged; KeyError and TypeError likewise.
    """
    lines = []
    for line in iter(file.readline, b""):
        lines.append(line.decode("ascii").rstrip("\n"))
        if lines[-1] == SOURCES_LINE:
            break
    head: dict[str, Any] = parse_json("\n".join((*lines, "}}")))
    if head["manifest"] != MANIFEST_VERSION:
        raise ValueError(f"version {head['manifest']}")
    return head


def damaged_manifest(path: Path, error: Exception, hint: str) -> DataError:
    """The error for a manifest that cannot be read."""
    return DataError(f"{path} is not a manifest of ppbench, or damaged ({error})", hint)


def copy_record(folder: Path) -> CopyRecord | None:
    """Read how the images in a folder were made; None if ``ppbench corrupt`` did not write it.

    Raises:
        DataError: If it has not finished writing, or its record is damaged.
    """
    if not is_output(folder):
        return None
    if (folder / SCRATCH).is_dir():
        raise DataError(
            f"`ppbench corrupt` has not finished writing {folder}",
            "Run its command again: it goes on where it stopped.",
        )
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            return _record(read_head(file))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}", "Make it readable.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        hint = f"Write the folder again: `ppbench corrupt … {folder} --overwrite`."
        raise damaged_manifest(path, error, hint) from error


def _record(head: Mapping[str, Any]) -> CopyRecord:
    settings, seed, scale = head["settings"], head["settings"]["seed"], head["settings"].get("scale")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError("its seed is no integer")
    recipe = _text(settings["recipe"]) if scale is None else f"{_text(settings['recipe'])}, scale {_text(str(scale))}"
    is_jpeg = {"same": None, "jpeg": True}.get(_text(settings["format"]), False)
    if settings.get("sequences"):
        is_jpeg = False
    own = {_text(name): _text(sha256) for name, sha256 in head.get("own", {}).items()}
    cells = frozenset(_text(cell) for cell in head["cells"])
    return CopyRecord(recipe, _text(head["made_with"]["engine"]), seed, is_jpeg, cells, own)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError("a name is no short text")
    return value


def label_copies(
    source: Source,
    records: Mapping[str, CopyRecord],
    corruptions: Sequence[str],
    root: Path,
    *,
    has_jpegs: bool = False,
) -> None:
    """Label images that ``ppbench corrupt`` wrote as made by it, with its recipe, engine and seed.

    Args:
        source: The images, which are labelled as published.
        records: How they were made, by corruption; published corruptions have none.
        corruptions: Those in use.
        root: The folder, for messages.
        has_jpegs: Whether some of the files are JPEGs.

    Raises:
        DataError: If those in use were not all made in the same way.
    """
    there = [name for name in corruptions if name in source.corruptions]  # what is missing is said elsewhere
    mine = next((name for name in there if name in records), None)
    if mine is None:
        return
    first = records[mine]
    other = next((name for name in there if records.get(name) != first), None)
    if other is not None:
        how = f"made {other} with {_in_words(records[other])}" if other in records else f"did not make {other}"
        raise DataError(
            f"in {root}, `ppbench corrupt` made {mine} with {_in_words(first)}, and it {how}",
            f"Evaluate the two one after the other: `--corruptions {mine}`, then `--corruptions {other}`.",
        )
    is_jpeg = has_jpegs if first.is_jpeg is None else first.is_jpeg
    source.kind = "generated-jpeg85" if is_jpeg else "generated"
    source.recipe, source.engine, source.made_seed = first.recipe, first.engine, first.seed
    source.own = {name: sha256 for record in records.values() for name, sha256 in record.own.items()}


def _in_words(record: CopyRecord) -> str:
    return f"recipe {record.recipe}, {record.engine} and seed {record.seed}"
