"""Runs of which one saw images that the other did not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ppbench.check.baseline import update_baseline
from ppbench.cli.main import app
from ppbench.compare.comparison import compare
from ppbench.compare.measured import ComparedRun
from ppbench.compare.pairing import pair
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, ids_hash, stratified_order
from ppbench.errors import NotComparableError, UsageError
from ppbench.run import Prompts, Stopping, image_keys, read_bits, read_image_keys, read_run, write_run
from tests.builders import make_errors
from tests.compare.runs import make_measured

runner = CliRunner()
OLD, NEW = "fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3"
FEW = ["-c", "pixelate,fog", "-s", "1"]
CELLS = [("clean", 0), ("fog", 1), ("pixelate", 1)]
LIMIT = 320
GROUPS = ("metric", "family", "corruption", "cell")


def invoke(*arguments: object, code: int = 0) -> Any:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def words(text: str) -> str:
    return " ".join(text.split())


class Runs(NamedTuple):
    whole: Path
    """The old model on 320 images."""
    stopped: Path
    """The new one, that stopped before."""
    hundred: Path
    """The new one on 100 of them."""
    old_hundred: Path
    """The old one on these 100."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("runs")
    made = Runs(*(folder / f"{name}.json" for name in Runs._fields))
    invoke("eval", "-m", OLD, *FEW, "--limit", LIMIT, "-o", made.whole)
    invoke("eval", "-m", NEW, *FEW, "--limit", LIMIT, "--until", "8", "-o", made.stopped)
    invoke("eval", "-m", NEW, *FEW, "--limit", 100, "-o", made.hundred)
    invoke("eval", "-m", OLD, *FEW, "--limit", 100, "-o", made.old_hundred)
    return made


def compared(*runs: object) -> dict[str, Any]:
    (content,) = json.loads(invoke("compare", *runs, "--format", "json").stdout)["comparisons"]
    return content


def difference(content: dict[str, Any], group: str, name: str) -> dict[str, Any]:
    return next(d for d in content["differences"] if (d["group"], d["name"]) == (group, name))


def by_hand(runs: Runs) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Whether each image that both saw is right, by cell, found by the names of the images and not by their keys."""
    source = open_source(EMBEDDED, None, Geometry(28, None), limit=LIMIT)
    n = json.loads(runs.stopped.read_text())["protocol"]["n"]
    visited = set(stratified_order(source.ids, source.labels, 0)[:n].tolist())
    seen = np.array([place in visited for place in range(LIMIT)])
    packed = [np.load(path.with_suffix(".bits.npy")) for path in (runs.whole, runs.stopped)]
    old, new = (np.unpackbits(p, axis=1, count=k).astype(bool) for p, k in zip(packed, (LIMIT, n), strict=True))
    return dict(zip(CELLS, old[:, seen], strict=True)), dict(zip(CELLS, new, strict=True))


def mid_p(old: Any, new: Any) -> float:
    """McNemar's test from its definition, with half of the probability of what was seen."""
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1)) / 2**n
    return min(1.0, 2 * tail - math.comb(n, gained) / 2**n)


def test_a_run_that_stopped_is_compared_over_the_images_it_visited(runs: Runs) -> None:
    old, new = by_hand(runs)
    n = len(new["clean", 0])
    assert 100 < n < LIMIT
    content = compared(runs.whole, runs.stopped)
    assert (content["n"], content["total"]) == (n, 2000)
    for name, cell in (("fog/1", CELLS[1]), ("pixelate/1", CELLS[2])):
        found = difference(content, "cell", name)
        before, after = (100 * (1 - side[cell].mean()) for side in (old, new))
        assert found["reference"] == pytest.approx(before, abs=1e-6)
        assert found["value"] == pytest.approx(after, abs=1e-6)
        assert found["difference"] == pytest.approx(after - before, abs=1e-6)
        assert f"{n} of 2000" in found["label"]
    clean = difference(content, "metric", "clean_error")
    errors = 2 * 1.959964 * clean["difference"] / (clean["high"] - clean["low"])
    of_interval = math.erfc(abs(errors) / math.sqrt(2))
    assert clean["p"] == pytest.approx(max(of_interval, mid_p(old["clean", 0], new["clean", 0])), rel=1e-6)
    for name, cells in (("weather", CELLS[1:2]), ("digital", CELLS[2:])):
        found = difference(content, "family", name)
        assert found["value"] == pytest.approx(100 * (1 - np.mean([new[cell] for cell in cells])), abs=1e-6)
    mean = difference(content, "metric", "mean_error")
    images = 100 * np.mean([old[cell] * 1.0 - new[cell] for cell in CELLS[1:]], axis=0)
    assert mean["difference"] == pytest.approx(images.mean(), abs=1e-6)
    reach = 1.959964 * images.std(ddof=1) / math.sqrt(n)
    assert (mean["high"] - mean["low"]) / 2 == pytest.approx(reach, rel=0.01)
    # The reference is the normaliser: its errors over these images are the denominators.
    ratios = [(1 - new[cell].mean()) / (1 - old[cell].mean()) for cell in CELLS[1:]]
    assert difference(content, "metric", "mCE")["value"] == pytest.approx(100 * np.mean(ratios), abs=1e-6)


def test_it_is_said_which_images_they_are_and_that_a_test_after_looking_is_too_sure(runs: Runs) -> None:
    n = read_run(runs.stopped).protocol.n
    paired = f"paired over the {n} images that both saw, of {LIMIT} and {n}"
    looked = f"{NEW} stopped early by looking at its results (half-width 8, after {n} images), but the intervals and p"
    content = compared(runs.whole, runs.stopped)
    assert content["remarks"][0] == paired
    assert content["remarks"][1].startswith(looked)
    table = words(invoke("compare", runs.whole, runs.stopped).stdout)
    assert f"Note: {paired}." in table
    assert f"Note: {looked}" in table
    checked = json.loads(invoke("check", runs.stopped, "--baseline", runs.whole, "--format", "json").stdout)
    assert [warning.split("(")[0] for warning in checked["warnings"][:2]] == [paired, looked.split("(")[0]]


def test_the_order_of_the_runs_changes_signs_and_no_size(runs: Runs) -> None:
    one, other = compared(runs.whole, runs.stopped), compared(runs.stopped, runs.whole)
    assert other["remarks"][0].endswith(f"of {one['n']} and {LIMIT}")
    for name in ("clean_error", "mean_error"):
        here, there = difference(one, "metric", name), difference(other, "metric", name)
        assert (here["reference"], here["value"], here["p"]) == (there["value"], there["reference"], there["p"])
        assert (here["low"], here["high"]) == (-there["high"], -there["low"])


def test_what_a_bit_does_not_tell_is_not_available_of_a_part(runs: Runs) -> None:
    content = compared(runs.whole, runs.stopped)
    of_sums = [d for d in content["differences"] if d["group"].startswith("calibration")]
    assert of_sums
    assert {d["value"] for d in of_sums} == {d["reference"] for d in of_sums} == {None}
    assert {d["reason"] for d in of_sums} == {
        "run files hold only sums over all images of a run, not over the images that both runs saw"
    }
    assert "came as labels" not in json.dumps(content)


def test_check_judges_the_images_that_both_saw(runs: Runs) -> None:
    old, new = by_hand(runs)
    result = invoke(
        "check", runs.stopped, "--baseline", runs.whole, "--max-drop", "mean=50", "--max-drop", "fog/1=50", "--format",
        "json",
    )  # fmt: skip
    content = json.loads(result.stdout)
    assert content["n"] == len(new["clean", 0])
    drops = {rule["rule"]: rule["drop"] for rule in content["rules"]}
    assert drops["fog/1"] == pytest.approx(100 * (old["fog", 1].mean() - new["fog", 1].mean()), abs=1e-6)
    whole = [np.mean([side[cell] for cell in CELLS[1:]]) for side in (old, new)]
    assert drops["mean"] == pytest.approx(100 * (whole[0] - whole[1]), abs=1e-6)


def test_a_baseline_that_stopped_is_one_too_and_keeps_its_keys_when_committed(runs: Runs, tmp_path: Path) -> None:
    target = tmp_path / "baseline.json"
    written = update_baseline(runs.stopped, target)
    keys = read_image_keys(target, written)
    assert keys is not None
    assert np.array_equal(keys, read_image_keys(runs.stopped, read_run(runs.stopped)))
    content = json.loads(
        invoke("check", runs.whole, "--baseline", target, "--max-drop", "mean=50", "--format", "json").stdout
    )
    assert (content["n"], content["baseline"]) == (written.protocol.n, NEW)


def test_other_images_are_refused_and_what_would_work_is_said(runs: Runs) -> None:
    for arguments in (("compare", runs.whole, runs.hundred), ("check", runs.hundred, "--baseline", runs.whole)):
        text = words(invoke(*arguments, code=4).stderr)
        assert f"{NEW} was not measured like {OLD}: n, ids_sha256 differ n 100, {OLD} 320 ids_sha256" in text
        assert "Or compare them over the 100 images that both saw: `--allow ids`." in text
    assert invoke("check", runs.hundred, "--baseline", runs.whole, "--allow", "ids", "--max-drop", "mean=50")


def test_with_allow_ids_the_figures_are_those_of_runs_on_just_these_images(runs: Runs) -> None:
    common = compared(runs.whole, runs.hundred, "--allow", "ids")
    alone = compared(runs.old_hundred, runs.hundred)
    assert common["remarks"] == ["paired over the 100 images that both saw, of 320 and 100"]
    assert alone["remarks"] == []
    for group in GROUPS:
        found, expected = ([d for d in c["differences"] if d["group"] == group] for c in (common, alone))
        assert len(found) == len(expected) > 0
        for one, other in zip(found, expected, strict=True):
            assert one == {key: pytest.approx(v) if isinstance(v, float) else v for key, v in other.items()}


def test_of_several_runs_each_has_its_images_and_its_table(runs: Runs) -> None:
    result = invoke("compare", runs.whole, runs.stopped, runs.hundred, "--allow", "ids", "--format", "markdown")
    n = read_run(runs.stopped).protocol.n
    assert f"{n} of 2000 images" in result.stdout
    assert "100 of 2000 images" in result.stdout


def without_keys(path: Path, target: Path) -> Path:
    run = read_run(path)
    write_run(target, run, read_bits(path, run))
    return target


def test_files_of_before_there_were_keys_are_refused_as_they_were(runs: Runs, tmp_path: Path) -> None:
    bare = without_keys(runs.whole, tmp_path / "bare.json")
    for options in ((), ("--allow", "ids")):
        text = words(invoke("compare", bare, runs.stopped, *options, code=4).stderr)
        assert "n " in text
        assert f"{OLD} was written without its images' keys: evaluate it again" in text
        assert "--allow ids" not in text
    same = without_keys(runs.hundred, tmp_path / "same.json")
    assert compared(runs.old_hundred, same)["n"] == 100  # the same images need no keys


def test_what_else_differs_is_still_refused_and_both_are_named(runs: Runs, tmp_path: Path) -> None:
    run = read_run(runs.hundred)
    half = run.model_copy(update={"protocol": run.protocol.model_copy(update={"precision": "bf16"})})
    target = tmp_path / "half.json"
    write_run(target, half, read_bits(runs.hundred, run), read_image_keys(runs.hundred, run))
    text = words(invoke("compare", runs.whole, target, code=4).stderr)
    assert "`--allow ids --allow precision`" in text
    text = words(invoke("compare", runs.whole, target, "--allow", "ids", code=4).stderr)
    assert f"precision bf16, {OLD} fp32" in text
    assert "ids_sha256" not in text
    text = words(invoke("compare", runs.whole, target, "--allow", "precision", code=4).stderr)
    assert "that both saw: `--allow ids`" in text
    content = compared(runs.whole, target, "--allow", "ids", "--allow", "precision")
    assert content["allowed"] == [f"precision bf16, {OLD} fp32"]
    assert "n" not in [word.split()[0] for word in content["allowed"]]


def test_the_interval_that_holds_at_every_look_is_told_where_it_is_of_this_baseline(runs: Runs, tmp_path: Path) -> None:
    target = tmp_path / "decided.json"
    invoke("eval", "-m", NEW, *FEW, "--limit", LIMIT, "--until-decided", runs.whole, "--max-drop", "20", "-o", target)
    stopping = read_run(target).stopping
    assert stopping is not None
    assert stopping.reached
    remark = compared(runs.whole, target)["remarks"][-1]
    assert f"above the baseline's: {stopping.value:+.2f} points, 95 % interval {stopping.low:+.2f} to" in remark


# Synthetic runs: any images, in any order.

GRID = {"corruptions": ("fog", "snow"), "severities": (1,)}
ERRORS = make_errors(3, **GRID)


def of_images(ids: list[int], seed: int, name: str, stopping: Stopping | None = None, total: int = 60) -> ComparedRun:
    """A run of some images that are right or wrong by their number alone."""
    names = [f"{place}.png" for place in ids]
    n = len(ids)
    made = make_measured(ERRORS, name=name, n=n, weights=str(seed), total=total, ids_sha256=ids_hash(names), **GRID)
    random = np.random.default_rng(seed)
    right = {cell.key: (random.random(total) < 0.6)[ids] for cell in made.run.cells}
    cells = tuple(
        cell.model_copy(update={"top1": int(right[cell.key].sum()), "top5": n, "bin_top1": None, "bin_n": None})
        for cell in made.run.cells
    )
    run = made.run.model_copy(update={"cells": cells, "stopping": stopping})
    return replace(made, run=run, bits=right, keys=image_keys(names))


STOPPED = Stopping(metric="m", confidence=0.95, value=1, low=0, high=2, wanted="half-width 1", reached=True)
NOT_REACHED = STOPPED.model_copy(update={"reached": False})
images = st.permutations(range(60)).flatmap(lambda order: st.integers(2, 60).map(lambda n: list(order[:n])))


@settings(deadline=None)
@given(images, images)
def test_images_are_paired_by_what_they_are(here: list[int], there: list[int]) -> None:
    reference, other = of_images(here, 1, "old"), of_images(there, 2, "new")
    both = sorted({*here} & {*there})
    if here == there:
        return
    if len(both) < 2:
        word = "1 image" if both else "0 images"
        with pytest.raises(
            NotComparableError, match=f"They share {word}, but comparing them takes at least 2"
        ) as caught:
            pair(reference, other, ["ids"])
        assert caught.value.exit_code == 4
        return
    first, second, allowed, remarks = pair(reference, other, ["ids"])
    assert allowed == ()
    assert remarks == (f"paired over the {len(both)} images that both saw, of {len(here)} and {len(there)}",)
    expected = [of_images(both, seed, "x") for seed in (1, 2)]
    for found, wanted in zip((first, second), expected, strict=True):
        assert [cell.top1 for cell in found.run.cells] == [cell.top1 for cell in wanted.run.cells]
        assert {cell.n for cell in found.run.cells} == {found.run.protocol.n} == {len(both)}
    wanted = [
        set(zip(*(m.bits["fog", 1].tolist() for m in pairs), strict=True)) for pairs in ((first, second), expected)
    ]
    assert wanted[0] == wanted[1]
    joint = [int((a.bits["fog", 1] & b.bits["fog", 1]).sum()) for a, b in ((first, second), expected)]
    assert joint[0] == joint[1]
    assert first.run.protocol.ids_sha256 == second.run.protocol.ids_sha256


@settings(deadline=None)
@given(images, images, st.randoms(use_true_random=False))
def test_the_order_of_the_images_changes_nothing(here: list[int], there: list[int], random: Any) -> None:
    if len({*here} & {*there}) < 2 or here == there:
        return
    shuffled = random.sample(here, len(here))
    found = []
    for order in (here, shuffled):
        if order == there:
            return
        first, second, *_ = pair(of_images(order, 1, "old"), of_images(there, 2, "new"), ["ids"])
        found.append(compare(first, second, first.cell_errors).differences)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("here", "there", "stopping", "is_paired"),
    [
        (50, 20, STOPPED, True),
        (50, 20, NOT_REACHED, False),  # all its images were done: they are what was asked for
        (50, 20, None, False),
        (20, 50, STOPPED, False),  # it is the other that saw less, and not by its own rule
    ],
)
def test_only_a_run_that_stopped_by_its_own_rule_is_paired_unasked(
    here: int, there: int, stopping: Stopping | None, is_paired: bool
) -> None:
    reference = of_images(list(range(here)), 1, "old")
    other = of_images(list(range(there)), 2, "new", stopping)
    for one, two in ((reference, other), (other, reference)):
        if is_paired:
            assert pair(one, two).other.run.protocol.n == min(here, there)
        else:
            with pytest.raises(NotComparableError, match="ids_sha256") as caught:
                pair(one, two)
            assert f"over the {min(here, there)} images that both saw: `--allow ids`" in caught.value.hint


def test_a_run_that_stopped_on_other_images_is_not_paired_unasked() -> None:
    reference, other = of_images(list(range(40)), 1, "old"), of_images(list(range(30, 50)), 2, "new", STOPPED)
    with pytest.raises(NotComparableError, match="n 20, old 40"):
        pair(reference, other)
    assert pair(reference, other, ["ids"]).reference.run.protocol.n == 10


def test_two_that_stopped_are_paired_over_the_images_of_the_shorter() -> None:
    reference, other = of_images(list(range(40)), 1, "old", STOPPED), of_images(list(range(20)), 2, "new", STOPPED)
    first, second, _, remarks = pair(reference, other)
    assert first.run.protocol.n == second.run.protocol.n == 20
    assert [remark.partition(" stopped")[0] for remark in remarks[1:]] == ["old", "new"]


def test_runs_of_the_same_images_are_left_as_they_are_and_ids_may_be_allowed_in_vain() -> None:
    reference, other = of_images([3, 1, 2], 1, "old"), of_images([3, 1, 2], 2, "new")
    assert pair(reference, other, ["ids"])[:2] == (reference, other)
    with pytest.raises(UsageError, match="--allow n is not allowed"):
        pair(reference, other, ["n"])


def test_an_evaluation_writes_the_key_of_each_image(runs: Runs) -> None:
    source = open_source(EMBEDDED, None, Geometry(28, None), limit=LIMIT)
    n = read_run(runs.stopped).protocol.n
    first = np.sort(stratified_order(source.ids, source.labels, 0)[:n])
    for path, ids in ((runs.whole, source.ids), (runs.stopped, [source.ids[place] for place in first])):
        assert np.array_equal(read_image_keys(path, read_run(path)), image_keys(ids))


def test_prompts_may_differ_and_a_note_says_how() -> None:
    """They belong to the model: a zero-shot model is compared with a plain one, and with itself asked otherwise."""
    texts = {"classes": ("cat", "dog"), "templates": ("a photo of a {}.",)}
    plain = make_measured(make_errors(0), name="net")
    one = make_measured(make_errors(0), name="one", prompts=Prompts.of_card(texts))
    assert not pair(plain, one).remarks
    assert not pair(one, one).remarks
    for changed, how in [
        ({"templates": ("a {}", "the {}")}, "one has 'a photo of a {}.', other 2 templates"),
        ({"classes": ("a cat", "a dog")}, "the classes are called by other words"),
    ]:
        other = make_measured(make_errors(0), name="other", prompts=Prompts.of_card({**texts, **changed}))
        assert pair(one, other) == (one, other, (), (f"the prompts differ: {how}",))
