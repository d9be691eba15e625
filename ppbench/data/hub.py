"""Datasets of the Hugging Face hub: their Parquet files are downloaded, and read in place. Free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppbench.data.parquet import ParquetImages
from ppbench.data.splits import choose_split, splits
from ppbench.errors import DataError, UsageError
from ppbench.extras import import_extra
from ppbench.lookup import counted

HUB = "hf:"
"""Beginning of the name of a dataset of the hub."""

_REVISIONS = ("main", "refs/convert/parquet")
"""Where Parquet files are: in the dataset itself, or in the copy that the hub makes of it."""


def hub_images(name: str, *, exif: bool = False, labelled: bool = True) -> ParquetImages:
    """Download a dataset's split, unless it was downloaded before, and open it.

    Args:
        name: ``hf:ORG/NAME``, ``hf:ORG/NAME@SPLIT`` or ``hf:ORG/NAME@CONFIGURATION/SPLIT``.
        exif: Whether EXIF orientation and colour profiles are applied.
        labelled: Whether labels are needed.

    Raises:
        UsageError: If the name is not of this form, or huggingface_hub or pyarrow is not installed.
        DataError: If there is no network, no such dataset or split, or it has no Parquet files.
    """
    repository, _, wanted = name.removeprefix(HUB).partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise UsageError(f"--dataset {name} is not hf:ORG/NAME", "For example `--dataset hf:ylecun/mnist@test`.")
    hub = import_extra("huggingface_hub", "hf", f"--dataset {name}")
    how = f"`--dataset {HUB}{repository}@{{}}`"
    try:
        revision, files = _listed(hub, repository)
    except Exception as error:  # the libraries below the hub's raise errors of their own kinds
        # Without a network, what was downloaded before is enough.
        root, files = _downloaded(hub, repository)
        if root is None:
            raise _unreachable(name, error) from error
        found = splits(files)
        return _opened(root, found[choose_split(found, wanted, name, how)], name, exif=exif, labelled=labelled)
    if not files:
        raise DataError(
            f"{name} has no Parquet files on the hub",
            "Download it, and give its files: `--dataset imagefolder --data …`.",
        )
    found = splits(files)
    chosen = found[choose_split(found, wanted, name, how)]
    try:
        root = Path(hub.snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=chosen))
    except Exception as error:
        raise _unreachable(name, error) from error
    return _opened(root, chosen, name, exif=exif, labelled=labelled)


def _opened(root: Path, files: list[str], name: str, *, exif: bool, labelled: bool) -> ParquetImages:
    images = ParquetImages([root / file for file in files], name, exif=exif, labelled=labelled)
    part = next(iter(splits(files)))
    images.notes = (f"{name}: the part {part}, {counted(len(files), 'file')} in {root}", *images.notes)
    return images


def _listed(hub: Any, repository: str) -> tuple[str, list[str]]:
    """The revision that has Parquet files, and their names; no names if there are none."""
    for revision in _REVISIONS:
        try:
            names = hub.HfApi().list_repo_files(repository, repo_type="dataset", revision=revision)
        except hub.errors.RevisionNotFoundError:
            continue
        if files := [name for name in names if name.endswith(".parquet")]:
            return revision, files
    return _REVISIONS[0], []


def _downloaded(hub: Any, repository: str) -> tuple[Path | None, list[str]]:
    """The folder of what was downloaded before, and the Parquet files in it; None if there are none."""
    for revision in _REVISIONS:
        try:
            root = Path(
                hub.snapshot_download(repository, repo_type="dataset", revision=revision, local_files_only=True)
            )
        except Exception:  # nothing is there
            continue
        if files := [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.parquet"))]:
            return root, files
    return None, []


def _unreachable(name: str, error: Exception) -> DataError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return DataError(
        f"cannot get {name} from the Hugging Face hub: {reason}",
        "Check the name and the network; a private one needs `hf auth login`. Files that you have: "
        "`--dataset imagefolder --data 'DIR/*.parquet'`.",
    )
