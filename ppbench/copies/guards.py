"""Guards against writing into the source, among other files, or at the same time as another job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ppbench.copies.naming import cell_key
from ppbench.copies.places import STILLS, CopyPlaces
from ppbench.copies.records import JOURNAL, Records, cannot_write
from ppbench.data.walk import MANIFEST, SCRATCH
from ppbench.errors import UsageError
from ppbench.files import locked
from ppbench.vocabulary import Cell


def check_apart(src: Path, dest: Path, cells: Sequence[Cell], places: CopyPlaces = STILLS) -> None:
    """Refuse to write into the folder that is read, into one around it, or over the file that is read."""
    real = src.resolve()
    tops = dict.fromkeys(top for cell in cells for top in places.claimed(cell_key(cell), begun=False))
    for path in (dest / top for top in tops):
        if path.resolve() in (real, *real.parents):
            where = "is" if path.suffix == ".npy" else "is in"
            raise UsageError(f"{src} {where} {path}, which would be written to", "Give another folder.")


def check_free(dest: Path, cells: Sequence[Cell], records: Records, places: CopyPlaces = STILLS) -> None:
    """Refuse to write among files that are not in the record."""
    known = {cell.partition("/")[0] for cell in records.cells}
    new = [cell for cell in cells if cell_key(cell) not in records.cells]
    for path in (dest / top for cell in new for top in places.claimed(cell_key(cell), begun=cell[0] in known)):
        if path.exists():
            raise UsageError(
                f"{path} exists already, and {dest / MANIFEST} does {'not list it' if known else 'not exist'}",
                "Give another folder, or replace it with `--overwrite`.",
            )


@contextmanager
def claimed_folder(dest: Path) -> Iterator[None]:
    """Create ``dest`` and its scratch folder if they are missing, and keep other processes from writing there.

    The scratch folder then contains only what an interrupted job left. It is removed at the end, unless it has a
    journal: then the job is not finished.

    Raises:
        DataError: If ``dest`` cannot be written.
        UsageError: If another process is writing to it.
    """
    scratch = dest / SCRATCH
    # These are created here, and removed at the end if nothing was written to them.
    missing = [folder for folder in (scratch, dest, *dest.parents) if not folder.exists()]
    refusal = UsageError(f"another ppbench is writing to {dest}", "Wait until it has finished, or give another folder.")
    with ExitStack() as stack:
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(scratch / "lock", refusal))
        except OSError as error:
            raise cannot_write(dest, error) from error
        # Left by a killed job. This process has the lock, so no other one is writing them.
        for torn in scratch.glob("*.part"):
            shutil.rmtree(torn) if torn.is_dir() else torn.unlink()
        try:
            yield
        finally:
            if not (scratch / JOURNAL).exists():
                shutil.rmtree(scratch, ignore_errors=True)
                with suppress(OSError):  # stop at the first that is not empty
                    for folder in missing[1:]:
                        folder.rmdir()
