"""Datasets of the Hugging Face hub: their Parquet files are downloaded, and read in place. Free of torch."""

from __future__ import annotations

from pathlib import Path

from ppbench.data.parquet import ParquetImages
from ppbench.data.splits import choose_split, splits
from ppbench.errors import DataError, UsageError
from ppbench.extras import import_extra
from ppbench.hub import Repository
from ppbench.lookup import counted

HUB = "hf:"
"""Beginning of the name of a dataset of the hub."""

_REVISIONS = (None, "refs/convert/parquet")
"""Where Parquet files are: in the dataset itself, or in the copy that the hub makes of it."""


def hub_images(name: str, *, exif: bool = False, labelled: bool = True) -> ParquetImages:
    """Download a dataset's split, unless it was downloaded before, and open it.

    Without a network, what was downloaded before is enough.

    Args:
        name: ``hf:ORG/NAME``, ``hf:ORG/NAME@SPLIT`` or ``hf:ORG/NAME@CONFIGURATION/SPLIT``.
        exif: Whether EXIF orientation and colour profiles are applied.
        labelled: Whether labels are needed.

    Raises:
        UsageError: If the name is not of this form, or huggingface_hub or pyarrow is not installed.
        DataError: If there is no network, no such dataset or split, or it has no Parquet files.
    """
    dataset, _, wanted = name.removeprefix(HUB).partition("@")
    if dataset.count("/") != 1 or not all(dataset.split("/")):
        raise _no_name(name)
    import_extra("huggingface_hub", "hf", f"--dataset {name}")
    how = f"`--dataset {HUB}{dataset}@{{}}`"
    repository = Repository(dataset, _REVISIONS[0], "dataset")
    try:
        repository, sizes, files = _with_parquet(repository)
        if not files:
            raise DataError(
                f"{name} has no Parquet files on the hub",
                "Download it, and give its files: `--dataset imagefolder --data …`.",
            )
        found = splits(files)
        chosen = found[choose_split(found, wanted, name, how)]
        root = repository.copy(sizes, chosen)
    except (DataError, UsageError):
        raise
    except Exception as error:  # the libraries below the hub's raise errors of their own kinds
        by_hand = (
            "Check the network; a private dataset needs `hf auth login`. Files that you have: `--dataset imagefolder "
            "--data 'DIR/*.parquet'`."
        )
        raise repository.not_fetched(error, by_hand, _no_name(name)) from error
    images = ParquetImages([root / file for file in chosen], name, exif=exif, labelled=labelled)
    part = next(iter(splits(chosen)))
    images.notes = (f"{name}: the part {part}, {counted(len(chosen), 'file')} in {root}", *images.notes)
    return images


def _with_parquet(repository: Repository) -> tuple[Repository, dict[str, int] | None, list[str]]:
    """Return the revision that has Parquet files, the sizes of all its files, and the names of these.

    Without a network the sizes are None, and the files are those of the cache. There are no names if no revision has
    such files.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError, RevisionNotFoundError

    absent: LocalEntryNotFoundError | None = None
    for revision in _REVISIONS:
        at = repository._replace(revision=revision)
        try:
            sizes = at.files()
            # The hub's library refuses a folder in which wanted files are absent, and which are there is not known yet.
            files = _cached(at.copy(None, ())) if sizes is None else sorted(sizes)
        except RevisionNotFoundError:
            continue
        except LocalEntryNotFoundError as error:  # neither reachable nor in the cache
            absent = absent or error
            continue
        if parquet := [file for file in files if file.endswith(".parquet")]:
            return at, sizes, parquet
    if absent is not None:
        raise absent
    return repository, {}, []


def _cached(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file()]


def _no_name(name: str) -> UsageError:
    return UsageError(f"--dataset {name} is not hf:ORG/NAME", "For example `--dataset hf:ylecun/mnist@test`.")
