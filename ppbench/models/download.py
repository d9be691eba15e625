"""Download files of weights and verify them; a file appears complete or not at all. Free of torch."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ppbench.errors import DataError
from ppbench.files import check_regular, replacing

OnDownload = Callable[[int, int], None]
"""Called with the bytes received and the bytes expected (0: not known)."""

_CHUNK = 1 << 20
_PATIENCE = 30
"""Seconds without a byte after which a connection counts as broken."""


def fetch(
    url: str,
    folder: Path,
    *,
    megabytes: float | None = None,
    on_download: OnDownload | None = None,
    why_wrong: Callable[[bytes], str | None] = lambda head: None,
) -> Path:
    """Return the file of ``url`` in ``folder``, downloaded if it is not there yet.

    It is verified either way: eight or more hexadecimal digits before the ending of its name are the beginning of
    its SHA-256 (torchvision's convention). A download has a temporary name until it is complete and verified, so
    several processes may fetch the same file at the same time, and no wrong file is left behind.

    Args:
        url: Address; its last part is the file's name.
        folder: Folder of the file; made if missing.
        megabytes: Expected size in units of 2**20 bytes; None: not known.
        on_download: Called as bytes arrive.
        why_wrong: Given the first bytes, says what they are if they cannot belong to the file, such as a web page.

    Raises:
        DataError: If the file cannot be fetched or stored, or is the wrong one.
    """
    path = folder / url.rsplit("/", 1)[-1]
    if path.is_file():
        verify(path, url)
        return path
    try:
        with replacing(path, mode=0o644) as file:
            _download(url, folder, file, megabytes, on_download or (lambda done, total: None), why_wrong)
    except OSError as error:
        raise DataError(
            f"cannot store {path.name} in {folder}: {error.strerror or error}",
            "Free some space there, or set another folder: `export TORCH_HOME=DIR`.",
        ) from error
    return path


def verify(path: Path, url: str) -> None:
    """Compare a file with the hash in the name of ``url``, if there is one.

    Raises:
        DataError: If they differ.
    """
    wanted = hash_in(url)
    found = sha256_of(path)
    if wanted and not found.startswith(wanted):
        raise DataError(
            f"{path} differs from {url}: its SHA-256 begins with {found[: len(wanted)]}",
            f"Delete it (`rm {path}`) and run again to download it.",
        )


def hash_in(url: str) -> str:
    """Return the beginning of the SHA-256 in a name such as ``resnet50-0676ba61.pth``; empty if there is none."""
    found = re.search(r"-([0-9a-f]{8,64})\.[^./]+$", url)
    return found[1] if found else ""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        DataError: If it cannot be read.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", "Give the path of an existing file.") from error


def _download(
    url: str,
    folder: Path,
    file: IO[bytes],
    megabytes: float | None,
    on_download: OnDownload,
    why_wrong: Callable[[bytes], str | None],
) -> None:
    """Write the response of ``url`` to ``file`` and check it."""
    digest, done = hashlib.sha256(), 0
    for chunk, total in _chunks(url, folder):
        if done == 0 and (reason := why_wrong(chunk[:64])):
            raise _wrong(url, folder, reason)
        file.write(chunk)
        digest.update(chunk)
        done += len(chunk)
        on_download(done, total)
    if done == 0:
        raise _wrong(url, folder, "it is empty")
    # torchvision publishes sizes with three decimals.
    if megabytes is not None and abs(done / 2**20 - megabytes) > 0.01:
        raise _wrong(url, folder, f"it has {done / 2**20:.3f} MB instead of {megabytes:.3f}")
    wanted = hash_in(url)
    if not digest.hexdigest().startswith(wanted):
        raise _wrong(url, folder, f"its SHA-256 begins with {digest.hexdigest()[: len(wanted)]} instead of {wanted}")


def _chunks(url: str, folder: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the response of ``url`` in chunks, each with the total number of bytes expected (0: not known)."""
    request = urllib.request.Request(url, headers={"User-Agent": "ppbench"})
    done = 0
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                yield chunk, total
    except urllib.error.HTTPError as error:
        raise DataError(f"{url} answered {error.code} {error.reason}", _by_hand(url, folder)) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"cannot fetch {url}: {reason or type(error).__name__}", _by_hand(url, folder)) from error
    if total and done != total:
        raise DataError(f"cannot fetch {url}: the connection broke off after {done:,} of {total:,} bytes", "Run again.")


def _wrong(url: str, folder: Path, reason: str) -> DataError:
    return DataError(f"{url} did not return the expected file: {reason}", _by_hand(url, folder))


def _by_hand(url: str, folder: Path) -> str:
    return f"On a machine with internet access, run `wget -P DIR {url}`; then copy the file from DIR to {folder} here."
