"""The record of a folder's files: a journal while a job runs, the manifest at its end.

The journal names the files of a source before they are written, so that they can be found if the job dies.

Both have one line per source, so that they can be read and written without being held in memory. Neither has times or
absolute paths: the manifest is the same, byte for byte, however often the job was interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ppbench.copies import trusted
from ppbench.copies.places import STILLS, CopyPlaces, copy_places, remove_copy
from ppbench.data.manifest import MANIFEST_VERSION, SOURCES_LINE, damaged_manifest, read_head
from ppbench.data.walk import MANIFEST
from ppbench.errors import DataError
from ppbench.files import append, open_regular, whole_lines
from ppbench.parsing import parse_json

JOURNAL = "journal"
"""File in the scratch folder, like the lock and unfinished files."""

_DECODER = json.JSONDecoder()

SourceRecord = dict[str, Any]
"""The record of one source: ``sha256`` of its bytes, and ``files``: path -> ``{"bytes": …, "sha256": …}``."""


class Failure(NamedTuple):
    """A copy that could not be made."""

    source: str
    cell: str | None
    """``"fog/3"``; None: every cell."""
    reason: str
    hint: str

    def entry(self) -> dict[str, str | None]:
        """The entry in the manifest."""
        return {"source": self.source, "cell": self.cell, "reason": self.reason}


class _Place(NamedTuple):
    file: int
    offset: int


class Records:
    """The recorded files of a folder. If two lines are about one source, the later one counts.

    Args:
        dest: The folder.
        scratch: The folder of the journal.

    Raises:
        DataError: If the manifest cannot be read or is not ppbench's.
    """

    def __init__(self, dest: Path, scratch: Path) -> None:
        self.dest, self.manifest, self.journal = dest, dest / MANIFEST, scratch / JOURNAL
        self.header: dict[str, Any] = {}
        """``settings`` and ``made_with`` of the job that made the folder; empty if there was none."""
        self.places: CopyPlaces = STILLS
        """Where the copies are, by these settings."""
        self.cells: set[str] = set()
        self.failed: list[dict[str, str | None]] = []
        self._begun: dict[str, str] = {}
        """Source -> name of its files in each cell, if some may exist that its record does not name."""
        self._places: dict[str, _Place] = {}
        self._files: list[BinaryIO] = []
        self._append: FileIO | None = None
        self._journal_end = 0
        # The journal after the manifest: its lines are newer, and the later line counts.
        for path, read in ((self.manifest, self._read_manifest), (self.journal, self._read_journal)):
            if path.exists():
                self._files.append(_opened(path))
                read(self._files[-1])

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, source: str) -> bool:
        return source in self._places

    def sources(self) -> Iterator[str]:
        """The names of all sources."""
        return iter(self._places)

    def get(self, source: str) -> SourceRecord | None:
        """The record of a source; None if it has none."""
        if source not in self._places:
            return None
        try:
            return trusted.record(parse_json("{" + self._line(source) + "}")[source], self.places)
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def all(self) -> Iterator[SourceRecord]:
        """Every source's record."""
        for source in self._places:
            yield self.get(source) or {}

    def begin(self, header: dict[str, Any], cells: Iterable[str]) -> None:
        """Start or continue the journal.

        Raises:
            DataError: If it cannot be written.
        """
        self.cells |= set(cells)
        known = {**header, "cells": sorted(self.cells)}
        try:
            self._append = self.journal.open("ab", buffering=0)
            self._append.truncate(self._journal_end)  # removes a line that a kill cut off
        except OSError as error:
            raise cannot_write(self.journal, error) from error
        self._write(f"#{json.dumps(known, sort_keys=True)}\n")
        self._files.append(self.journal.open("rb"))  # to read again what is added from now on
        self._set_header(header)

    def intend(self, outputs: dict[str, str]) -> None:
        """List in the journal which files will be written next.

        Args:
            outputs: Source -> name of its file in each cell.

        Raises:
            DataError: If the disk is full.
        """
        if outputs:
            self._write(f"!{json.dumps(outputs)}\n")
            self._begun.update(outputs)

    def add(self, source: str, record: SourceRecord) -> None:
        """List in the journal that a source is finished.

        Raises:
            DataError: If the disk is full.
        """
        place = _Place(len(self._files) - 1, self._journal_end)
        self._write(f"{json.dumps(source)}: {json.dumps(record, sort_keys=True)}\n")
        self._places[source] = place
        self._settle(source, record)

    def finish(self, failed: list[dict[str, str | None]]) -> None:
        """Write the manifest and remove the journal.

        Raises:
            DataError: If it cannot be written.
        """
        part = self.journal.with_name("manifest.part")
        try:
            self._remove_strays()
            with part.open("w", encoding="ascii", newline="\n") as file:
                file.writelines(self._manifest_lines(failed))
                file.flush()
                os.fsync(file.fileno())  # complete on the disk before it replaces the last manifest
            part.replace(self.manifest)
        except OSError as error:
            raise cannot_write(self.manifest, error) from error
        self.close()
        # Last, because until the manifest is in its place the journal is the only record.
        self.journal.unlink()

    def forget(self) -> None:
        """Remove the record and every file it names; nothing else."""
        for record in self.all():
            for name in record["files"]:
                self._remove(name)
        self._remove_strays()
        self.ignore()
        # Last, so that after a kill there is still a record of what is left to remove.
        for path in (self.manifest, self.journal):
            path.unlink(missing_ok=True)

    def ignore(self) -> None:
        """Treat the folder as one without a record."""
        self.close()
        self.header, self.cells, self.failed, self._begun, self._places, self._journal_end = {}, set(), [], {}, {}, 0
        self.places = STILLS

    def close(self) -> None:
        """Close all files. Errors are suppressed, so that they do not hide the one that ended the job."""
        for file in (*self._files, self._append):
            if file is not None:
                with suppress(OSError):
                    file.close()
        self._files, self._append = [], None

    def _settle(self, source: str, record: SourceRecord) -> None:
        """Forget that a source was begun, if its record names all its files."""
        output = self._begun.get(source)
        if output is None:
            return
        if {self.places.file(cell, output) for cell in self.cells} <= record["files"].keys():
            del self._begun[source]

    def _remove_strays(self) -> None:
        """Remove files that were begun but are in no record: their source is gone or cannot be read."""
        begun = (self.places.file(cell, output) for output in self._begun.values() for cell in self.cells)
        strays = {name for name in begun if _is_copy(self.dest / name, name)}
        if strays:
            for record in self.all():
                strays -= record["files"].keys()
        for name in strays:
            self._remove(name)

    def _remove(self, name: str) -> None:
        """Remove a copy, and the folders that it leaves empty."""
        path = self.dest / name
        remove_copy(path, is_folder=name.endswith("/"))
        _remove_empty(path.parent, self.dest)

    def _set_header(self, header: dict[str, Any]) -> None:
        self.header, self.places = header, copy_places(header.get("settings", {}))

    def _write(self, line: str) -> None:
        """Append to the journal without a buffer, so that a killed process loses nothing."""
        if self._append is None:
            raise RuntimeError("the journal has not been begun")
        try:
            append(self._append, line.encode("ascii"))
        except OSError as error:
            raise cannot_write(self.journal, error) from error
        self._journal_end += len(line)

    def _line(self, source: str) -> str:
        place = self._places[source]
        file = self._files[place.file]
        file.seek(place.offset)
        # Lines of the manifest end in a comma, those of the journal do not.
        return file.readline().decode("ascii").strip().removesuffix(",")

    def _manifest_lines(self, failed: list[dict[str, str | None]]) -> Iterator[str]:
        counted = {"cells": sorted(self.cells), "failed": failed, "manifest": MANIFEST_VERSION, "sources": {}}
        lines = json.dumps({**self.header, **counted}, indent=2, sort_keys=True).splitlines(keepends=True)
        # All lines but `"sources": {}` and the last brace, between which the sources are written one by one.
        yield from (*lines[:-2], f"{SOURCES_LINE}\n")
        comma = ""
        for source in sorted(self._places):
            yield f"{comma}    {self._line(source)}"
            comma = ",\n"
        yield "\n  }\n}\n" if comma else "  }\n}\n"

    def _read_manifest(self, file: BinaryIO) -> None:
        number = len(self._files) - 1
        try:
            head = read_head(file)
            self._set_header(trusted.header(head))
            self.cells, self.failed = trusted.cells(head["cells"]), trusted.failures(head["failed"])
            while True:
                offset = file.tell()
                text = file.readline().decode("ascii")
                if not text.startswith('    "'):
                    break
                # Only the name is parsed; the record stays on the disk until someone needs it.
                self._places[_DECODER.raw_decode(text, 4)[0]] = _Place(number, offset)
            if text + file.read().decode("ascii") != "  }\n}\n":
                raise ValueError("it does not end as it should")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        hint = "Give another folder, or start over: remove this file and add `--overwrite`."
        return damaged_manifest(self.manifest, error, hint)

    def _read_journal(self, file: BinaryIO) -> None:
        """Read all complete lines. A kill may have cut off the last one: its source is made again."""
        number = len(self._files) - 1
        for line in whole_lines(file):
            try:
                text = line.decode("ascii")
                if text.startswith("#"):
                    header = parse_json(text[1:])
                    self.cells |= trusted.cells(header["cells"])
                    self._set_header(trusted.header(header))
                elif text.startswith("!"):
                    self._begun.update(trusted.outputs(parse_json(text[1:])))
                else:
                    ((source, record),) = parse_json("{" + text + "}").items()
                    self._settle(source, trusted.record(record, self.places))
                    self._places[source] = _Place(number, self._journal_end)
            # Nothing after a damaged line can be trusted. `begin` cuts the journal off where this line begins.
            except (ValueError, KeyError, TypeError, AttributeError):
                return
            self._journal_end += len(line)


def _opened(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "Give another folder, or remove this file.") from error


def cannot_write(path: Path, error: OSError) -> DataError:
    """The error for a file that cannot be written: which file, why, and that no work is lost."""
    return DataError(
        f"cannot write {path}: {error.strerror or error}",
        "Free disk space, or give another folder. In the same folder, the same command resumes the job.",
    )


def _is_copy(path: Path, name: str) -> bool:
    return path.is_dir() if name.endswith("/") else path.is_file()


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
