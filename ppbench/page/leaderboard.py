"""The leaderboard: a folder of runs as a site of static files, a table for each protocol and a report for each run."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.files import LARGEST_LONG_TEXT, atomic_write, read_text
from ppbench.metrics.metric import Metric
from ppbench.metrics.without_labels import Wording, wording
from ppbench.page.html_table import metric_data
from ppbench.page.ranking import RANKED_BY, Entry, Place, Ranking, rankings
from ppbench.page.rendering import page_of
from ppbench.report.load import load_summary
from ppbench.report.run_data import run_dict
from ppbench.run import Adaptation, Protocol, Run, read_run
from ppbench.run.fields import as_utf8
from ppbench.tables.numbers import metric_text
from ppbench.tables.sheet import short_name
from ppbench.versions import __version__

INDEX_VERSION = 1
"""Version of ``index.json``."""

_ENDINGS = (".json", ".html", ".htm")
_PAGES = "runs"


@dataclass(frozen=True)
class Unreadable:
    """A file that is not in the leaderboard."""

    file: str
    reason: str


@dataclass(frozen=True)
class Leaderboard:
    """All runs of a folder, ranked."""

    rankings: tuple[Ranking, ...]
    unreadable: tuple[Unreadable, ...]
    others: tuple[str, ...] = ()
    """JSON files that have nothing to do with runs. The site counts them, because their names may be private."""

    @property
    def runs(self) -> int:
        """The number of runs."""
        return sum(len(ranking.entries) for ranking in self.rankings)

    def as_dict(self) -> dict[str, Any]:
        """The content of ``index.json``, which docs/report.md describes."""
        return {
            "version": INDEX_VERSION,
            "rankings": [_ranking_dict(ranking) for ranking in self.rankings],
            "unreadable": [{"file": one.file, "reason": one.reason} for one in self.unreadable],
            "other_json_files": len(self.others),
        }


def write_leaderboard(folder: Path, site: Path, page_of_run: Callable[[Path], str]) -> Leaderboard:
    """Write ``index.html``, ``index.json`` and a report for each run.

    The index is written last, so it never leads to a page that is not there.

    Args:
        folder: Searched with all its folders for run files and for pages that hold a run.
        site: Folder to write to. If it is in ``folder``, it is not searched.
        page_of_run: Makes the report of a run file as HTML.

    Raises:
        UsageError: If the site is the folder of runs itself.
        DataError: If the folder cannot be read or has no runs, or the site cannot be written.
    """
    if folder.resolve().is_relative_to(site.resolve()):
        raise UsageError(
            f"--output {site} is where the runs are, or above them",
            "Give a folder of its own, such as `-o site/`: its pages would be taken for runs the next time.",
        )
    found = read_folder(folder, site)
    made: dict[str, Entry] = {}
    for entry in (entry for ranking in found.rankings for entry in ranking.entries):
        try:
            content = page_of_run(folder / entry.file)
        except PpbenchError as error:
            made[entry.file] = replace(entry, page="", no_page=error.message)
        else:
            atomic_write(site / entry.page, content, "--output DIR")
            made[entry.file] = entry
    board = replace(found, rankings=tuple(_with_pages(ranking, made) for ranking in found.rankings))
    earlier = _pages_of(site / "index.json")
    atomic_write(site / "index.json", json.dumps(board.as_dict(), indent=1, sort_keys=True) + "\n", "--output DIR")
    atomic_write(site / "index.html", leaderboard_html(board), "--output DIR")
    # Only now, because until then the earlier index led to them.
    for page in earlier - {entry.page for entry in made.values()}:
        (site / page).unlink(missing_ok=True)
    return board


def _pages_of(index: Path) -> set[str]:
    """The reports that an earlier leaderboard wrote. A file that anyone changed names no others than such pages."""
    try:
        text = read_text(index, LARGEST_LONG_TEXT)
    except (OSError, ValueError):
        return set()
    return set(re.findall(rf'"page": "({_PAGES}/[A-Za-z0-9._-]+-[0-9a-f]{{8}}\.html)"', text))


def _with_pages(ranking: Ranking, made: dict[str, Entry]) -> Ranking:
    places = tuple(replace(place, entry=made[place.entry.file]) for place in ranking.places)
    return replace(ranking, places=places, unranked=tuple(made[entry.file] for entry in ranking.unranked))


def read_folder(folder: Path, without: Path | None = None) -> Leaderboard:
    """Read all runs in a folder and rank them.

    Args:
        folder: The folder.
        without: A folder in it that is left out.

    Raises:
        DataError: If it is no folder, or has no runs.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", "Give the folder of the runs: `ppbench report DIR --index`.")
    entries: dict[str, Entry] = {}
    unreadable = []
    others = []
    for path in _files(folder, without):
        file = path.relative_to(folder).as_posix()
        if as_utf8(file) != file:  # the site is UTF-8, and so are the addresses of its pages
            unreadable.append(Unreadable(as_utf8(file), "its name is not UTF-8"))
            continue
        try:
            run = read_run(path)
            new = Entry(file, (), run, load_summary(path, None, None, 0.95), _page_name(file))
            same = _identity(run)
            entries[same] = _richer(entries[same], new) if same in entries else new
        except PpbenchError as error:
            if _is_other_json(path):
                others.append(file)
            else:
                unreadable.append(Unreadable(file, _reason(error, path, file)))
    if not entries:
        raise DataError(f"{folder} has no runs in it", "`ppbench eval --output DIR/` writes run files.")
    return Leaderboard(tuple(rankings(list(entries.values()))), tuple(unreadable), tuple(others))


def _is_other_json(path: Path) -> bool:
    """Whether a file is whole JSON without the version that every run file has."""
    if path.suffix.lower() != ".json":
        return False
    try:
        content = json.loads(read_text(path, LARGEST_LONG_TEXT))
    except (OSError, ValueError, RecursionError):
        return False
    return not (isinstance(content, dict) and "version" in content)


def _reason(error: PpbenchError, path: Path, file: str) -> str:
    """The reason without the folder's own place, on which the site must not depend, and without the file's name."""
    reason = error.message.replace(str(path), file)
    start = next((start for start in (f"{file} is ", f"{file}: ", f"{file} ") if reason.startswith(start)), "")
    return reason.removeprefix(start)


def _files(folder: Path, without: Path | None) -> Iterator[Path]:
    """All files that may hold a run: run files before pages, so that a page counts as the copy."""
    found = []
    left_out = None if without is None else without.resolve()
    for root, folders, files in os.walk(folder):
        here = Path(root)
        folders[:] = [name for name in folders if (here / name).resolve() != left_out]
        found += [here / name for name in files if Path(name).suffix.lower() in _ENDINGS]
    return iter(sorted(found, key=lambda path: (path.suffix.lower() != ".json", path.as_posix())))


def _identity(run: Run) -> str:
    """What two files with the same result have in common, such as a run, its page, and a baseline made from it."""
    results = [[*cell.key, cell.top1, cell.failures] for cell in run.cells]
    protocol = run.protocol.model_dump(mode="json")
    # Without a hash, equal results may be those of two models; files of one evaluation began at the same time.
    weights = run.model.weights_sha256 or f"not known, {run.provenance.started}"
    content = json.dumps([run.model.name, weights, protocol, results], sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _richer(one: Entry, other: Entry) -> Entry:
    """Of two files with the same run, the one that has more of it; the first if they are alike."""
    kept, copy = (other, one) if _richness(other) > _richness(one) else (one, other)
    return replace(kept, copies=tuple(sorted((*kept.copies, copy.file, *copy.copies))))


def _richness(entry: Entry) -> tuple[bool, ...]:
    """How much a file has of its run, for the choice among copies."""
    run = entry.run
    return run.predictions is not None, run.bits is not None, bool(run.provenance.command)


def _page_name(file: str) -> str:
    """The name of a run's report: letters that every server and system takes, and distinct for distinct files."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file.rpartition("/")[2].rpartition(".")[0])[:60].strip("-.")
    return f"{_PAGES}/{stem or 'run'}-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}.html"


def _ranking_dict(ranking: Ranking) -> dict[str, Any]:
    first = ranking.entries[0].run.protocol
    return {
        "id": ranking.key,
        "ranked_by": ranking.label,
        "protocol": first.model_dump(mode="json", exclude={"preprocessing", "unreadable"}),
        "runs": [
            {"rank": place.rank, "best_rank": place.best, "worst_rank": place.worst, **_entry_dict(place.entry)}
            for place in ranking.places
        ],
        "unranked": [_entry_dict(entry) for entry in ranking.unranked],
    }


def _entry_dict(entry: Entry) -> dict[str, Any]:
    record = entry.run.model
    return {
        "model": record.name,
        "weights_sha256": record.weights_sha256,
        "parameters": record.parameters,
        "preprocessing": entry.run.protocol.preprocessing,
        "file": entry.file,
        "copies": list(entry.copies),
        "page": entry.page or None,
        "no_page": entry.no_page or None,
        "metrics": run_dict(entry.summary)["metrics"],
    }


@dataclass(frozen=True)
class BoardCell:
    """A number of the table."""

    text: str
    data: Markup


@dataclass(frozen=True)
class BoardRow:
    """A run of the table."""

    place: Place | None
    entry: Entry
    numbers: tuple[BoardCell, ...]


@dataclass(frozen=True)
class BoardTable:
    """A ranking as a table of the page."""

    ranking: Ranking
    header: tuple[tuple[str, str], ...]
    """The metrics, that of the ranking first: short name, and full label."""
    rows: tuple[BoardRow, ...]

    @property
    def images(self) -> str:
        """``40 of 2,000 images``, by which tables of one dataset differ most."""
        protocol = self.ranking.entries[0].run.protocol
        of = "all " if protocol.n == protocol.total else f"{protocol.n:,} of "
        return f"{of}{protocol.total:,} {self.what}"

    @property
    def what(self) -> str:
        """What was counted: images, or the frames of a stream."""
        return "frames" if self.ranking.entries[0].run.protocol.stream else "images"

    @property
    def words(self) -> Wording:
        """What the numbers of the table are called."""
        return wording(self.ranking.entries[0].run.protocol)

    @property
    def lower(self) -> str:
        """What is better if it is lower."""
        return self.words.losses

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What the runs have in common."""
        protocol = self.ranking.entries[0].run.protocol
        words, levels = wording(protocol), ", ".join(map(str, protocol.severities))
        return [
            (self.what, f"{protocol.n:,} of {protocol.total:,}"),
            (
                ("stream", str(protocol.stream))
                if protocol.stream
                else (f"{words.what}s", f"{len(protocol.corruptions)}, {words.levels} {levels}")
            ),
            *([("number of frames", str(protocol.sequences))] if protocol.sequences else []),
            *([("passes over each image", str(protocol.passes))] if protocol.passes else []),
            # The engine of a published set is "published" too.
            (words.made_images, ", ".join({protocol.source: 0, f"recipe {protocol.recipe}": 0, protocol.engine: 0})),
            ("seed", str(protocol.seed)),
            ("precision", protocol.precision),
            *([_adapted(protocol, protocol.adaptation)] if protocol.adaptation else []),
            *([("labels", "each model's own clean predictions")] if protocol.labels else []),
            ("ranked by", self.ranking.label),
        ]


def _adapted(protocol: Protocol, adaptation: Adaptation) -> tuple[str, str]:
    return ("adapted", adaptation.label) if protocol.stream else ("adapted to each cell", str(adaptation))


def leaderboard_html(board: Leaderboard) -> str:
    """Write the page of a leaderboard."""
    return page_of(
        "leaderboard.html.j2", board=board, tables=[board_table(one) for one in board.rankings], version=__version__
    )


def board_table(ranking: Ranking) -> BoardTable:
    """The table of a ranking: its metric, and all other headline metrics that any of its runs has."""
    entries = ranking.entries
    names = [
        metric.name
        for metric in entries[0].summary.metrics
        if metric.name not in RANKED_BY and any(_metric(entry, metric.name).value is not None for entry in entries)
    ]
    names.insert(0, entries[0].ranked_by.name)  # beside the model, where a phone shows it
    labels = tuple((short_name(m.label), m.label) for m in (_metric(entries[0], name) for name in names))
    places = {place.entry.file: place for place in ranking.places}
    rows = tuple(
        BoardRow(places.get(entry.file), entry, tuple(_cell(_metric(entry, name)) for name in names))
        for entry in entries
    )
    return BoardTable(ranking, labels, rows)


def _metric(entry: Entry, name: str) -> Metric:
    return next(metric for metric in entry.summary.metrics if metric.name == name)


def _cell(metric: Metric) -> BoardCell:
    return BoardCell(metric_text(metric), metric_data(metric))
