"""Files that belong to a run: beside its run file, or inside a page that holds the run. Free of torch.

A page is an HTML file of ``ppbench report``. It has the run file and the files beside it as blocks of data, which no
browser runs or shows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppbench.errors import DataError
from ppbench.files import LARGEST_LONG_TEXT, LARGEST_TEXT, read_text, read_whole
from ppbench.parsing import parse_json
from ppbench.run.npy import LARGEST_ARRAYS, inflated

_ENDINGS = (".html", ".htm")
_RUN = re.compile(r'<script type="application/json" id="ppbench-run">([^<]*)</script>')
_FILE = '<script type="text/plain" data-ppbench-sha256="{}">'
"""The beginning of a block with an attached file. The hash of the file names it."""


def is_page(path: Path) -> bool:
    """Whether a file is taken to be a page with a run inside, by the ending of its name."""
    return path.suffix.lower() in _ENDINGS


def beside(run_file: Path, name: str) -> Path:
    """Return the file of this name in the folder of a run file. Names in run files are UTF-8 whatever the locale."""
    return run_file.with_name(os.fsdecode(name.encode()))


def data_blocks(record: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """Write a run file and the files beside it as the blocks of a page.

    Args:
        record: The content of the run file.
        files: The files by name.
    """
    # Inside a script element, only the letters < and & could end the block or mean something.
    text = json.dumps(record, sort_keys=True).replace("<", "\\u003c").replace("&", "\\u0026")
    blocks = [f'<script type="application/json" id="ppbench-run">{text}</script>']
    for _, content in sorted(files.items()):
        packed = base64.b64encode(zlib.compress(content, 9)).decode()
        blocks.append(f"{_FILE.format(hashlib.sha256(content).hexdigest())}{packed}</script>")
    return "\n".join(blocks)


def run_in_page(path: Path) -> Any:
    """Read the content of the run file that a page holds.

    Raises:
        OSError: If the page cannot be read.
        ValueError: If it holds no run, several, or something that is not JSON.
    """
    found = _RUN.findall(read_text(path, LARGEST_LONG_TEXT))
    if not found:
        raise ValueError("the page holds no run; `ppbench report` writes pages that do")
    if len(found) > 1:
        raise ValueError(f"the page holds {len(found)} runs; those of `ppbench report` hold one")
    if len(found[0]) > LARGEST_TEXT:
        raise ValueError(f"its run has more than {LARGEST_TEXT >> 20} MB")
    return parse_json(found[0])


def read_attached(run_file: Path, name: str, sha256: str, most: int) -> tuple[Path, bytes | bytearray]:
    """Read a file that belongs to a run, and check that it is the one that the run was written with.

    Args:
        run_file: The run file, or the page that holds the run.
        name: Its name.
        sha256: Its hash.
        most: Largest allowed size in bytes.

    Returns:
        The path for messages, and all bytes.

    Raises:
        DataError: If there is no such file, or it is another one.
    """
    if is_page(run_file):
        return run_file, _from_page(run_file, sha256, most)
    file = beside(run_file, name)
    _check_place(run_file, file)
    try:
        content = read_whole(file, most)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", f"It belongs beside {run_file}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{file} is not the file {run_file} was written with", "Keep the two together.")
    return file, content


def _from_page(page: Path, sha256: str, most: int) -> bytearray:
    """Return the block of a page that has this hash."""
    try:
        # A page may be renamed, so a block is found by its hash. One byte more than allowed shows a bomb.
        _, found, rest = read_text(page, LARGEST_LONG_TEXT).partition(_FILE.format(sha256))
        packed = base64.b64decode(rest.partition("<")[0], validate=True)
        content = inflated(packed, zlib.MAX_WBITS, min(most, LARGEST_ARRAYS) + 1)
    except OSError as error:
        raise DataError(f"cannot read {page}: {error.strerror}", "Write the page again: `ppbench report`.") from error
    except (ValueError, zlib.error):
        content = bytearray()
    if not found or hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{page} does not hold the results image by image that its run was written with",
            "Write the page again: `ppbench report`; or give the run file itself.",
        )
    return content


def _check_place(run_file: Path, file: Path) -> None:
    """Refuse a link that leads out of the folder: a stranger's run file could choose which file is read."""
    if file.is_symlink() and file.resolve().parent not in (run_file.parent.resolve(), run_file.resolve().parent):
        raise DataError(f"{file} is a link that leaves its folder", "Put the file itself beside the run file.")
    try:
        is_file = stat.S_ISREG(file.stat().st_mode)
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}", f"It belongs beside {run_file}.") from error
    if not is_file:
        raise DataError(f"cannot read {file}: it is not a file", f"It belongs beside {run_file}.")
