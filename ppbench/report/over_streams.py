"""The mean over several streams of one level, which the authors of CCC report, for one model or several."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ppbench.errors import NotComparableError, UsageError
from ppbench.lookup import counted
from ppbench.metrics.cell_errors import CellErrors
from ppbench.run import CCC_SEEDS, SPEEDS, Protocol, Run, read_run
from ppbench.tables.numbers import decimals
from ppbench.tables.report import Rows
from ppbench.tables.rows import rounded
from ppbench.tables.sheet import MISSING, Line, Sheet

_WHOLE = [(speed, seed) for speed in SPEEDS for seed in CCC_SEEDS]
"""The streams of a level in the paper: frames at each point, and seed."""

_ALIKE = (
    "dataset", "fingerprint", "source", "recipe", "engine", "n", "precision", "classes", "labels", "head_precision",
    "decoder",
)  # fmt: skip
"""Fields of the protocol in which all streams of a mean agree; models may be adapted or not."""

_COLUMNS = ("model", "streams", "speed", "seed", "n", "accuracy", "label")


class _Mean(NamedTuple):
    """A model on its streams."""

    model: str
    accuracies: dict[tuple[int, int], float]
    """Percent, by speed and seed."""
    label: str

    @property
    def value(self) -> float:
        return statistics.fmean(self.accuracies.values())

    @property
    def between_seeds(self) -> float | None:
        """Standard deviation of the seeds' means; None with one seed, or if seeds have other speeds than others."""
        by_seed: dict[int, dict[int, float]] = {}
        for (speed, seed), accuracy in self.accuracies.items():
            by_seed.setdefault(seed, {})[speed] = accuracy
        if len(by_seed) < 2 or len({tuple(sorted(of)) for of in by_seed.values()}) > 1:
            return None
        return statistics.stdev(statistics.fmean(of.values()) for of in by_seed.values())


@dataclass(frozen=True)
class StreamsReport:
    """The accuracy of each stream, and the mean of all."""

    level: str
    """``ccc:medium``."""
    frames: int
    """Frames of each stream."""
    means: tuple[_Mean, ...]

    def sheets(self) -> list[Sheet]:
        """A line for each stream, then their mean; a column for each model."""
        streams = sorted({stream for mean in self.means for stream in mean.accuracies})
        lines = [Line((f"{speed:,} a point, seed {seed}", *self._at((speed, seed)))) for speed, seed in streams]
        counts = {len(mean.accuracies) for mean in self.means}
        what = f"mean of {counted(counts.pop(), 'stream')}" if len(counts) == 1 else "mean"
        lines.append(Line((what, *(decimals(mean.value, 1) for mean in self.means)), "total"))
        header = ("stream accuracy, %", *(mean.model for mean in self.means))
        title = f"Streams {self.level}, {self.frames:,} frames each"
        names = tuple(range(1, len(header)))
        return [Sheet(title, header, tuple(lines), notes=tuple(self._notes()), labels=self._labels(), names=names)]

    def _at(self, stream: tuple[int, int]) -> list[str]:
        return [decimals(mean.accuracies[stream], 1) if stream in mean.accuracies else MISSING for mean in self.means]

    def _labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(mean.label for mean in self.means))

    def _notes(self) -> list[str]:
        notes = []
        for mean in self.means:
            lacking = [stream for stream in _WHOLE if stream not in mean.accuracies]
            if lacking:
                named = ", ".join(f"{speed:,} a point with seed {seed}" for speed, seed in lacking[:2])
                more = ", …" if len(lacking) > 2 else ""
                notes.append(
                    f"{mean.model}: the paper's mean is over nine streams; {len(lacking)} of them are not here: "
                    f"{named}{more}."
                )
        spreads = [(mean.model, spread) for mean in self.means if (spread := mean.between_seeds) is not None]
        if spreads:
            each = ", ".join(f"{model} {decimals(spread, 1)}" for model, spread in spreads)
            notes.append(
                f"Standard deviation of the means of the seeds: {each} points. Streams of one seed have the same walk "
                "and the same images, so seeds, not streams, are independent of each other."
            )
        return notes

    def as_dict(self) -> dict[str, Any]:
        """The accuracies of all streams and their means, percent."""
        means = [
            {"model": mean.model, "accuracy": rounded(mean.value), "streams": len(mean.accuracies),
             "is_whole": set(mean.accuracies) == set(_WHOLE), "sd_between_seeds": rounded(mean.between_seeds),
             "label": mean.label}
            for mean in self.means
        ]  # fmt: skip
        return {"streams": self.level, "n": self.frames, "means": means, "accuracies": self._records()}

    def rows(self) -> Rows:
        """A row for each stream of each model, then a row for each mean, without speed and seed."""
        means = [
            {"model": mean.model, "streams": self.level, "speed": None, "seed": None, "n": self.frames,
             "accuracy": rounded(mean.value), "label": mean.label}
            for mean in self.means
        ]  # fmt: skip
        return Rows.of_records([*self._records(), *means], _COLUMNS)

    def _records(self) -> list[dict[str, Any]]:
        return [
            {"model": mean.model, "streams": self.level, "speed": speed, "seed": seed, "n": self.frames,
             "accuracy": rounded(accuracy), "label": mean.label}
            for mean in self.means
            for (speed, seed), accuracy in sorted(mean.accuracies.items())
        ]  # fmt: skip


def over_streams(paths: Sequence[Path]) -> StreamsReport:
    """Read runs of several streams of one level, and take the mean of each model's.

    Raises:
        UsageError: If a run is of no stream, or a stream is given twice.
        DataError: If a file is missing or damaged.
        NotComparableError: If they are streams of several levels, calibrations or lengths, or of other images.
    """
    runs = [read_run(path) for path in paths]
    for path, run in zip(paths, runs, strict=True):
        if run.protocol.stream is None or not run.cells:
            raise UsageError(
                f"{path} is of no stream: several runs are shown together if all are of streams",
                "Set runs side by side with `ppbench compare RUN RUN …`.",
            )
        _check_alike(runs[0].protocol, run.protocol, (paths[0], path))
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.called, []).append(run)
    first = runs[0].protocol
    assert first.stream is not None
    level = f"{first.stream.kind}:{first.stream.level}"
    return StreamsReport(level, first.n, tuple(_mean(model, of) for model, of in found.items()))


def _mean(model: str, runs: Sequence[Run]) -> _Mean:
    accuracies: dict[tuple[int, int], float] = {}
    for run in runs:
        stream = run.protocol.stream
        assert stream is not None
        key = (stream.speed, run.protocol.seed)
        if key in accuracies:
            raise UsageError(
                f"{model} is given twice on the stream of {key[0]:,} frames a point and seed {key[1]}",
                "Give one run for each stream.",
            )
        accuracies[key] = 100 * (1 - run.cells[0].error)
    return _Mean(model, accuracies, _label(runs, accuracies))


def _label(runs: Sequence[Run], accuracies: dict[tuple[int, int], float]) -> str:
    """``stream_accuracy[mean of 9,ccc:medium,1000+2000+5000 a point,calibration 1a2b3c4d,seeds 43+44+45,…]``."""
    stream = runs[0].protocol.stream
    assert stream is not None
    speeds, seeds = ("+".join(map(str, sorted(set(of)))) for of in zip(*accuracies, strict=True))
    shown = stream.label.replace(f",{stream.speed} a point,", f",{speeds} a point,")
    parts = [f"mean of {len(accuracies)}", shown, f"seeds {seeds}", CellErrors.from_run(runs[0]).conditions]
    return f"stream_accuracy[{','.join(filter(None, parts))}]"


def _check_alike(one: Protocol, other: Protocol, paths: tuple[Path, Path]) -> None:
    assert one.stream is not None
    assert other.stream is not None
    here, there = (stream.model_copy(update={"speed": 1}).label for stream in (one.stream, other.stream))
    differing = [] if here == there else ["stream"]
    differing += [name for name in _ALIKE if getattr(one, name) != getattr(other, name)]
    if differing:
        raise NotComparableError(
            f"{paths[1]} was not measured like {paths[0]}: {', '.join(differing)} differ",
            "The streams of a mean differ in speed and seed alone: same level, calibration, images and --limit.",
        )
