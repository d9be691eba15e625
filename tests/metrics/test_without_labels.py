"""The metrics of runs whose labels are clean predictions: values by hand, and the words and metrics that they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.compare.files import compare_files
from ppbench.compare.verdict import verdict_text
from ppbench.errors import NotComparableError, UsageError
from ppbench.figures.content import HeatMap, SeverityCurves
from ppbench.figures.forest import Forest
from ppbench.figures.kinds import PlotRequest
from ppbench.figures.notebook import run_table
from ppbench.figures.svg import curves_svg, forest_svg
from ppbench.metrics.intervals import fraction_interval
from ppbench.metrics.quantities import QUANTITIES
from ppbench.metrics.without_labels import WITHOUT_LABELS, quantities_of, quantity_called, wording
from ppbench.page.leaderboard import leaderboard_html, read_folder
from ppbench.report.load import load_summary
from ppbench.run import MICRO, Predictions, Run, image_keys, read_run, write_run
from ppbench.vocabulary import CLEAN, Cell
from tests.builders import make_run
from tests.page.runs import html_of

CORRUPTIONS, SEVERITIES = ("gaussian_noise", "shot_noise", "fog"), (1, 3)
CELLS: list[Cell] = [(CLEAN, 0), *((name, severity) for name in CORRUPTIONS for severity in SEVERITIES)]
N = 60
OF_LABELS = re.compile(r"accurac|\berrors?\b|\bright\b|\bwrong\b|mCE|\bCE\b|normali[sz]er|R_net|kappa", re.IGNORECASE)

runner = CliRunner()


def bits_of(seed: int, steady: float) -> dict[Cell, np.ndarray]:
    draws = np.random.default_rng(seed)
    bits = {cell: draws.random(N) < steady for cell in CELLS}
    bits[CLEAN, 0] = np.ones(N, bool)
    return bits


def write_unlabelled(path: Path, seed: int = 0, steady: float = 0.7, *, predictions: bool = True) -> Run:
    """A run whose images keep their predictions with this probability, with everything beside it."""
    bits = bits_of(seed, steady)
    draws = np.random.default_rng(seed + 100)
    classes = {cell: np.where(same, 0, 1).astype(np.uint16) for cell, same in bits.items()}
    probabilities = {
        cell: np.where(same, draws.integers(150, 255, N), draws.integers(0, 100, N)).astype(np.uint8)
        for cell, same in bits.items()
    }
    made = make_run(
        corruptions=CORRUPTIONS,
        severities=SEVERITIES,
        n=N,
        errors={cell: 1 - float(same.mean()) for cell, same in bits.items()},
    )
    cells = tuple(
        cell.model_copy(update={"label_confidence": round(float(probabilities[cell.key].sum()) / 255 * MICRO)})
        for cell in made.cells
    )
    protocol = made.protocol.model_copy(update={"labels": "predicted", "normalizer": "none", "dataset": "imagefolder"})
    model = made.model.model_copy(update={"name": path.stem, "weights_sha256": f"{seed:064d}"})
    run = made.model_copy(update={"cells": cells, "protocol": protocol, "model": model})
    kept = Predictions(np.zeros(N, np.uint16), classes, probabilities, ("cat", "dog"), probabilities)
    return write_run(path, run, bits, image_keys([f"{n}.jpg" for n in range(N)]), kept if predictions else None)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    write_unlabelled(folder / "old.json", 1, 0.8)
    write_unlabelled(folder / "new.json", 2, 0.6)
    return folder / "old.json", folder / "new.json"


def output(*arguments: Any) -> str:
    result = runner.invoke(app, [str(one) for one in arguments])
    assert result.exit_code in (0, 1), result.output
    return result.stdout


def test_the_flip_rate_is_the_share_of_changed_predictions(pair: tuple[Path, Path]) -> None:
    summary = load_summary(pair[0], None, None, 0.95)
    assert [metric.name for metric in summary.metrics] == ["flip_rate", "confidence_lost"]
    rate = summary.metrics[0]
    assert rate.label == "flip_rate[fog+gaussian_noise+shot_noise,s1,3]"
    changed = np.stack([~same for cell, same in bits_of(1, 0.8).items() if cell[1]])
    assert rate.value == pytest.approx(100 * changed.mean())
    assert rate.interval is not None
    by_image = changed.mean(0)
    expected = fraction_interval(float(by_image.mean()), float(by_image.std(ddof=1)), N)
    assert rate.interval[1:] == pytest.approx((100 * expected.low, 100 * expected.high))


def test_the_confidence_lost_is_a_mean_over_images(pair: tuple[Path, Path]) -> None:
    lost = load_summary(pair[0], None, None, 0.95).metrics[1]
    draws = np.random.default_rng(101)
    same = bits_of(1, 0.8)
    p = {c: np.where(same[c], draws.integers(150, 255, N), draws.integers(0, 100, N)) / 255 for c in CELLS}
    by_image = np.mean([p[CLEAN, 0] - p[cell] for cell in CELLS[1:]], axis=0)
    assert lost.value == pytest.approx(100 * by_image.mean(), abs=1e-4)
    assert lost.interval is not None
    reach = 1.959964 * 100 * by_image.std(ddof=1) / np.sqrt(N)
    assert lost.interval.high - lost.interval.low == pytest.approx(2 * reach, rel=1e-3)


def test_without_predictions_there_is_a_value_and_no_interval(tmp_path: Path) -> None:
    write_unlabelled(tmp_path / "run.json", predictions=False)
    rate, lost = load_summary(tmp_path / "run.json", None, None, 0.95).metrics
    assert rate.interval is not None
    assert lost.value is not None
    assert lost.interval is None


def test_a_run_has_the_metrics_of_its_labels(pair: tuple[Path, Path]) -> None:
    protocol = read_run(pair[0]).protocol
    assert quantities_of(protocol) is WITHOUT_LABELS
    assert quantities_of(None) is QUANTITIES
    assert wording(protocol).kept == "agreement"
    assert quantity_called("flip_rate") is WITHOUT_LABELS["flip_rate"]
    assert quantity_called("CE") is QUANTITIES["mCE"]


@pytest.mark.parametrize("form", ["rich", "csv", "markdown", "latex"])
def test_no_table_speaks_of_errors(pair: tuple[Path, Path], form: str) -> None:
    old, new = pair
    shown = output("show", old, "--formulas", "--intervals", "--format", form)
    for text in (shown, output("compare", old, new, "--cells", "--all-metrics", "--format", form)):
        assert not OF_LABELS.findall(text)
        assert re.search(r"flip.*rate", text)
    judged = output("check", new, "--baseline", old, "--max-drop", "flip_rate=1", "--format", form)
    assert not OF_LABELS.findall(judged)


def test_json_has_the_same_names(pair: tuple[Path, Path]) -> None:
    import json

    found = json.loads(output("show", pair[0], "--format", "json"))
    assert found["labels"] == "predicted"
    assert set(found["worst_cell"]) == {"corruption", "severity", "agreement"}
    assert [metric["name"] for metric in found["metrics"]] == ["flip_rate", "confidence_lost"]
    assert found["calibration"] is None
    compared = json.loads(output("compare", *pair, "--format", "json"))["comparisons"][0]
    assert compared["error_consistency"] is None
    assert {one["metric"] for one in compared["differences"]} == {"flip_rate", "confidence_lost"}


def test_differences_are_paired_by_image(pair: tuple[Path, Path]) -> None:
    (comparison,) = compare_files(list(pair), None, 0.95, [])
    rate, lost = (comparison.metric(name) for name in ("flip_rate", "confidence_lost"))
    apart = np.mean([bits_of(1, 0.8)[c].astype(float) - bits_of(2, 0.6)[c] for c in CELLS[1:]], axis=0)
    assert rate.points is not None
    assert rate.points.value == pytest.approx(100 * apart.mean())
    assert rate.points.margin == pytest.approx(196 * apart.std(ddof=1) / np.sqrt(N), rel=0.1)
    assert lost.points is not None
    assert lost.p is not None
    assert "new changes more predictions on" in verdict_text(comparison)


def test_labels_are_never_mixed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    run = read_run(pair[0])
    protocol = run.protocol.model_copy(update={"labels": None})
    write_run(tmp_path / "labelled.json", run.model_copy(update={"protocol": protocol}), bits_of(1, 0.8))
    with pytest.raises(NotComparableError, match=r"labels predicted, .* labels of the dataset"):
        compare_files([tmp_path / "labelled.json", pair[0]], None, 0.95, [])
    with pytest.raises(UsageError, match="--allow labels is not allowed"):
        compare_files([tmp_path / "labelled.json", pair[0]], None, 0.95, ["labels"])
    with pytest.raises(UsageError, match="--normalizer alexnet divides errors"):
        load_summary(pair[0], "alexnet", None, 0.95)
    write_unlabelled(tmp_path / "unlabelled.json")
    board = read_folder(tmp_path)
    assert [ranking.label.partition("[")[0] for ranking in board.rankings] == ["flip_rate", "mean_error"]
    assert "Lower flip rates are better" in leaderboard_html(board)


def test_the_page_speaks_of_predictions(pair: tuple[Path, Path]) -> None:
    old, new = pair
    html = html_of(new, baseline=old)
    words = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", html, flags=re.DOTALL)
    assert not OF_LABELS.findall(words.replace("Robustness to image corruptions", ""))
    assert "new is less steady than old: it changes its prediction on" in words
    assert "new changes its prediction on" in words
    assert 'data-agreement="' in html
    assert 'data-accuracy="' not in html


def test_figures(pair: tuple[Path, Path]) -> None:
    old, new = pair
    summary = load_summary(new, None, None, 0.95)
    heat = HeatMap.of_errors(summary)
    assert heat.title == "Flip rate of new by corruption and severity, %"
    curves = SeverityCurves.of([summary])
    assert curves.severities == SEVERITIES
    (comparison,) = compare_files([old, new], None, 0.95, [])
    drawn = curves_svg(curves, "c") + forest_svg(Forest.of(comparison), "f")
    words = re.sub(r"<[^>]*>", " ", drawn)
    assert not OF_LABELS.findall(words)
    assert "new changes fewer predictions" in words
    assert HeatMap.of_differences(comparison).title == "Flip rate of new minus flip rate of old, points"
    for kind, quantity in (("scatter", None), ("reliability", None), ("heatmap", "CE"), ("heatmap", "error")):
        with pytest.raises(UsageError, match="cannot be drawn: the images have no labels"):
            PlotRequest(kind, (new,), quantity=quantity).content()


def test_a_notebook_shows_them(pair: tuple[Path, Path]) -> None:
    table = run_table(read_run(pair[0]))
    assert "flip_rate[" in table
    assert "labels: its own clean predictions" in table
    assert not OF_LABELS.findall(table.replace("text-align:right", ""))


def test_a_baseline_keeps_the_rules(pair: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = pair
    baseline = tmp_path / "baseline.json"
    output("check", old, "--baseline", old, "--update-baseline", baseline)
    assert '"labels": "predicted"' in baseline.read_text()
    assert "label_confidence" not in baseline.read_text()
    for rule in ("flip_rate", "mean", "noise", "fog/3"):
        result = runner.invoke(app, ["check", str(new), "--baseline", str(baseline), "--max-drop", f"{rule}=0.1"])
        assert "points of agreement lost" in re.sub(r"\s+", " ", result.stdout)
        assert result.exit_code == (1 if rule in ("flip_rate", "mean") else result.exit_code)
    refused = runner.invoke(app, ["check", str(new), "--baseline", str(baseline), "--max-drop", "clean=1"])
    assert refused.exit_code == 2
