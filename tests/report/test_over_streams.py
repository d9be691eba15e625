"""The mean over streams, as the authors of CCC report it."""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppbench.cli.output import Format, written
from ppbench.errors import NotComparableError, UsageError
from ppbench.report.over_streams import over_streams
from ppbench.run import CCC_SEEDS, SPEEDS, StreamRecord, write_run
from tests.streams.runs import ADAPTED, stream_run

RIGHT = {(speed, seed): 10 * place + 5 for place, (speed, seed) in enumerate((a, b) for a in SPEEDS for b in CCC_SEEDS)}
"""Frames of 100 that are right, by stream."""


def write(path: Path, speed: int, seed: int, more: int = 0, **protocol: Any) -> Path:
    right = np.arange(100) < RIGHT[speed, seed] + more
    stream = StreamRecord(level=protocol.pop("level", "easy"), speed=speed, calibration="c" * 64)
    write_run(path, stream_run(right, seed=seed, stream=stream, **protocol))
    return path


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("streams")
    return [write(root / f"{speed}-{seed}.json", speed, seed) for speed, seed in RIGHT]


def test_the_mean_is_over_all_nine(nine: list[Path], tmp_path: Path) -> None:
    adapted = write(tmp_path / "adapted.json", 1000, 43, 2, adaptation=ADAPTED)
    report = over_streams([*nine, adapted])
    (sheet,) = report.sheets()
    assert sheet.title == "Streams ccc:easy, 100 frames each"
    assert sheet.header == ("stream accuracy, %", "net", "net (batchnorm-adapted in batches of 64)")
    assert sheet.lines[0].cells == ("1,000 a point, seed 43", "5.0", "7.0")
    assert sheet.lines[8].cells == ("5,000 a point, seed 45", "85.0", "–")
    assert sheet.lines[9].cells == ("mean", "45.0", "7.0")
    notes = " ".join(sheet.notes)
    assert "8 of them are not here: 1,000 a point with seed 44, 1,000 a point with seed 45, …" in notes
    assert "net: the paper's" not in notes
    seeds = [statistics.fmean(RIGHT[speed, seed] for speed in SPEEDS) for seed in CCC_SEEDS]
    assert f"net {statistics.stdev(seeds):.1f} points" in notes
    whole, part = json.loads(written(report, Format.JSON))["means"]
    assert (whole["accuracy"], whole["streams"], whole["is_whole"]) == (45, 9, True)
    assert (part["is_whole"], part["sd_between_seeds"]) == (False, None)
    assert whole["label"] == (
        "stream_accuracy[mean of 9,ccc:easy,1000+2000+5000 a point,calibration cccccccc,seeds 43+44+45,100 of 7500000]"
    )
    rows = list(csv.DictReader(io.StringIO(written(report, Format.CSV))))
    assert [row["accuracy"] for row in rows if not row["seed"]] == ["45.0", "7.0"]
    assert len(rows) == 12


def test_streams_of_one_model_alone_are_counted(nine: list[Path]) -> None:
    (sheet,) = over_streams(nine[:2]).sheets()
    assert sheet.lines[-1].cells == ("mean of 2 streams", "10.0")


@pytest.mark.parametrize(
    ("other", "differing"),
    [({"level": "hard"}, "stream"), ({"recipe": "cifar-c"}, "recipe"), ({"fingerprint": "g"}, "fingerprint")],
)
def test_what_is_no_mean_is_refused(nine: list[Path], tmp_path: Path, other: dict[str, Any], differing: str) -> None:
    path = write(tmp_path / "other.json", 2000, 44, **other)
    with pytest.raises(NotComparableError, match=f"was not measured like .*: {differing} differ"):
        over_streams([nine[0], path])


def test_a_stream_counts_once(nine: list[Path], tmp_path: Path) -> None:
    again = write(tmp_path / "again.json", 1000, 43, 1)
    with pytest.raises(UsageError, match="net is given twice on the stream of 1,000 frames a point and seed 43"):
        over_streams([*nine, again])
