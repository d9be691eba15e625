"""What the copies of each source are called, also where two sources would get one name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from ppbench.copies.encode import ImageFormat, output_name
from ppbench.copies.records import Records
from ppbench.vocabulary import Cell


def cell_key(cell: Cell) -> str:
    """``fog/3``."""
    return f"{cell[0]}/{cell[1]}"


def file_name(cell: Cell, output: str) -> str:
    """``fog/3/a/b.jpg``: where a source's corrupted image lies below the folder written to."""
    return f"{cell_key(cell)}/{output}"


def longer_names(names: Sequence[str], form: ImageFormat, records: Records) -> dict[str, str]:
    """The sources whose copies are not called as `output_name` says, since another source's are: ``a.bmp.png``.

    Of sources that would get one name, the one that is called so already keeps it; the others keep their own ending
    before the new one. What a record names stays as it is, so that a job that goes on, or takes further images,
    renames nothing.

    Args:
        names: Of the sources, relative to their folder.
        form: Format of the files to write.
        records: What is known of the folder written to, other sources too.

    Returns:
        Source -> name of its files in each cell.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted({*names, *records.sources()}):
        alike[output_name(name, form)].append(name)
    taken = set(alike)
    longer: dict[str, str] = {}
    for output, sources in alike.items():
        if len(sources) < 2:
            continue
        known = {name: _recorded(records, name) for name in sources}
        owner = next((name for name in sources if known[name] == output), output)
        for name in sources:
            if name != owner:
                free = name + (ending := PurePosixPath(output).suffix)
                while free in taken:
                    free += ending
                longer[name] = known[name] or free
                taken.add(longer[name])
    return longer


def _recorded(records: Records, name: str) -> str | None:
    """What a source's copies are called by its record."""
    record = records.get(name)
    first = next(iter(record["files"]), None) if record else None
    return first.split("/", 2)[2] if first else None
