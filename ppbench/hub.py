"""Repositories of the Hugging Face hub: their files, a copy in the hub's cache, and in one line why there is none.

Free of torch. huggingface_hub, an extra, is imported by the functions that need it.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ppbench.errors import DataError, PpbenchError, in_one_line

TIMEOUT = 10
"""Seconds after which the hub counts as unreachable: its own retries take a minute."""


class Repository(NamedTuple):
    """A repository of the hub, perhaps at one branch, tag or commit."""

    name: str
    """``ORG/NAME``."""
    revision: str | None = None
    """None: the main branch."""
    kind: Literal["model", "dataset"] = "model"

    @property
    def address(self) -> str:
        """Where people see it."""
        return f"https://huggingface.co/{'datasets/' * (self.kind == 'dataset')}{self.name}"

    def files(self) -> dict[str, int] | None:
        """Return the size in bytes of each of its files, or None if the hub is not reachable.

        Raises:
            huggingface_hub.errors.HfHubHTTPError: If the hub has no such repository, or does not show it to this user.
            huggingface_hub.errors.HFValidationError: If there can be no such name.
        """
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import HfHubHTTPError

        if constants.HF_HUB_OFFLINE:
            return None
        try:
            info: Any = HfApi().repo_info(
                self.name, revision=self.revision, repo_type=self.kind, files_metadata=True, timeout=TIMEOUT
            )
        except HfHubHTTPError:
            raise
        except Exception as error:
            # The HTTP client, whose errors these are, is another library in each version of huggingface_hub.
            if isinstance(error, ValueError):
                raise
            return None
        return {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def copy(
        self,
        sizes: dict[str, int] | None,
        allow: Sequence[str] | None = None,
        ignore: Sequence[str] | None = None,
        on_download: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Return the folder with its files in the hub's cache; those that are not there yet are downloaded.

        Args:
            sizes: As `files` gives them; None: only what is in the cache already is taken.
            allow: Patterns of the names that are wanted; None: all.
            ignore: Patterns of names that are not.
            on_download: Called with the bytes received, and the bytes expected.

        Raises:
            Exception: Of huggingface_hub or its HTTP client; `not_fetched` turns it into an error of ours.
        """
        from huggingface_hub import snapshot_download

        settings: dict[str, Any] = {
            **{"repo_id": self.name, "revision": self.revision, "repo_type": self.kind},
            **{"allow_patterns": None if allow is None else list(allow), "ignore_patterns": ignore and list(ignore)},
        }
        with quiet_hub():
            if sizes is None:
                return Path(snapshot_download(**settings, local_files_only=True))
            total = sum(size for name, size in sizes.items() if _is_wanted(name, allow, ignore))
            bar = _reporting_bar(total, on_download)
            return Path(snapshot_download(**settings, etag_timeout=TIMEOUT, tqdm_class=bar))

    def not_fetched(self, error: Exception, by_hand: str, why_no_name: PpbenchError) -> PpbenchError:
        """Say why `files` or `copy` raised.

        Args:
            error: What it raised.
            by_hand: The hint where the hub is not reachable.
            why_no_name: The error for what cannot be the name of a repository.
        """
        from huggingface_hub.errors import (
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if isinstance(error, HFValidationError):
            return why_no_name
        if isinstance(error, RevisionNotFoundError):
            return DataError(
                f"{self.name} has no revision {self.revision!r} on huggingface.co",
                "Give a branch, tag or commit, or none.",
            )
        if isinstance(error, RepositoryNotFoundError):
            what = "repository" if self.kind == "model" else self.kind
            return DataError(
                f"there is no {what} {self.name} on huggingface.co, or it is not open to you",
                "Check the name. For a private or gated one, run `hf auth login` first.",
            )
        unreachable = isinstance(error, LocalEntryNotFoundError)
        reason = "it is not reachable" if unreachable else in_one_line(error)[:160]
        at = f"@{self.revision}" if self.revision else ""
        return DataError(
            f"cannot fetch {self.name}{at} from huggingface.co, and it is not in its cache here: {reason}", by_hand
        )


def _is_wanted(name: str, allow: Sequence[str] | None, ignore: Sequence[str] | None) -> bool:
    allowed = allow is None or any(fnmatch(name, pattern) for pattern in allow)
    return allowed and not any(fnmatch(name, pattern) for pattern in ignore or ())


def _reporting_bar(total: int, on_download: Callable[[int, int], None] | None) -> Any:
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
