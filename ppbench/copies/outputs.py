"""What the copies of each source are called, where two sources would get one name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from ppbench.copies.encode import ImageFormat, output_name
from ppbench.copies.records import Records


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
                longer[name] = known[name] or _free(name, PurePosixPath(output).suffix, taken)
                taken.add(longer[name])
    return longer


def _recorded(records: Records, name: str) -> str | None:
    """What a source's copies are called by its record."""
    record = records.get(name)
    first = next(iter(record["files"]), None) if record else None
    return first.split("/", 2)[2] if first else None


def _free(name: str, ending: str, taken: set[str]) -> str:
    name += ending
    while name in taken:
        name += ending
    return name
