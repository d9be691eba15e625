"""Tiny-ImageNet's validation images in each of their three layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppbench.data.cells import is_image, visible
from ppbench.data.folder import LabelledFiles, list_classes
from ppbench.errors import DataError

ANNOTATIONS = "val_annotations.txt"


def list_tiny_imagenet(root: Path) -> LabelledFiles:
    """List images with the ids ``<class>/<file>``, from an annotation file or from class folders.

    Args:
        root: Folder with ``val_annotations.txt`` and ``images``, or ``<class>/images/<file>``, or ``<class>/<file>``.

    Raises:
        DataError: If there are no images, or the annotations do not name them.
    """
    if (root / ANNOTATIONS).is_file():
        return _list_annotated(root)
    listing = list_classes(root)
    return listing._replace(ids=[name.replace("/images/", "/", 1) for name in listing.files])


def _list_annotated(root: Path) -> LabelledFiles:
    """Read lines of file, class and a box, which is not needed, separated by tabs."""
    try:
        lines = [line.split("\t") for line in (root / ANNOTATIONS).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise DataError(f"cannot read {root / ANNOTATIONS}: {reason}", "Unpack the archive again.") from error
    class_of = {line[0]: line[1] for line in lines if len(line) > 1}
    files = [name for name in visible(root / "images")[1] if is_image(name)]
    unknown = next((name for name in files if name not in class_of), None)
    if unknown is not None or not files:
        raise DataError(
            f"{root / ANNOTATIONS} does not name the class of {unknown or 'any image'}", "Unpack the archive again."
        )
    files.sort(key=lambda name: (class_of[name], name))
    class_names = sorted(set(class_of.values()))
    number = {name: place for place, name in enumerate(class_names)}
    return LabelledFiles(
        tuple(class_names),
        [f"{class_of[name]}/{name}" for name in files],
        [f"images/{name}" for name in files],
        np.array([number[class_of[name]] for name in files], np.int64),
    )
