"""Fetch a repository of the Hugging Face hub into its cache, and say in one line why that fails."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from ppbench.errors import DataError, PpbenchError
from ppbench.extras import import_extra
from ppbench.models.download import OnDownload
from ppbench.own_code import in_one_line

TIMEOUT = 10
"""Seconds after which the hub counts as unreachable: its own retries take a minute."""

_SETTINGS = ("*.json", "*.txt", "*.model")
_SAFE = ("model.safetensors", "model-*-of-*.safetensors", "open_clip*.safetensors")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "open_clip_pytorch_model.bin")


class Snapshot(NamedTuple):
    """The files of a repository at one commit."""

    folder: Path
    source: str | None
    """Address of the repository at this commit; None: a folder of the user's."""


def fetch_repository(
    reference: str, *, door: str, code: bool = False, on_download: OnDownload | None = None
) -> Snapshot:
    """Fetch the settings and weights of ``ORG/NAME`` or ``ORG/NAME@REVISION`` into huggingface_hub's cache.

    Of weights in both formats only the safetensors are fetched. Without a network, what is in the cache is used.

    Args:
        reference: Name of the repository, perhaps with a branch, tag or commit.
        door: Prefix of ``--model`` that asks for it, for messages.
        code: Whether the repository's Python files are fetched too.
        on_download: Called with the bytes received, and the bytes expected.

    Raises:
        DataError: If there is no such repository, or it is neither reachable nor in the cache.
        UsageError: If huggingface_hub is not installed.
    """
    hub = import_extra("huggingface_hub", "hf", f"--model {door}:{reference}")
    repository, _, revision = reference.partition("@")
    if repository.count("/") != 1:
        raise _no_name(reference, door)
    settings = {"repo_id": repository, "revision": revision or None, "ignore_patterns": ["*/*"]}
    kept = [*_SETTINGS, *_SAFE, *(("*.py",) if code else ())]
    try:
        with quiet_hub():
            sizes = _sizes(repository, revision or None)
            if sizes is None:
                folder = hub.snapshot_download(**settings, allow_patterns=kept, local_files_only=True)
            else:
                if not any(_is_among(name, _SAFE) for name in sizes):
                    kept += _PICKLED
                total = sum(size for name, size in sizes.items() if _is_among(name, kept))
                bar = _reporting_bar(total, on_download)
                folder = hub.snapshot_download(**settings, allow_patterns=kept, etag_timeout=TIMEOUT, tqdm_class=bar)
    except PpbenchError:
        raise
    except Exception as error:  # huggingface_hub and its HTTP client each raise their own classes
        raise _not_fetched(reference, door, error) from error
    path = Path(folder)
    return Snapshot(path, f"https://huggingface.co/{repository}/tree/{path.name}")


def _is_among(name: str, patterns: Sequence[str]) -> bool:
    return "/" not in name and any(fnmatch(name, pattern) for pattern in patterns)


def _sizes(repository: str, revision: str | None) -> dict[str, int] | None:
    """Return the size in bytes of each file of a repository, or None if the hub is not reachable.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: If the hub has no such repository, or does not show it to this user.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT)
    except HfHubHTTPError:
        raise
    except Exception as error:
        # The HTTP client, whose errors these are, is another library in each version of huggingface_hub.
        if isinstance(error, ValueError):
            raise
        return None
    return {file.rfilename: file.size or 0 for file in info.siblings or ()}


def _reporting_bar(total: int, on_download: OnDownload | None) -> Any:
    """Return a class of progress bars that draw nothing, and report received bytes to ``on_download``."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **{**settings, "file": io.StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            if on_download is not None and self.unit == "B" and total:
                on_download(min(int(self.n), total), total)
            return drawn

    return Bar


def _not_fetched(reference: str, door: str, error: Exception) -> DataError:
    from huggingface_hub.errors import (
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = reference.partition("@")
    if isinstance(error, HFValidationError):
        return _no_name(reference, door)
    if isinstance(error, RevisionNotFoundError):
        return DataError(
            f"{repository} has no revision {revision!r} on huggingface.co", "Give a branch, tag or commit, or none."
        )
    if isinstance(error, RepositoryNotFoundError):
        return DataError(
            f"there is no repository {repository} on huggingface.co, or it is not open to you",
            "Check the name. For a private or gated one, run `hf auth login` first.",
        )
    name = repository.rpartition("/")[2]
    reason = "it is not reachable" if isinstance(error, LocalEntryNotFoundError) else in_one_line(error)[:160]
    at = f" --revision {revision}" if revision else ""
    return DataError(
        f"cannot fetch {reference} from huggingface.co, and it is not in its cache here: {reason}",
        f"On a machine with internet access, run `hf download {repository}{at} --local-dir {name}`; copy the folder "
        f"here, then give `--model {door}:{name}`.",
    )


def _no_name(reference: str, door: str) -> DataError:
    example = "microsoft/resnet-50" if door == "hf" else "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    return DataError(
        f"{door}:{reference} is neither a folder here nor the name of a repository on huggingface.co",
        f"Give the path of a folder, or ORG/NAME: `--model {door}:{example}`.",
    )


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Silence huggingface_hub's log of every attempt; ppbench reports its last error."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
