"""Evaluations that end as soon as they know enough."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, ids_hash, stratified_order
from ppbench.errors import UsageError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.stopping import CHUNK, DecidedAgainst, metric_weights
from ppbench.evaluation.tally import Piece, Tally
from ppbench.metrics.intervals import SequenceInterval
from ppbench.metrics.per_image import PerImage
from ppbench.run import Run, read_bits, read_run
from ppbench.tables.numbers import with_interval
from tests.check.models import write_damaged
from tests.conftest import forwards_of

runner = CliRunner()
MODEL = "fashion-mnist-resnet8"
FEW = ["-m", MODEL, "-c", "gaussian_noise,pixelate", "-s", "1"]


def evaluated(target: Path, *options: str, code: int = 0) -> Any:
    result = runner.invoke(app, ["eval", *FEW, *options, "-o", str(target), "--format", "json"])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module", autouse=True)
def _forwards_of_a_batch() -> Iterator[None]:
    """Batches of 32 would be filled up to 64 images."""
    yield from forwards_of(32, 4)


@pytest.fixture(scope="module", autouse=True)
def _each_image_once() -> Iterator[None]:
    """A network's logits of an image are computed once for all tests, which are about how many images are looked at."""
    compute, known = Inference._all_logits, dict[tuple[str, bytes], torch.Tensor]()

    def remembered(self: Inference, images: torch.Tensor) -> torch.Tensor:
        keys = [(self.subject.name, image.numpy().tobytes()) for image in images]
        new = [place for place, key in enumerate(keys) if key not in known]
        if new:
            known.update(zip([keys[place] for place in new], compute(self, images[new]), strict=True))
        return torch.stack([known[key] for key in keys])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inference, "_all_logits", remembered)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run over all 2,000 images."""
    path = tmp_path_factory.mktemp("whole") / "whole.json"
    evaluated(path)
    return path


UNTIL = ("--until", "1.5", "--batch-size", "32")


class Stopped(NamedTuple):
    """The run with the options `UNTIL`, and what was printed."""

    path: Path
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    path = tmp_path_factory.mktemp("stopped") / "run.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ppbench.cli.progress._EVERY", 0.0)  # a line each time, however fast the machine is
        result = evaluated(path, *UNTIL)
    return Stopped(path, result.stdout, result.stderr)


def test_it_stops_when_the_interval_is_narrow_and_is_a_part_of_the_whole(stopped: Stopped, whole: Path) -> None:
    run, all_images = read_run(stopped.path), read_run(whole)
    assert run.status == "complete"
    assert run.stopping is not None
    assert (run.stopping.metric, run.stopping.wanted, run.stopping.reached) == (
        "mean_error[gaussian_noise+pixelate,s1]", "half-width 1.5", True,
    )  # fmt: skip
    assert run.stopping.high - run.stopping.low <= 3
    assert 100 < run.protocol.n < 2000
    assert run.protocol.n % CHUNK == 0
    mean = np.mean([cell.error for cell in run.cells[1:]])
    assert run.stopping.value == pytest.approx(100 * mean)
    true = 100 * np.mean([cell.error for cell in all_images.cells[1:]])
    assert run.stopping.low <= true <= run.stopping.high  # of this seed; tests/metrics has the coverage
    # The same images, in the same cells, as in the whole run: its first images in their random order.
    source = open_source(EMBEDDED, None, Geometry(28, None))
    first = np.sort(stratified_order(source.ids, source.labels, 0)[: run.protocol.n])
    assert run.protocol.ids_sha256 == ids_hash([source.ids[place] for place in first])
    bits, all_bits = read_bits(stopped.path, run), read_bits(whole, all_images)
    assert all(np.array_equal(bits[key], all_bits[key][first]) for key in bits)
    assert f"half-width 1.5 after {run.protocol.n} of 2,000 images" in stopped.stderr
    label = next(m["label"] for m in json.loads(stopped.stdout)["metrics"] if m["name"] == "mean_error")
    assert f"{run.protocol.n} of 2000" in label
    assert not list(stopped.path.parent.glob("*.journal"))


def test_narrower_takes_more_images_and_what_cannot_be_reached_takes_all(
    tmp_path: Path, stopped: Stopped, whole: Path
) -> None:
    evaluated(tmp_path / "3.json", "--until", "3", "--batch-size", "32")
    assert read_run(tmp_path / "3.json").protocol.n < read_run(stopped.path).protocol.n
    result = evaluated(tmp_path / "all.json", "--until", "0.0001", "-c", "pixelate", "-s", "1")
    run, found = read_run(tmp_path / "all.json"), {cell.key: cell for cell in read_run(whole).cells}
    assert run.protocol.n == 2000
    assert run.cells == tuple(found[cell.key] for cell in run.cells)
    assert run.stopping is not None
    assert run.stopping.low == pytest.approx(run.stopping.high)  # all images of the set are in
    assert "wrote" in result.stderr


FAST = ("eval", "-m", MODEL, "-c", "pixelate", "-s", "1-2", "--until", "5")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An evaluation that ended at its second look, with the batches it has by itself."""
    path = tmp_path_factory.mktemp("usual") / "usual.json"
    invoke(*FAST, "-o", path)
    run = read_run(path)
    assert run.protocol.n == 2 * CHUNK
    return run


@pytest.mark.parametrize(("batch", "flush"), [("20", -1.0), ("50", 0.001), ("256", 9.0)])
def test_how_fast_it_goes_does_not_change_where_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usual: Run, batch: str, flush: float
) -> None:
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", flush)
    invoke(*FAST, "--batch-size", batch, "-o", tmp_path / "run.json")
    run = read_run(tmp_path / "run.json")
    assert (run.cells, run.stopping, run.protocol) == (usual.cells, usual.stopping, usual.protocol)


def test_a_limit_is_a_part_of_the_dataset_and_says_no_more_than_it_knows(tmp_path: Path) -> None:
    result = evaluated(tmp_path / "run.json", "--limit", "200", "--until", "0.5")
    run = read_run(tmp_path / "run.json")
    assert run.stopping is not None
    assert not run.stopping.reached
    assert run.stopping.high - run.stopping.low > 3
    assert "half-width 0.5: not reached with all 200 images;" in result.stderr


def test_two_equal_models_are_seldom_told_apart() -> None:
    """Also where all images are in: the decision is about images like these."""
    n, decided = 500, 0
    random = np.random.default_rng(0)
    source = open_source(EMBEDDED, None, Geometry(28, None), limit=n)
    cells = [("fog", severity) for severity in (1, 2, 3)]
    for _ in range(200):
        hard = random.random(n)
        right, other = (random.random((3, n)) > hard for _ in range(2))
        baseline = PerImage("old", ~other, {cell: row for row, cell in enumerate(cells)})
        enough = DecidedAgainst(0.0, baseline, "0" * 64, source, 0, 1, "mean_error", dict.fromkeys(cells, 1 / 3))
        tally = Tally(cells, n)
        for row, cell in enumerate(cells):
            tally.add(Piece(cell, np.arange(n), right[row], None))
        decided += enough.is_reached([tally])
    assert decided <= 16  # 5 % of 200, and three standard deviations of that number


def test_it_is_decided_against_a_baseline(tmp_path: Path, whole: Path) -> None:
    other = ["-m", "fashion-mnist-resnet8-pp3", "-c", "gaussian_noise,pixelate", "-s", "1", "--batch-size", "32"]
    call = ["eval", *other, "--until-decided", str(whole), "--max-drop", "5", "-o", str(tmp_path / "run.json")]
    result = runner.invoke(app, call)
    assert result.exit_code == 0, result.output
    run = read_run(tmp_path / "run.json")
    assert run.stopping is not None
    assert run.stopping.wanted == "decided against max drop 5"
    assert run.stopping.high <= 5  # no drop of 5 points
    assert run.stopping.reached
    assert run.protocol.n < 2000
    assert run.stopping.baseline == read_run(whole).model.weights_sha256
    assert (run.stopping.max_drop, run.stopping.decision) == (5, "pass")
    assert f"decided against max drop 5 after {run.protocol.n} of 2,000 images: pass;" in result.stderr
    shown = " ".join(runner.invoke(app, ["show", str(tmp_path / "run.json")]).stdout.split())
    assert "of 2,000 images: pass. The interval of mean_error[gaussian_noise+pixelate,s1] above the baseline's" in shown


def test_a_large_drop_is_decided_with_as_many_images_as_a_check_needs(tmp_path: Path) -> None:
    """Of a drop of seven standard errors: the plan knows how many images there are, and asks for no more."""
    few, limit = FEW[2:], ("--limit", "400")
    invoke("eval", "-m", MODEL, *few, *limit, "-o", tmp_path / "old.json")
    decided = ("--until-decided", tmp_path / "old.json", "--max-drop", "0.5")
    model = write_damaged(tmp_path / "new.safetensors", 0.5)
    invoke("eval", "-m", model, *few, *limit, *decided, "-o", tmp_path / "new.json")
    stopping = read_run(tmp_path / "new.json").stopping
    assert stopping is not None
    assert (stopping.decision, stopping.reached) == ("worse than allowed", True)
    assert 0.5 < stopping.low < stopping.value < stopping.high <= 100


def invoke(*arguments: object) -> Any:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def test_a_baseline_of_other_images_is_refused(tmp_path: Path, whole: Path) -> None:
    result = evaluated(tmp_path / "run.json", "--until-decided", str(whole), "--seed", "1", code=4)
    assert "measured in another way: seed differs" in result.stderr
    result = evaluated(tmp_path / "run.json", "--until-decided", str(whole), "-c", "fog", code=4)
    assert "lacks cells of this evaluation: fog" in result.stderr


def test_a_part_of_the_baselines_images_is_decided_by_their_bits(tmp_path: Path, whole: Path) -> None:
    evaluated(tmp_path / "run.json", "--until-decided", str(whole), "--limit", "150", "--max-drop", "20")
    run = read_run(tmp_path / "run.json")
    assert run.stopping is not None
    assert (run.stopping.reached, run.protocol.n) == (True, CHUNK)
    # The model is the baseline: image by image, in all of its cells, it errs as often.
    assert run.stopping.value == 0


def test_images_that_the_baseline_lacks_are_not_visited(tmp_path: Path) -> None:
    few = ("-c", "pixelate", "-s", "1")
    evaluated(tmp_path / "old.json", *few, "--limit", "90", "--until", "0.1")
    old = read_run(tmp_path / "old.json")
    result = evaluated(tmp_path / "run.json", *few, "--until-decided", str(tmp_path / "old.json"))
    run = read_run(tmp_path / "run.json")
    assert "90 of 2,000 images" in result.stderr
    assert "decided against max drop 0: not reached with all 90 images that both have;" in result.stderr
    assert run.stopping is not None
    assert not run.stopping.reached
    assert (run.protocol, run.cells) == (old.protocol, old.cells)
    assert run.stopping.value == 0


def test_an_interrupted_one_goes_on_and_ends_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: Stopped
) -> None:
    from ppbench.errors import DataError

    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)
    score, calls = Inference.score, 0

    def fail_at_last(self: Inference, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise DataError("the device is gone", "Bring it back.")
        return score(self, *arguments)

    monkeypatch.setattr(Inference, "score", fail_at_last)
    evaluated(tmp_path / "run.json", *UNTIL, code=3)
    monkeypatch.setattr(Inference, "score", score)
    evaluated(tmp_path / "run.json", *UNTIL)
    first, second = read_run(stopped.path), read_run(tmp_path / "run.json")
    assert (first.cells, first.stopping, first.protocol) == (second.cells, second.stopping, second.protocol)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--until", "0"], "--until 0 is not allowed"),
        (["--until", "1", "--until-metric", "mCE"], "--until-metric mCE cannot be used here"),
        (["--until", "1", "--until-metric", "ece"], "unknown metric 'ece'"),
        (["--until", "1", "--until-decided", "x.json"], "--until and --until-decided are given"),
        (["--max-drop", "1"], "--max-drop is only for --until-decided"),
        (["--until", "1", "--max-drop", "0"], "--max-drop is only for --until-decided"),
        (["--until-metric", "mean_error"], "--until-metric needs --until or --until-decided"),
    ],
)
def test_mistakes(tmp_path: Path, options: list[str], message: str) -> None:
    assert message in evaluated(tmp_path / "run.json", *options, code=2).stderr


def test_predictions_are_of_all_images_already(tmp_path: Path) -> None:
    call = ["eval", "--predictions", "x.npz", "--until", "1", "-o", str(tmp_path / "run.json")]
    result = runner.invoke(app, call)
    assert result.exit_code == 2
    assert "--until is not for --predictions" in result.stderr


class ImageNet:
    """What `metric_weights` looks at of a source."""

    kind, has_clean, num_classes, dataset = "published", False, 1000, "imagenet-c"
    class_names = ("tench",)


@pytest.mark.parametrize("severities", [(3,), (1, 2), (2, 5)])
def test_mce_can_be_waited_for_at_any_severities(severities: tuple[int, ...]) -> None:
    from ppbench.metrics.references import ALEXNET
    from ppbench.vocabulary import C4, C15, severity_label

    label, weights = metric_weights("mCE", ImageNet(), C15, severities, "alexnet")  # type: ignore[arg-type]
    assert label == f"mCE[alexnet,c15,{severity_label(severities)}]"
    own = sum(weight * ALEXNET.by_severity[name][severity - 1] for (name, severity), weight in weights.items())
    assert own == pytest.approx(1)  # AlexNet's mCE is 100 %
    with pytest.raises(
        UsageError, match="--until-metric mCE cannot be used here: alexnet has no published error for speckle_noise"
    ):
        metric_weights("mCE", ImageNet(), C4, severities, "alexnet")  # type: ignore[arg-type]


def test_an_images_part_in_mce_adds_up_to_mce() -> None:
    from ppbench.metrics.references import ALEXNET
    from ppbench.vocabulary import C15

    label, weights = metric_weights(None, ImageNet(), C15, (1, 2, 3, 4, 5), "alexnet")  # type: ignore[arg-type]
    assert label == "mCE[alexnet,c15,s1-5]"
    alexnet = sum(weight * ALEXNET.mean_error([cell[0]], (1, 2, 3, 4, 5)) for cell, weight in weights.items())
    assert alexnet == pytest.approx(1)
    with pytest.raises(UsageError, match="has no clean images"):
        metric_weights("relative_mCE", ImageNet(), C15, (1, 2, 3, 4, 5), "alexnet")  # type: ignore[arg-type]


def test_the_progress_shows_the_estimate_and_its_interval(stopped: Stopped) -> None:
    # It stops before the last image: when that is counted, the line has no estimate, and the one before may be of an
    # earlier look, depending on how many pieces come at once.
    shown = re.findall(r"\d+\.\d+ (?:± \d+\.\d\d|\[\d+\.\d+, \d+\.\d+\])", stopped.stderr)
    assert len(set(shown)) > 1  # it changes as images come
    # The last look has the interval that the table has: one interval for one number.
    table = runner.invoke(app, ["show", str(stopped.path)]).stdout
    assert f"{shown[-1]} %" in table
    stopping = read_run(stopped.path).stopping
    assert stopping is not None
    assert stopping.reached
    ends = SequenceInterval(stopping.value, stopping.low, stopping.high)
    assert shown[-1] == with_interval(ends)
