"""Pixels, labels and Datasets as Python code has them: checked once, and turned into ppbench's own forms.

Free of torch: tensors and Datasets are known by what they have, not by their classes.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.errors import DataError, UsageError, in_one_line
from ppbench.lookup import counted
from ppbench.own_code import kind_of_thing

IMAGE_NAMES = ("image", "img", "images")
LABEL_NAMES = ("label", "labels", "fine_label", "cls", "class", "target")
"""Usual names of the columns of images and labels, the first one first."""

_BEFORE = "Corruptions are defined for pixels of 8 bits, before normalisation, which ppbench does as the card says. "
_NO_FLOATS = (
    f"{_BEFORE}In a transform, leave out ToTensor, ToDtype and Normalize (`v2.PILToTensor()` gives uint8); values of 0 "
    "to 1 become `(255 * images).round().astype('uint8')`."
)


def is_array(value: object) -> bool:
    """Whether a value is a numpy array, a torch tensor or alike."""
    return all(hasattr(value, name) for name in ("dtype", "shape", "__array__"))


def in_rows(images: Any, what: str) -> NDArray[np.uint8]:
    """Images as ``(N, H, W, C)``; the axis of channels is the one with 1 or 3 values.

    Args:
        images: ``(N, H, W, C)``, ``(N, C, H, W)`` or, grey, ``(N, H, W)``; uint8, of numpy or torch.
        what: What they are, for messages.

    Raises:
        DataError: If they have another type or shape, or the shape fits both orders of axes.
    """
    return _channels_last(_of_8_bits(images, what), 4, what, "(N, H, W, C), (N, C, H, W) or (N, H, W)")


def as_picture(value: Any, what: str) -> Image.Image:
    """One image, grey (mode L) or RGB.

    Args:
        value: Image of Pillow, or uint8 ``(H, W, C)``, ``(C, H, W)`` or ``(H, W)`` of numpy or torch.
        what: What it is, for messages.

    Raises:
        DataError: If it is something else, or cannot be decoded.
    """
    if isinstance(value, Image.Image):
        if value.mode.startswith("I") or value.mode == "F":
            raise DataError(f"{what} has more than 8 bits per channel ({value.mode})", "Convert it to 8 bits first.")
        try:
            return value.convert("L" if value.mode in ("1", "L") else "RGB")
        except Exception as error:  # Pillow decodes now, and a decoder can raise anything
            raise DataError(f"{what} cannot be decoded: {error}", "Replace or remove it.") from error
    if not is_array(value):
        raise DataError(
            f"{what} is {kind_of_thing(value)}, not an image",
            "Images are Pillow's, or uint8 arrays or tensors; a Dataset gives pairs of such an image and its label.",
        )
    pixels = _channels_last(_of_8_bits(value, what), 3, what, "(H, W, C), (C, H, W) or (H, W)")
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _of_8_bits(value: Any, what: str) -> NDArray[np.uint8]:
    name = str(value.dtype).removeprefix("torch.")
    if name != "uint8":
        floats = "float" in name
        raise DataError(
            f"{what}: pixels are {name}, not uint8", _NO_FLOATS if floats else f"{_BEFORE}Convert them: 0 to 255."
        )
    pixels = _in_numpy(value, f"{what}: pixels")
    if pixels.dtype != np.uint8:
        raise DataError(f"{what}: pixels are {pixels.dtype}, not uint8", f"{_BEFORE}Convert them: 0 to 255.")
    return pixels


def _in_numpy(value: Any, what: str) -> NDArray[Any]:
    """A value as an array of numpy.

    Raises:
        DataError: If it has no values that numpy could hold, as sparse tensors and those without data.
    """
    try:
        # A tensor may be on a GPU, or need gradients.
        return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:  # each library has errors of its own
        raise DataError(
            f"{what} cannot be turned into an array: {in_one_line(error)}", "Give a plain array of numpy."
        ) from error


def _channels_last(pixels: NDArray[np.uint8], axes: int, what: str, allowed: str) -> NDArray[np.uint8]:
    """Put the axis of channels last; ``axes`` counts it."""
    shape = pixels.shape
    if len(shape) == axes - 1:
        return pixels[..., None]
    last, first = (len(shape) == axes and shape[place] in (1, 3) for place in (-1, axes - 3))
    if last and first:
        raise DataError(
            f"{what}: the shape {shape} fits both orders of axes",
            "Give larger images, or a list of Pillow's images, which have one order.",
        )
    if not (last or first) or 0 in shape[1:]:
        raise DataError(
            f"{what}: pixels have the shape {shape}", f"Allowed is {allowed}, with 1 or 3 channels; no alpha."
        )
    return pixels if last else np.moveaxis(pixels, axes - 3, -1)


def as_labels(labels: Any, count: int, where: str) -> NDArray[np.int64] | list[str]:
    """Labels given beside images: numbers ``(N,)``, or class names.

    Raises:
        DataError: If there are not ``count`` of them, or they are neither integers nor texts.
    """
    values = _in_numpy(labels, f"{where}: labels")
    if values.ndim != 1:
        hint = " Of one-hot labels it is `labels.argmax(1)`." if values.ndim == 2 else ""
        raise DataError(f"{where}: labels have the shape {values.shape}", f"Give one number for each image.{hint}")
    if len(values) != count:
        raise DataError(
            f"{where}: {counted(len(values), 'label')} for {counted(count, 'image')}", "Give one label for each image."
        )
    if values.dtype.kind in "iu":
        return in_one_kind(values.tolist(), where)
    if values.dtype.kind in "UO" and all(isinstance(value, str) for value in values.tolist()):
        return [str(value) for value in values.tolist()]
    if values.dtype.kind == "O":
        return in_one_kind([label_of(value, f"{where}: image {row}") for row, value in enumerate(values)], where)
    raise DataError(f"{where}: labels are {values.dtype}", "Labels are integers from 0, or names of classes.")


def label_of(value: Any, what: str) -> int | str:
    """The label of one image, as a Dataset gives it.

    Raises:
        DataError: If it is neither an integer nor a text.
    """
    if isinstance(value, str):
        return value
    try:
        return operator.index(value)
    except Exception as error:  # a class of the user's own
        shown = f"the label {str(value)[:40]!r}" if isinstance(error, TypeError) else "a label"
        given = "no label" if value is None else f"{shown}, {kind_of_thing(value)}"
        raise DataError(f"{what} has {given}", "Labels are integers from 0, or names of classes.") from error


def in_one_kind(labels: list[int | str], where: str) -> NDArray[np.int64] | list[str]:
    """Labels that are all numbers, or all names.

    Raises:
        DataError: If they are mixed, or too large.
    """
    names = [label for label in labels if isinstance(label, str)]
    if names and len(names) < len(labels):
        raise DataError(f"{where}: some labels are numbers, and some names ({names[0]!r})", "Give one kind.")
    try:
        return names or np.array(labels, np.int64)
    except OverflowError as error:
        raise DataError(f"{where}: a label is larger than any class number", "Labels are integers from 0.") from error


def parts_of(sample: Any, what: str, *, labelled: bool) -> tuple[Any, Any]:
    """The image and the label of a Dataset's sample.

    Args:
        sample: A pair; or a mapping, such as a row of a Hugging Face dataset; or, without labels, an image.
        what: What it is, for messages.
        labelled: Whether labels are given elsewhere; that of the sample is then None.

    Raises:
        DataError: If it is none of these.
    """
    if isinstance(sample, Mapping):
        image, label = (next((n for n in names if n in sample), None) for names in (IMAGE_NAMES, LABEL_NAMES))
        if image is None or (label is None and not labelled):
            names = ", ".join(str(name)[:40] for name in list(sample)[:12])
            raise DataError(
                f"{what} has no {'image' if image is None else 'label'}; it has {names or 'nothing'}",
                f"Names that are known: {', '.join(IMAGE_NAMES if image is None else LABEL_NAMES)}.",
            )
        return sample[image], None if labelled else sample[label]
    if isinstance(sample, tuple | list) and len(sample) == 2:
        return sample[0], None if labelled else sample[1]
    if labelled and not isinstance(sample, tuple | list):
        return sample, None
    given = f"{len(sample)} values" if isinstance(sample, tuple | list) else kind_of_thing(sample)
    raise DataError(f"{what} is {given}, not a pair", "A Dataset gives pairs of an image and its label.")


def refuse_no_dataset(images: Any, where: str) -> None:
    """Raise `UsageError` for what is no array, list or map-style Dataset."""
    names = {kind.__name__ for kind in type(images).__mro__}
    if "DataLoader" in names:
        raise UsageError(
            "a DataLoader was given instead of a Dataset", "Give `loader.dataset`: ppbench makes the batches itself."
        )
    # torch's IterableDataset inherits a `__getitem__` that only raises.
    if not all(hasattr(images, name) for name in ("__len__", "__getitem__")) or "IterableDataset" in names:
        iterable = "IterableDataset" in names or hasattr(images, "__iter__") or hasattr(images, "__next__")
        raise UsageError(
            f"{where} is {'iterable only' if iterable else 'no set of images'} ({type(images).__name__})",
            "An evaluation resumes and is shared among processes, so it asks for images by number: give arrays, a list "
            "or a map-style Dataset, with `__len__` and `__getitem__`.",
        )


def classes_of(dataset: Any) -> tuple[str, ...] | None:
    """The class names that a Dataset has, as torchvision's and Hugging Face's do; None if it has none."""
    inner = _inner(dataset)[0]
    features = getattr(inner, "features", None)
    if isinstance(features, Mapping):
        found = [getattr(features[name], "names", None) for name in LABEL_NAMES if name in features]
        return _texts(found[0]) if found else None
    # torchvision's ImageNet has lists of synonyms as classes.
    return _texts(getattr(inner, "wnids", None)) or _texts(getattr(inner, "classes", None))


def files_of(dataset: Any) -> list[str] | None:
    """Files of a Dataset's images, relative to its folder and with slashes, as torchvision's ``samples`` names them.

    None if it does not name one for each image.
    """
    inner, places = _inner(dataset)
    samples = getattr(inner, "samples", None)
    if not isinstance(samples, Sequence) or not samples:
        return None
    firsts = [one[0] if isinstance(one, tuple | list) and one else None for one in samples]
    paths = [Path(path) for path in firsts if isinstance(path, str | Path)]
    if len(paths) != len(firsts):
        return None
    chosen = paths if places is None else [paths[place] for place in places if 0 <= place < len(paths)]
    root = getattr(inner, "root", None)
    if len(chosen) != len(dataset) or not isinstance(root, str | Path):
        return None
    if not all(path.is_relative_to(root) for path in chosen):
        return None
    return [path.relative_to(root).as_posix() for path in chosen]


def _inner(dataset: Any) -> tuple[Any, list[int] | None]:
    """The Dataset that torch's Subset is of, and its places in it; None: all."""
    places: list[int] | None = None
    while hasattr(dataset, "dataset") and isinstance(
        indices := getattr(dataset, "indices", None), Sequence | np.ndarray
    ):
        places = [int(place) for place in indices] if places is None else [int(indices[place]) for place in places]
        dataset = dataset.dataset
    return dataset, places


def _texts(names: Any) -> tuple[str, ...] | None:
    """Names that are all texts; None if they are not."""
    if isinstance(names, Sequence) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None
