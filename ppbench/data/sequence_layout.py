"""Recognize a published set of perturbation sequences by its content.

Videos are at ``<perturbation>/<class>/<image>.mp4``, those of noise of difficulty 2 and 3 at ``gaussian_noise_2/…``.
Arrays are ``<perturbation>.npy``, ``(images, frames, S, S, 3)``. `ppbench corrupt --perturbation` writes both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ppbench.data.cells import visible
from ppbench.data.npy import ArrayFile, array_file, is_sequences
from ppbench.data.sequence_files import SEQUENCE_FORMS, SequenceForm
from ppbench.data.walk import is_output
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
    folders: dict[Cell, Path]
    """Folders of the sequences, by what is read; empty without a form."""
    arrays: dict[Cell, ArrayFile]


def look_for_sequences(root: Path) -> SequencesFound | None:
    """Recognize a published set of sequences by its content; None if there is none.

    It is found below wrapping folders, two levels deep, such as the group folders of the archives.

    Raises:
        DataError: If ``root`` cannot be read, or has sequences of two forms.
    """
    if not root.is_dir():  # a file of many images, a pattern of such files, or nothing
        return None
    forms: dict[Cell, SequenceForm] = {}
    below: dict[Cell, Path] = {}
    arrays: dict[Cell, ArrayFile] = {}
    for folder, folders, files in _places(root):
        # Frames and arrays are known by the record of whoever wrote them: folders of photographs may look alike.
        forms_here = SEQUENCE_FORMS if is_output(folder) else SEQUENCE_FORMS[:1]
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
    kinds = sorted({form.plural for form in forms.values()})
    if len(kinds) + bool(arrays) > 1:
        raise DataError(
            f"{root} contains sequences as {' and as '.join([*kinds, *['arrays of all images'] * bool(arrays)])}",
            "They are of two sets: put them into different folders.",
        )
    if not below and not arrays:
        return None
    return SequencesFound(root, next(iter(forms.values()), None), below, arrays)


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


def _is_array(path: Path) -> bool:
    return path.is_file() and is_sequences(array_file(path))
