"""The strip of pictures of a run: the images are chosen, made again, and captioned with what the model said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ppbench.data.catalog import EMBEDDED, imagenet_words
from ppbench.errors import PpbenchError
from ppbench.keys import hash64
from ppbench.metrics.flips import UNFLIPPED, WRONG_FROM_START, first_flips
from ppbench.metrics.without_labels import has_labels
from ppbench.page.pictures import Picture, PictureRow, PictureStrip
from ppbench.run import CONFIDENCE_STEPS, MeasuredRun
from ppbench.vocabulary import CLEAN, Cell

if TYPE_CHECKING:
    # A report without pictures opens no images, and is faster without what does.
    from ppbench.pictures.reopened import Reopened
    from ppbench.pictures.thumbnails import Thumbnails

STRIP_BYTES = 500_000
"""Most characters of all pictures of a strip: a report is to stay below 2 MB."""

LONGEST_CAPTION_NAME = 60
"""Most characters of a class name in a caption."""


def picture_strip(
    measured: MeasuredRun, data: Path | None, labels: Path | None = None, most: int = STRIP_BYTES
) -> PictureStrip:
    """Make the images of a run again, a few for each corruption, with the predictions.

    Without a folder there are pictures of the embedded images only; for other runs, and for embedded images that
    today's corruptions would make differently, the strip says why it is empty.

    Args:
        measured: The run with its bits, keys and, if they were kept, predictions.
        data: Folder or tar of the images, as for ``ppbench eval``; None: none was given.
        labels: The CSV of their labels, if the run had them from one.
        most: Most characters of all pictures.

    Raises:
        DataError: If a folder is given that does not hold the images that were evaluated.
    """
    if not measured.bits:
        return PictureStrip(reason="The run has no results image by image. Evaluate again to get them.")
    protocol = measured.run.protocol
    if set(protocol.corruptions) <= set(protocol.own_corruptions or {}):
        return PictureStrip(reason="Your own code makes the corrupted images, and a report does not run it.")
    if protocol.sequences is not None:
        return PictureStrip(reason="A report has no frames of sequences.")
    if protocol.stream is not None:
        return PictureStrip(reason="A report has no frames of streams.")
    if protocol.passes is not None:
        return PictureStrip(reason="Each image has the predictions of several passes, not one.")
    if data is None and protocol.dataset != EMBEDDED:
        return PictureStrip(reason="The images are not in the run. To see them: ppbench report RUN --data DIR")
    from ppbench.pictures.reopened import reopen

    try:
        reopened = reopen(measured, data, labels)
    except PpbenchError as error:
        if data is not None:
            raise
        return PictureStrip(reason=f"{error.message[0].upper()}{error.message[1:]}.")
    return _fitting(measured, reopened, most)


def _fitting(measured: MeasuredRun, reopened: Reopened, most: int) -> PictureStrip:
    """The largest and most pictures that fit."""
    from ppbench.pictures.thumbnails import SIZES, Thumbnails

    chosen = chosen_images(measured, per_corruption=2)
    thumbnails = Thumbnails(reopened.source, _cells_of(measured, chosen, reopened))
    rows: list[PictureRow] = []
    for per_corruption, size in SIZES:
        few = {name: places[:per_corruption] for name, places in chosen.items()}
        rows = [_row(measured, reopened, thumbnails, (name, int(p)), size) for name, of in few.items() for p in of]
        if sum(map(_length, rows)) <= most:
            break
    total, kept = np.cumsum([_length(row) for row in rows]), rows
    if len(rows) and total[-1] > most:
        kept = rows[: int(np.searchsorted(total, most, side="right"))]
    side = thumbnails.side(size)
    return PictureStrip(tuple(kept), side, thumbnails.is_small, _notes(measured, rows, kept))


def _length(row: PictureRow) -> int:
    return sum(len(one.uri) for one in row.pictures)


def _cells_of(
    measured: MeasuredRun, chosen: Mapping[str, Sequence[int]], reopened: Reopened
) -> dict[Cell, NDArray[np.int64]]:
    """The images of each cell that are shown, as places in the source."""
    cells: dict[Cell, NDArray[np.int64]] = {}
    for name, of in chosen.items():
        for level in _levels(measured, name):
            cells[name, level] = reopened.places[list(of)]
    if (CLEAN, 0) in measured.bits:
        shown = sorted({place for of in chosen.values() for place in of})
        cells[CLEAN, 0] = reopened.places[shown]
    return cells


def _levels(measured: MeasuredRun, corruption: str) -> list[int]:
    """The severities of a corruption that were measured."""
    return sorted(severity for name, severity in measured.bits if name == corruption)


def chosen_images(measured: MeasuredRun, per_corruption: int) -> dict[str, list[int]]:
    """Choose images that flip at a middle severity, of different classes if possible.

    Where no image does, one that flips as near as possible to the middle is taken, then one that never flips, then
    one that is wrong from the start. Among equals the images' keys decide, not their order.

    Returns:
        Places in the run by corruption, in the order of the run. Corruptions without a finished cell are left out, and
        the user's own.
    """
    n = measured.run.protocol.n
    keys = np.arange(n, dtype=np.uint64) if measured.keys is None else measured.keys
    labels = np.arange(n) if measured.predictions is None else measured.predictions.labels
    found: dict[str, list[int]] = {}
    for name in measured.run.protocol.corruptions:
        if name in (measured.run.protocol.own_corruptions or {}):  # a report never runs code that a file names
            continue
        levels = _levels(measured, name)
        if not levels:
            continue
        # Without clean images, only the corrupted ones can tell where it goes wrong.
        bits = {(CLEAN, 0): np.ones(n, bool), **measured.bits}
        flips = first_flips(bits, name, levels)
        middle = sorted(levels, key=lambda level: (abs(level - levels[len(levels) // 2]), level))
        rank = {level: place for place, level in enumerate([*middle, UNFLIPPED, WRONG_FROM_START])}
        preference = np.array([rank[int(flip)] for flip in flips])
        order = np.lexsort((keys ^ np.uint64(hash64(name.encode())), preference))
        best = order[preference[order] == preference[order[0]]]
        others = best[labels[best] != labels[best[0]]]
        ordered = dict.fromkeys([int(best[0]), *map(int, others[:1]), *map(int, order[: per_corruption + 1])])
        found[name] = list(ordered)[:per_corruption]
    return found


def _row(
    measured: MeasuredRun, reopened: Reopened, thumbnails: Thumbnails, image: tuple[str, int], size: tuple[int, int]
) -> PictureRow:
    corruption, place = image
    source, predictions = reopened.source, measured.predictions
    there = int(reopened.places[place])
    label = class_on_picture(
        source.class_names[source.labels[there]] if source.class_names else _clean_class(measured, place)
    )
    was_right = (CLEAN, 0) in measured.bits
    pictures = []
    cells = [(CLEAN, 0)] if was_right else []
    for cell in [*cells, *((corruption, level) for level in _levels(measured, corruption))]:
        is_right = bool(measured.bits[cell][place])
        known = None if predictions is None else predictions.class_name(int(predictions.classes[cell][place]))
        predicted = None if known is None else class_on_picture(known)
        sure = None if predictions is None else predictions.confidences
        probability = None if sure is None else float(sure[cell][place]) / CONFIDENCE_STEPS
        flips = was_right and not is_right and cell[0] != CLEAN
        uri, has_label = thumbnails.uri(cell, there, size), bool(source.class_names)
        picture = Picture(cell[1], uri, predicted, probability, is_right, flips, "", has_label)
        was_right = was_right and is_right
        pictures.append(_with_words(picture, corruption, label))
    return PictureRow(corruption, source.ids[there], label, tuple(pictures))


def class_on_picture(name: str) -> str:
    """A class name as a caption has room for it, ImageNet's in words. A strip repeats names hundreds of times."""
    name = imagenet_words().get(name, name)
    return name if len(name) <= LONGEST_CAPTION_NAME else f"{name[: LONGEST_CAPTION_NAME - 1]}…"


def _clean_class(measured: MeasuredRun, place: int) -> str:
    """The label of an image that has none."""
    predictions = measured.predictions
    return "image" if predictions is None else predictions.class_name(int(predictions.labels[place]))


def _with_words(picture: Picture, corruption: str, label: str) -> Picture:
    where = "without corruption" if picture.severity == 0 else f"{corruption}, severity {picture.severity}"
    said = f"the model is {picture.caption}" if picture.predicted is None else f"predicted {picture.caption}"
    flips = "; the prediction flips here" if picture.is_first_flip else ""
    words = ("right", "wrong") if picture.has_label else ("as without corruption", "changed")
    right = "" if picture.predicted is None else f", {words[0] if picture.is_right else words[1]}"
    return replace(picture, alt=f"{label} {where}: {said}{right}{flips}")


def _notes(measured: MeasuredRun, rows: Sequence[PictureRow], kept: Sequence[PictureRow]) -> tuple[str, ...]:
    notes = [
        "The images are not a sample: of each corruption, those are shown that flip at a middle severity, if there are "
        "any, of different classes."
    ]
    if measured.run.protocol.source != "published":
        notes.append("They are made again from the clean images with the seed of the run.")
    if measured.predictions is None:
        known = "each image is right" if has_labels(measured.run.protocol) else "the prediction of each image changes"
        notes.append(f"The run has no predictions, only whether {known}. Evaluate again to keep them.")
    if own := measured.run.protocol.own_corruptions:
        notes.append(f"{', '.join(own)}: made by your own code, which a report does not run.")
    lost = {row.corruption for row in rows} - {row.corruption for row in kept}
    if lost:
        some = "1 corruption is" if len(lost) == 1 else f"{len(lost)} corruptions are"
        notes.append(f"{some} left out, so that the page stays small.")
    return tuple(notes)
