"""File names of copies; two sources never get the same name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from ppbench.copies.records import Records
from ppbench.vocabulary import Cell


def cell_key(cell: Cell) -> str:
    """``fog/3``."""
    return f"{cell[0]}/{cell[1]}"


def longer_names(names: Sequence[str], usual: Callable[[str], str], records: Records) -> dict[str, str]:
    """The sources whose copies get a longer name, such as ``a.bmp.png``, since the usual one is another source's.

    If several sources would get one name, the source that has this name itself keeps it; the others keep their own
    ending before the new one. Names in the record never change, so that a job that is resumed, or gets more images,
    renames nothing.

    Args:
        names: Names of the sources, relative to their folder.
        usual: From a source to the usual name of its copies.
        records: The record of the folder that is written to, including other sources.

    Returns:
        Source -> name of its files in each cell.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for name in sorted({*names, *records.sources()}):
        alike[usual(name)].append(name)
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
                # The longer name may be the name of yet another source.
                while free in taken:
                    free += ending
                longer[name] = known[name] or free
                taken.add(longer[name])
    return longer


def _recorded(records: Records, name: str) -> str | None:
    """File name of a source's copies by its record; None if it has none."""
    record = records.get(name)
    first = next(iter(record["files"]), None) if record else None
    return records.places.found(first)[1] if first else None
