"""Recognize a published set of perturbation sequences by its content.

Videos are at ``<perturbation>/<class>/<image>.mp4``, those of noise of difficulty 2 and 3 at ``gaussian_noise_2/…``.
Arrays are ``<perturbation>.npy``, ``(images, frames, S, S, 3)``. `ppbench corrupt --perturbation` writes both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ppbench.data.cells import visible
from ppbench.data.manifest import CopyRecord, copy_record
from ppbench.data.npy import ArrayFile, array_file, is_sequences
from ppbench.data.sequence_files import SEQUENCE_FORMS, SequenceForm
from ppbench.data.sequence_places import videos_in
from ppbench.data.tar import TarCell
from ppbench.errors import DataError
from ppbench.run import is_noise
from ppbench.vocabulary import P4, P10, Cell

_READINGS: dict[str, Cell] = {name: (name, 1) for name in (*P10, *P4)}
_READINGS |= {f"{name}_{level}": (name, level) for name in (*P10, *P4) if is_noise(name) for level in (2, 3)}
"""What is read, by the name of its folder or array. Difficulty changes the frames of noise alone."""

_WRAPPERS = 20
"""A folder with more subfolders than this contains classes, which are not searched."""


@dataclass(frozen=True)
class SequencesFound:
    """A published set of sequences."""

    root: Path
    form: SequenceForm | None
    """How each sequence is stored; None: one array has those of all images."""
    folders: dict[Cell, Path | TarCell]
    """Folders of the sequences, or the videos of archives, by what is read; empty without a form."""
    arrays: dict[Cell, ArrayFile]
    records: dict[str, CopyRecord] = field(default_factory=dict)
    """How those were made that ``ppbench corrupt`` wrote, by perturbation."""


def look_for_sequences(root: Path) -> SequencesFound | None:
    """Recognize a published set of sequences by its content; None if there is none.

    It is found below wrapping folders, two levels deep, such as the group folders of the archives, and in uncompressed
    tars in ``root``. If a perturbation is in a folder and in an archive, the folder counts.

    Raises:
        DataError: If ``root`` cannot be read, or has sequences of two forms.
    """
    if not root.is_dir():  # an archive, another file of many images, a pattern of such files, or nothing
        found = _in_tars([root] if _is_tar(root) else [])
        return SequencesFound(root, SEQUENCE_FORMS[0], found, {}) if found else None
    forms: dict[Cell, SequenceForm] = {}
    below: dict[Cell, Path | TarCell] = {}
    arrays: dict[Cell, ArrayFile] = {}
    records: dict[str, CopyRecord] = {}
    for folder, folders, files in _places(root):
        # Frames and arrays are known by the record of whoever wrote them: folders of photographs may look alike.
        record = copy_record(folder)
        forms_here = SEQUENCE_FORMS[:1] if record is None else SEQUENCE_FORMS
        known = {name for name, _ in (*below, *arrays)}
        if record is not None:
            records |= {name: record for name in (*P10, *P4) if name not in known and record.has(name)}
        for name in folders:
            reading = _READINGS.get(name)
            # What is nearer to the root counts.
            if (
                reading is not None
                and reading not in below
                and (form := _form_below(folder / name, forms_here)) is not None
            ):
                forms[reading], below[reading] = form, folder / name
        for name in files:
            reading = _READINGS.get(name.removesuffix(".npy")) if name.endswith(".npy") else None
            if reading is not None and reading not in arrays and _is_array(folder / name):
                arrays[reading] = array_file(folder / name)
    for reading, videos in _in_tars([path for path in sorted(root.glob("*.tar")) if _is_tar(path)]).items():
        if reading not in below:
            forms[reading], below[reading] = SEQUENCE_FORMS[0], videos
    kinds = sorted({form.plural for form in forms.values()})
    if len(kinds) + bool(arrays) > 1:
        raise DataError(
            f"{root} contains sequences as {' and as '.join([*kinds, *['arrays of all images'] * bool(arrays)])}",
            "They are of two sets: put them into different folders.",
        )
    if not below and not arrays:
        return None
    return SequencesFound(root, next(iter(forms.values()), None), below, arrays, records)


def _places(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield folders that may contain perturbations, two levels deep, each with the folders and files in it."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        try:
            folders, files = visible(folder)
        except DataError:
            if folder == root:
                raise
            continue
        yield folder, folders, files
        others = [name for name in folders if name not in _READINGS]
        if depth < 2 and len(others) <= _WRAPPERS:
            waiting += [(folder / name, depth + 1) for name in others]


def _form_below(folder: Path, forms: Sequence[SequenceForm]) -> SequenceForm | None:
    """The form of the sequences below a folder; None if there are none."""
    return next((form for form in forms if next(form.below(folder), None) is not None), None)


def _in_tars(tars: Sequence[Path]) -> dict[Cell, Path | TarCell]:
    """What archives have. One that cannot be read, or is compressed, is said where images are looked for."""
    found: dict[Cell, Path | TarCell] = {}
    for tar in tars:
        try:
            videos = videos_in(tar, _READINGS)
        except DataError:
            continue
        found = {**{_READINGS[folder]: cell for folder, cell in videos.items()}, **found}
    return found


def _is_tar(path: Path) -> bool:
    return path.suffix == ".tar" and path.is_file() and not path.name.startswith(".")


def _is_array(path: Path) -> bool:
    return path.is_file() and is_sequences(array_file(path))
