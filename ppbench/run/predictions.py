"""Predictions of a run, image by image: the class that came first, and its probability. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ppbench.errors import DataError
from ppbench.run.attached import read_attached
from ppbench.run.npy import RESTORE, bytes_of_gzip, gzip_of_arrays, take_array
from ppbench.vocabulary import Cell, cell_in_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ppbench.run.schema import Run

CONFIDENCE_STEPS = 255
"""Probabilities are kept as multiples of 1/255."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predicted class and its probability for each image in each cell."""

    labels: NDArray[np.uint16]
    """``(n,)``: places of the true classes in `class_names`."""
    classes: Mapping[Cell, NDArray[np.uint16]]
    """``(n,)`` by cell: the predicted classes. A number below ``len(class_names)`` is a place in `class_names`; a
    larger one stands for output ``number - len(class_names)`` of a model that has other classes, too."""
    confidences: Mapping[Cell, NDArray[np.uint8]] | None
    """``(n,)`` by cell: probabilities of the predicted classes in 255ths; None if they are unknown."""
    class_names: tuple[str, ...]
    """Names of the dataset's classes; of the model's outputs where the labels are clean predictions."""
    label_confidences: Mapping[Cell, NDArray[np.uint8]] | None = None
    """``(n,)`` by cell: probabilities of the labels in 255ths; kept only where these are clean predictions."""

    def class_name(self, number: int) -> str:
        """Return the name of a predicted class."""
        others = number - len(self.class_names)
        return self.class_names[number] if others < 0 else f"output {others}"

    def contradicted(self, bits: Mapping[Cell, NDArray[np.bool_]]) -> Cell | None:
        """Find the first cell in which other images are right than by the correctness bits; None if there is none."""
        return next(
            (cell for cell, right in bits.items() if ((self.classes[cell] == self.labels) != right).any()), None
        )

    def of_images(self, places: NDArray[np.int64]) -> Self:
        """Restrict the predictions to the images at these places ``(k,)``, in this order."""
        return type(self)(
            self.labels[places],
            {cell: classes[places] for cell, classes in self.classes.items()},
            self.confidences and {cell: values[places] for cell, values in self.confidences.items()},
            self.class_names,
            self.label_confidences and {cell: values[places] for cell, values in self.label_confidences.items()},
        )


def predictions_file(path: Path) -> Path:
    """Return the path of the predictions that belong to a run file, beside it."""
    return path.with_name(f"{path.name.removesuffix('.json')}.predictions.npy.gz")


def predictions_content(run: Run, predictions: Predictions) -> bytes:
    """Return the content of the file of predictions, which any tool can read: arrays of ``.npy`` in one gzip stream.

    These are labels ``(n,)`` uint16, classes ``(n, cells)`` uint16, probabilities ``(n, cells)`` uint8 unless they are
    unknown, and the same of the labels' probabilities where these are kept. The predictions of one image are
    neighbours, because they are alike and compress well so.
    """
    import numpy as np

    keys = [cell.key for cell in run.cells]
    arrays = [
        predictions.labels.astype("<u2"),
        np.stack([predictions.classes[key] for key in keys], axis=1).astype("<u2"),
    ]
    for kept in (predictions.confidences, predictions.label_confidences):
        if kept is not None:
            arrays.append(np.stack([kept[key] for key in keys], axis=1).astype(np.uint8))
    return gzip_of_arrays(arrays)


def read_predictions(path: Path | str, run: Run) -> Predictions:
    """Read the predictions that belong to the run file at ``path``.

    Raises:
        DataError: If there are none, the file is not the one the run was written with, or it contradicts the run.
    """
    if run.predictions is None:
        raise DataError(
            f"{path} has no predictions", "Evaluate again to get them, with this ppbench and without --no-predictions."
        )
    images, cells = run.protocol.n, len(run.cells)
    # The run says how large the arrays can be; the rest is for their headers.
    most = 2 * images + 4 * images * cells + 2**16
    file, packed = read_attached(Path(path), run.predictions.file, run.predictions.sha256, most + 2**20)
    content = bytes_of_gzip(file, packed, most)
    labels, end = take_array(file, content, 0, (images,), "<u2", "its labels have")
    classes, end = take_array(file, content, end, (images, cells), "<u2", "its classes have")
    kept: list[NDArray[Any]] = []
    # Probabilities, if they are known; then those of the labels, if these are predictions.
    while end < len(content) and len(kept) < 2:
        values, end = take_array(file, content, end, (images, cells), "|u1", "its probabilities have")
        kept.append(values)
    _check(file, run, labels, classes)
    keys = [cell.key for cell in run.cells]
    by_cell = [dict(zip(keys, values.T, strict=True)) for values in kept]
    confidences, label_confidences = [*by_cell, None, None][:2]
    return Predictions(
        labels, dict(zip(keys, classes.T, strict=True)), confidences, run.predictions.class_names, label_confidences
    )


def _check(file: Path, run: Run, labels: NDArray[Any], classes: NDArray[Any]) -> None:
    """Make sure that the predictions do not contradict the run."""
    import numpy as np

    names = run.predictions.class_names if run.predictions else ()
    if labels.max(initial=0) >= len(names):
        raise DataError(f"{file} is damaged: label {labels.max()} of {len(names)} classes", RESTORE)
    right = np.count_nonzero(classes == labels[:, None], axis=0)
    for cell, found in zip(run.cells, right, strict=True):
        if found != cell.top1:
            fault = f"{found} predictions of {cell_in_words(cell.key)} are right, not {cell.top1} as in the run file"
            raise DataError(f"{file} is damaged: {fault}", RESTORE)
