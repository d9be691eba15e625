"""Open the images that users have in forms of their own: code, Python values, the hub's datasets, shards."""

from __future__ import annotations

from ppbench.data.hub import HUB, hub_images
from ppbench.data.layout import ShardsFound
from ppbench.data.own_images import ImagesGiven, OwnImages, given_by_code
from ppbench.data.parquet import ParquetImages
from ppbench.data.uncut import UncutImages
from ppbench.data.webdataset import TarImages
from ppbench.errors import UsageError
from ppbench.own_code import names_factory


def is_hub(name: str | ImagesGiven) -> bool:
    """Whether a dataset is one of the Hugging Face hub."""
    return isinstance(name, str) and name.startswith(HUB)


def open_own(name: str | ImagesGiven, *, exif: bool = False, labelled: bool = True) -> UncutImages:
    """Open ``hf:ORG/NAME``, ``pkg.mod:factory`` or images from Python.

    Args:
        name: The name, or what was given from Python.
        exif: Whether EXIF orientation and colour profiles are applied.
        labelled: Whether labels are needed.

    Raises:
        UsageError: If the name is none of these, or a value is no set of images.
        DataError: If the images cannot be had, or are not as they must be.
    """
    if not isinstance(name, str):
        return OwnImages(name, labelled=labelled)
    if is_hub(name):
        return hub_images(name, exif=exif, labelled=labelled)
    if not names_factory(name):
        raise UsageError(
            f"unknown dataset {name!r}",
            "It is neither pkg.mod:factory nor hf:ORG/NAME. `ppbench list datasets` lists the others.",
        )
    return OwnImages(given_by_code(name), labelled=labelled)


def open_shards(found: ShardsFound, *, exif: bool = False, labelled: bool = True) -> UncutImages:
    """Open Parquet files or WebDataset's tars.

    Args:
        found: The files.
        exif: Whether EXIF orientation and colour profiles are applied.
        labelled: Whether labels are needed.

    Raises:
        UsageError: If a library is not installed.
        DataError: If a file is damaged, or has no images or labels.
    """
    if found.form == "parquet":
        return ParquetImages(found.files, found.root, exif=exif, labelled=labelled)
    return TarImages(found.files, found.root, exif=exif, labelled=labelled)
