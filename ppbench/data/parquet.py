"""Images in Parquet files, as Hugging Face's datasets are, read in place: labels once, then single images.

A column of images has their files' bytes, alone or in a struct with ``bytes`` and ``path``. Free of torch.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.data.decode import open_rgb
from ppbench.data.from_python import in_one_kind
from ppbench.data.parquet_columns import Columns, find_columns
from ppbench.data.photographs import look_at_photographs
from ppbench.data.shards import place_of, starts_of
from ppbench.data.stamps import FileStamps, stamps_of
from ppbench.data.uncut import file_ids, numbered
from ppbench.errors import DataError, in_one_line
from ppbench.extras import import_extra
from ppbench.files import check_regular

_BATCH = 16
"""Rows that are decoded together. Smaller batches take longer, larger ones more memory."""

_PEEKED = 20
"""Images whose headers are read before the start. For each, a part of a file is read."""

_SMALLEST = 16
"""Bytes of a row at the least: a PNG file of one pixel has 67."""

_AGAIN = "Its download was interrupted, or the disk was full: download it again."


class ParquetImages:
    """Images in the rows of Parquet files. They are `ppbench.data.uncut.UncutImages`.

    Args:
        files: The files, in order. All have the same columns.
        where: What was given for them, for messages.
        exif: Whether EXIF orientation and colour profiles are applied.
        labelled: Whether labels are needed. If not, and one is missing or no label, all labels are 0.

    Raises:
        UsageError: If pyarrow is not installed.
        DataError: If a file is damaged, or has no images or no labels.
    """

    channels: Literal[1, 3] = 3
    is_slow = True

    def __init__(self, files: Sequence[Path], where: Path | str, *, exif: bool = False, labelled: bool = True) -> None:
        self.where, self.exif, self._files = str(where), exif, list(files)
        opened = [_open(path) for path in files]
        for file, path in zip(opened, files, strict=True):
            _check_rows(file.metadata.num_rows, path)
        self._columns = find_columns(opened[0].schema_arrow, files[0], labelled=labelled)
        for file, path in zip(opened[1:], files[1:], strict=True):
            if find_columns(file.schema_arrow, path, labelled=labelled) != self._columns:
                raise DataError(
                    f"{path} has other columns or classes than {files[0]}", "Give the files of one set: one split."
                )
        groups = [_rows_of_groups(file) for file in opened]
        self._starts = starts_of([sum(sizes) for sizes in groups])
        self._group_starts = [starts_of(sizes) for sizes in groups]
        self._cursor: _Cursor | None = None
        paths, labels = self._list(opened, labelled=labelled)
        self.class_names = self._columns.class_names
        try:
            kind = in_one_kind([0] * len(labels) if None in labels else labels, self.where)
        except DataError:
            if labelled:
                raise
            labels, kind = [None] * len(labels), np.zeros(len(labels), np.int64)
        if None in labels:
            self.class_names = None
        if isinstance(kind, list):
            self.labels, self.class_names = numbered(kind)
        else:
            self.labels = kind
        self.ids = file_ids(paths, self.labels, self.class_names)
        if not self.ids:
            raise DataError(f"{self.where} has no rows", "Give a file with images.")
        self.notes = () if exif else self._look()

    def _list(self, opened: Sequence[Any], *, labelled: bool) -> tuple[list[str], list[Any]]:
        """Names of the images' files, or their numbers if they have none; and labels, None where there is none."""
        columns = self._columns
        wanted = [
            *([columns.label] if columns.label else []),
            *([f"{columns.image}.path"] if columns.has_paths else []),
        ]
        paths: list[str] = []
        labels: list[Any] = []
        for file, path in zip(opened, self._files, strict=True):
            try:
                table = file.read(columns=wanted, use_threads=False)
                rows = file.metadata.num_rows
                here = table.column(columns.label).to_pylist() if columns.label else [None] * rows
                named = table.column(columns.image).to_pylist() if columns.has_paths else [None] * rows
            except Exception as error:  # damaged data can raise anything
                raise DataError(f"cannot read the labels in {path}: {in_one_line(error)}", _AGAIN) from error
            if labelled and None in here:
                raise DataError(
                    f"{path}: row {here.index(None)} has no label in the column {columns.label}",
                    "Take a split that has labels, or leave the row out.",
                )
            labels += here
            for number, one in enumerate(named, len(paths)):
                name = one["path"] if one else None
                paths.append(name or f"{number:08d}")
        return paths, labels

    def _look(self) -> tuple[str, ...]:
        """A note that counts images with EXIF data that is not applied."""
        rows = np.arange(len(self.ids))[:: len(self.ids) // _PEEKED + 1]
        found = (io.BytesIO(content) for content in self._contents(rows) if isinstance(content, bytes))
        note = look_at_photographs(found).note()
        self._cursor = None
        return (note,) if note else ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cursor": None}

    def fingerprint(self) -> str:
        """SHA-256 of ids, labels, and of the files' sizes and footers, which know the size of each part."""
        digest = hashlib.sha256()
        for name, label in zip(self.ids, self.labels.tolist(), strict=True):
            digest.update(f"{name} {label}\n".encode())
        for path in self._files:
            digest.update(f"{path.stat().st_size} ".encode() + _footer(path))
        return digest.hexdigest()

    def mean_bytes(self) -> float:
        """Size of the files per image."""
        return sum(path.stat().st_size for path in self._files) / len(self.ids)

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """The stamps of the files that the images at ``rows`` are in."""
        of_files = stamps_of(self._files)
        return of_files[np.searchsorted(self._starts, rows, "right") - 1]

    def read(self, rows: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        # In the order of the file, which is read forward; then in the order that is asked for.
        order = np.argsort(rows, kind="stable")
        read: dict[int, Image.Image | DataError] = {}
        for place, content in zip(order.tolist(), self._contents(rows[order]), strict=True):
            try:
                if isinstance(content, DataError):
                    raise content
                name = f"{self.where}: {self.ids[rows[place]]}"
                read[place] = open_rgb(io.BytesIO(content), name, exif=self.exif)
            except DataError as error:
                read[place] = error
        for place in range(len(rows)):
            yield read.pop(place)

    def _contents(self, rows: NDArray[np.int64]) -> Iterator[bytes | DataError]:
        """The bytes of images; ``rows`` ascend, or every step back reads a part of a file again."""
        if self._cursor is None:
            self._cursor = _Cursor(self._files, self._columns)
        for row in rows.tolist():
            file, inside = place_of(row, self._starts)
            group, place = place_of(inside, self._group_starts[file])
            try:
                content = self._cursor.content(file, group, place)
                if content is None:
                    raise DataError(
                        f"cannot read the image {self.where}: {self.ids[row]}: the row has no bytes",
                        "Its file is elsewhere: write the dataset with its images embedded.",
                    )
                yield content
            except DataError as error:
                yield error


class _Cursor:
    """Reads a file's rows forward, some at a time; a row that comes earlier begins its row group again.

    A row group may have hundreds of megabytes, so only a batch of it is kept.
    """

    def __init__(self, files: Sequence[Path], columns: Columns) -> None:
        self._files, self._columns = files, columns
        self._file: tuple[int, Any] | None = None
        self._at: tuple[int, int] | None = None
        self._batches: Iterator[Any] = iter(())
        self._start, self._batch = 0, list[bytes | None]()
        self._failure: DataError | None = None

    def content(self, file: int, group: int, row: int) -> bytes | None:
        """The bytes of one image; None if the row has none."""
        if self._at != (file, group) or row < self._start:
            self._begin(file, group)
        while self._failure is None and row >= self._start + len(self._batch):
            self._start += len(self._batch)
            self._batch = self._next(file)
        # Behind damaged bytes nothing of the row group can be found.
        if row >= self._start + len(self._batch):
            assert self._failure is not None
            raise self._failure
        return self._batch[row - self._start]

    def _begin(self, file: int, group: int) -> None:
        self._at, self._start, self._batch, self._failure = (file, group), 0, [], None
        try:
            if self._file is None or self._file[0] != file:
                self._file = (file, _open(self._files[file]))
            self._batches = self._file[1].iter_batches(
                _BATCH, row_groups=[group], columns=[self._columns.content], use_threads=False
            )
        except DataError as error:
            self._failure = error

    def _next(self, file: int) -> list[bytes | None]:
        try:
            column = next(self._batches).column(0)
            if self._columns.is_struct:
                column = column.field("bytes")
            return column.to_pylist()
        except Exception as error:  # damaged data can raise anything
            self._failure = DataError(
                f"cannot read images in {self._files[file]}: damaged from row {self._start} of a row group on "
                f"({in_one_line(error)})",
                "Download it again.",
            )
            return []


def _open(path: Path) -> Any:
    """Open a Parquet file, so that its parts are read when they are needed."""
    arrow = import_extra("pyarrow", "parquet", f"reading {path}")
    parquet = import_extra("pyarrow.parquet", "parquet", f"reading {path}")

    try:
        check_regular(path)
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**20)
    except OSError as error:
        if error.strerror:
            raise DataError(f"cannot read {path}: {error.strerror}", "Give an existing .parquet file.") from error
        raise DataError(f"{path} is damaged: {_first_line(error)}", _AGAIN) from error
    except arrow.lib.ArrowException as error:
        raise DataError(f"{path} is no whole Parquet file: {_first_line(error)}", _AGAIN) from error


def _check_rows(rows: int, path: Path) -> None:
    """Refuse more rows than images fit into the file: a few bytes can stand for any number of equal rows."""
    size = path.stat().st_size
    if rows > size // _SMALLEST:
        raise DataError(f"{path} has {rows:,} rows in {size:,} bytes, too few for an image each", _AGAIN)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def _rows_of_groups(file: Any) -> list[int]:
    return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def _footer(path: Path) -> bytes:
    """SHA-256 of a file's footer."""
    with path.open("rb") as file:
        end = file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, end - length))
        return hashlib.sha256(file.read(length)).digest()
