"""Runs on streams as show, compare, check, leaderboards and Python read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ppbench
from ppbench.cli.main import app
from ppbench.metrics.paired import paired_interval
from ppbench.run import StreamRecord
from tests.streams.runs import ADAPTED, SPEED, uneven, write_stream_run

RUNNER = CliRunner()
PLAIN, BETTER = uneven(seed=1), uneven(seed=2, level=0.6)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("streams")
    plain = write_stream_run(folder / "plain.json", PLAIN)
    return str(plain), str(write_stream_run(folder / "adapted.json", BETTER, adaptation=ADAPTED))


def test_compare_pairs_by_point(files: tuple[str, str]) -> None:
    done = RUNNER.invoke(app, ["compare", *files, "--format", "json"])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["comparisons"]
    accuracy, error = found["differences"]
    assert (accuracy["metric"], error["metric"]) == ("stream_accuracy", "stream_error")
    points = 100 * (BETTER.astype(float) - PLAIN).reshape(-1, SPEED).mean(1)
    expected = paired_interval(points, 0.95)
    assert accuracy["difference"] == pytest.approx(points.mean())
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert "makes fewer errors" in found["verdict"]
    assert "normalised by each batch of frames" in found["verdict"]
    words = " ".join(RUNNER.invoke(app, ["compare", *files]).stdout.split())
    assert "paired by point of the walk" in words
    assert "stream ccc:easy,10 a point,calibration cccccccc, seed 43" in words
    assert "p: two-sided. Detects: the smallest change that these frames would reveal" in words


def test_another_stream_is_never_compared(files: tuple[str, str], tmp_path: Path) -> None:
    other = StreamRecord(level="easy", speed=10, calibration="d" * 64)
    path = write_stream_run(tmp_path / "other.json", PLAIN, stream=other)
    done = RUNNER.invoke(app, ["compare", files[0], str(path)])
    assert done.exit_code == 4
    assert "Evaluate both on the same stream" in done.output
    assert RUNNER.invoke(app, ["compare", files[0], str(path), "--allow", "stream"]).exit_code == 2


def test_streams_of_other_lengths_are_paired_over_their_beginning(files: tuple[str, str], tmp_path: Path) -> None:
    path = write_stream_run(tmp_path / "short.json", BETTER[:200], name="short")
    done = RUNNER.invoke(app, ["compare", files[0], str(path), "--allow", "ids", "--format", "json"])
    assert done.exit_code == 0, done.output
    accuracy = json.loads(done.stdout)["comparisons"][0]["differences"][0]
    assert accuracy["reference"] == pytest.approx(100 * PLAIN[:200].mean())
    assert accuracy["value"] == pytest.approx(100 * BETTER[:200].mean())


def test_check_judges_by_point(files: tuple[str, str]) -> None:
    worse = RUNNER.invoke(app, ["check", files[0], "--baseline", files[1], "--allow", "adaptation"])
    assert worse.exit_code == 1
    assert "paired by point of the walk" in " ".join(worse.output.split())
    assert RUNNER.invoke(app, ["check", files[1], "--baseline", files[0], "--allow", "adaptation"]).exit_code == 0
    refused = RUNNER.invoke(app, ["check", files[1], "--baseline", files[0]])
    assert refused.exit_code == 4


def test_show_has_parts_of_the_stream_in_order(files: tuple[str, str]) -> None:
    words = " ".join(RUNNER.invoke(app, ["show", files[0]]).stdout.split())
    assert "over the 40 points of the walk" in words
    assert "0-39" in words
    assert "360-399" in words
    assert "400 of 7500000 frames" in words
    content = json.loads(RUNNER.invoke(app, ["show", files[1], "--format", "json"]).stdout)
    assert content["stream"]["level"] == "easy"
    assert content["adaptation"]["consecutive"] is True
    refused = RUNNER.invoke(app, ["show", files[0], "--normalizer", "alexnet"])
    assert "a stream is one cell" in refused.output


def test_leaderboards_and_notebooks_take_streams(files: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    write_stream_run(folder / "a.json", PLAIN, name="a")
    write_stream_run(folder / "b.json", BETTER, name="b")
    done = RUNNER.invoke(app, ["report", str(folder), "--index", "-o", str(tmp_path / "site")])
    assert done.exit_code == 0, done.output
    (ranking,) = json.loads((tmp_path / "site" / "index.json").read_text())["rankings"]
    assert ranking["ranked_by"].startswith("stream_error[ccc:easy,")
    assert "400 of 7,500,000 frames" in (tmp_path / "site" / "index.html").read_text()
    run = ppbench.load_run(files[0])
    assert "stream_error" in str(run)
    assert run._repr_html_().count("stream accuracy") == 1
    assert np.isclose(run.to_frame()["accuracy"], PLAIN.mean()).all()


def test_one_point_has_no_interval_and_says_so(tmp_path: Path) -> None:
    right = uneven(points=1)
    one, other = write_stream_run(tmp_path / "a.json", right), write_stream_run(tmp_path / "b.json", ~right, name="b")
    shown = " ".join(RUNNER.invoke(app, ["show", str(one)]).stdout.split())
    assert "No intervals: the run has 1 point of the walk alone." in shown
    done = RUNNER.invoke(app, ["compare", str(one), str(other), "--format", "json"])
    (found,) = json.loads(done.stdout)["comparisons"]
    assert found["differences"][0]["reason"] == "1 point of the walk has no interval"


def test_parts_of_few_points_have_no_interval(files: tuple[str, str], tmp_path: Path) -> None:
    long = write_stream_run(tmp_path / "long.json", uneven(points=80))
    short, enough = (RUNNER.invoke(app, ["show", str(path)]).stdout.splitlines() for path in (files[0], long))
    assert [line.split()[2] for line in short if line.startswith(" 0-39 ")] == ["–"]
    assert [float(line.split()[2].removeprefix("≤")) > 0 for line in enough if line.startswith(" 0-79 ")] == [True]
    assert "Parts of fewer than 8 points have none." in " ".join(" ".join(short).split())


def test_lopsided_intervals_are_marked(tmp_path: Path) -> None:
    """Near 0 a half that is printed with ± would leave the range: 0.3 ± 1.4."""
    right = np.zeros(400, np.bool_)
    right[5] = True
    lines = RUNNER.invoke(app, ["show", str(write_stream_run(tmp_path / "low.json", right))]).stdout.splitlines()
    (whole,) = (line.split() for line in lines if line.startswith(" all 400 "))
    assert whole[2] == "0.2"
    assert whole[3].startswith("≤")
    assert "≤: the longer half of a lopsided one" in " ".join(" ".join(lines).split())
