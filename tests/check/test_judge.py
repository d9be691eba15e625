import json
from dataclasses import replace

import numpy as np
import pytest

from ppbench.check.baseline import update_baseline
from ppbench.check.judge import check, check_files, judge
from ppbench.check.rules import Rule
from ppbench.check.strictness import FailOn, Strictness
from ppbench.check.verdict import Status
from ppbench.errors import DataError, NotComparableError, UsageError
from ppbench.metrics.paired import paired_test
from ppbench.run import read_bits, read_run
from ppbench.vocabulary import C15
from tests.check.verdicts import ERRORS, OLD, judged, lost, newer, verdict_of
from tests.compare.runs import make_measured, write_measured


def statuses(verdict):
    return {outcome.rule.name: outcome.status for outcome in verdict.outcomes}


def test_a_drop_within_tolerance_passes_however_sure_it_is():
    verdict = verdict_of(newer(10), {"noise": 10.0, "mean": 5.0})
    assert set(statuses(verdict).values()) == {Status.PASS}
    assert (verdict.passed, verdict.exit_code) == (True, 0)


def test_a_drop_beyond_it_that_is_no_chance_fails():
    verdict = verdict_of(newer(10), {"noise": 1.0, "blur": 1.0})
    assert statuses(verdict) == {"noise": Status.WORSE, "blur": Status.PASS}
    assert (verdict.passed, verdict.exit_code) == (False, 1)
    assert verdict.headline == "FAIL: new against old: of 2 rules 1 worse than allowed; 1 pass (500 images)"
    assert "noise: worse than allowed: drop +10.00 points" in verdict.text


def test_one_broken_corruption_is_not_hidden_by_the_mean():
    worse = {key: value + (0.06 if key[0] == "fog" else 0) for key, value in ERRORS.items()}
    run = make_measured(worse, name="new", seed=1, n=500)
    assert statuses(verdict_of(run, {"mean": 0.5, "fog": 1.0})) == {"mean": Status.PASS, "fog": Status.WORSE}


@pytest.mark.parametrize(("total", "decidable"), [(500, False), (1_000_000, True)])
def test_a_drop_that_may_be_chance_says_how_many_images_would_decide(total, decidable):
    old, new = OLD, newer(0.4)
    if decidable:
        old = make_measured(ERRORS, name="old", n=500, total=total)
        new = newer(0.4, total=total)
    verdict = check(new, old, {"gaussian_noise/3": 0.0})
    (outcome,) = verdict.outcomes
    assert outcome.status is Status.UNDECIDED
    if decidable:
        assert 500 < outcome.images_needed <= total
        assert f"about {outcome.images_needed:,} images would decide it with a probability of 80 %" in verdict.text
    else:
        assert outcome.images_needed is None
        assert "all 500 images of the dataset are too few to decide it" in verdict.text
    assert (verdict.exit_code, verdict.headline.startswith("NOT DECIDED (not failed): ")) == (0, True)


@pytest.mark.parametrize(
    ("mean", "status", "failing"),
    [
        (1.9, Status.PASS, ()),
        (2.1, Status.PERHAPS, ("perhaps", "undecided")),
        (4.5, Status.WORSE, ("worse", "perhaps", "undecided")),
    ],
)
def test_a_drop_is_judged_by_where_its_interval_lies_to_the_tolerance(mean, status, failing):
    """Of one point of standard error: 2.1 of 2 allowed is a drop for certain, and no failure for certain."""
    for fail_on in FailOn:
        verdict = judged(lost(mean, 1.0), 2.0, strictness=Strictness(fail_on))
        (outcome,) = verdict.outcomes
        assert outcome.status is status
        assert verdict.exit_code == (fail_on in failing)
        assert (outcome.adjusted.low > 2.0) == (status is Status.WORSE)


@pytest.mark.parametrize("fail_on", FailOn)
def test_a_drop_beyond_the_tolerance_that_may_be_none_is_undecided(fail_on):
    verdict = judged(lost(2.5, 1.5), 2.0, strictness=Strictness(fail_on))
    assert verdict.outcomes[0].status is Status.UNDECIDED
    assert verdict.exit_code == (fail_on is FailOn.UNDECIDED)


def test_more_rules_need_a_surer_drop():
    random = np.random.default_rng(0)
    drop = random.normal(0, 1, 500)
    drop += 2.4 * drop.std() / np.sqrt(500) - drop.mean()
    rules = [Rule(str(place), 0.0, {}) for place in range(15)]
    quiet = [random.normal(0, 2, 500) - 0.2 for _ in rules[1:]]
    alone = judge(rules[:1], [drop], [paired_test(drop)], 0.95)
    among = judge(rules, [drop, *quiet], [paired_test(values) for values in (drop, *quiet)], 0.95)
    assert (alone[0].status, among[0].status) == (Status.WORSE, Status.UNDECIDED)


def test_a_missing_cell_fails_and_one_missing_from_the_baseline_is_an_error():
    errors = {key: value for key, value in ERRORS.items() if key != ("fog", 5)}
    half = make_measured(errors, name="half", n=500)
    verdict = verdict_of(half, {"fog": 50.0, "snow": 50.0})
    assert statuses(verdict) == {"fog": Status.MISSING, "snow": Status.PASS}
    assert "half lacks the cell fog/5 of this rule (a missing cell fails)" in verdict.text
    with pytest.raises(DataError, match="the baseline half lacks the cell fog/5"):
        check(OLD, half, {"fog": 1.0})


def test_of_several_missing_cells_one_is_named_and_the_others_are_counted():
    errors = {key: value for key, value in ERRORS.items() if key[0] != "fog" and key != ("clean", 0)}
    verdict = verdict_of(make_measured(errors, name="half", n=500), {"fog": 50.0, "clean": 50.0})
    assert [outcome.reason for outcome in verdict.outcomes] == [
        "half lacks the cell fog/1 and 4 more of this rule (a missing cell fails): finish the evaluation",
        "half lacks the cell clean of this rule (a missing cell fails): finish the evaluation",
    ]


def test_fewer_corruptions_are_not_comparable_and_if_allowed_rules_are_over_those_in_common():
    kept = ("gaussian_noise", "fog")
    errors = {key: value for key, value in ERRORS.items() if key[0] in (*kept, "clean")}
    few = make_measured(errors, name="few", n=500, corruptions=kept)
    with pytest.raises(NotComparableError, match=r"corruptions .*, old 15 of them"):
        verdict_of(few, {"mean": 1.0})
    verdict = verdict_of(few, {"mean": 1.0, "noise": 1.0, "fog": 1.0}, allow=["corruptions"])
    assert set(statuses(verdict).values()) == {Status.PASS}
    assert [{c for c, _ in outcome.rule.cells} for outcome in verdict.outcomes] == [
        set(kept), {"gaussian_noise"}, {"fog"},
    ]  # fmt: skip
    assert "allowed to differ: corruptions" in verdict.text
    for name in ("snow", "snow/3", "blur"):
        with pytest.raises(UsageError, match=f"the rule {name} has no cell that both old and few were asked for"):
            verdict_of(few, {name: 1.0}, allow=["corruptions"])
    with pytest.raises(UsageError, match="did you mean 'fog'"):
        verdict_of(few, {"fogg": 1.0}, allow=["corruptions"])


def test_no_corruption_in_common_is_no_mean():
    fog, snow = (
        make_measured({k: v for k, v in ERRORS.items() if k[0] in (c, "clean")}, name=c, n=500, corruptions=(c,))
        for c in ("fog", "snow")
    )
    with pytest.raises(UsageError, match="the rule mean has no cell"):
        check(fog, snow, {"mean": 1.0}, allow=["corruptions"])


def test_one_image_cannot_be_tested():
    one, other = (make_measured(dict.fromkeys(ERRORS, 0.0), name=name, n=1) for name in "ab")
    with pytest.raises(DataError, match="the rule fog cannot be tested: 1 image has no variance") as caught:
        check(other, one, {"fog": 1.0})
    assert caught.value.exit_code == 3


def test_no_image_that_differs_has_an_interval_with_a_width():
    (outcome,) = verdict_of(OLD, {"clean": 1.0}).outcomes
    assert (outcome.p, outcome.drop.value) == (1, 0)
    assert outcome.drop.low == pytest.approx(-0.784, abs=0.001)
    assert outcome.drop.high == pytest.approx(0.784, abs=0.001)


def test_a_baseline_is_small_sorted_and_a_run(tmp_path):
    run = write_measured(tmp_path / "run.json", OLD)
    update_baseline(run, tmp_path / "baseline.json")
    written = read_run(tmp_path / "baseline.json")
    assert [cell.top1 for cell in written.cells] == [cell.top1 for cell in OLD.run.cells]
    assert all(cell.bin_n is None for cell in written.cells)
    bits = read_bits(tmp_path / "baseline.json", written)
    assert all((bits[key] == OLD.bits[key]).all() for key in bits)
    assert (tmp_path / "baseline.json").stat().st_size < 8_000
    assert (tmp_path / "baseline.bits.npy").stat().st_size < 5_000
    update_baseline(run, tmp_path / "again.json")
    lines = [(tmp_path / f"{name}.json").read_text().replace(name, "").splitlines() for name in ("baseline", "again")]
    assert lines[0] == lines[1]
    verdict = check_files(run, tmp_path / "baseline.json", dict.fromkeys(C15, 0.0))
    assert verdict.passed


def test_baselines_of_equal_results_are_equal_byte_for_byte_whenever_and_wherever_they_were_made(tmp_path):
    elsewhere = {"platform": "macOS", "device": "mps", "started": "2026-02-02T00:00:00+00:00", "seconds": 99.0}
    card = {"architecture": "resnet20", "citation": None}
    for folder, changes in (("here", {}), ("there", {**elsewhere, "processes": 4, "versions": {"torch": "3"}})):
        run = OLD.run.model_copy(
            update={
                "provenance": OLD.run.provenance.model_copy(update=changes),
                "model": OLD.run.model.model_copy(update={"card": card if changes else {}}),
            }
        )
        (tmp_path / folder).mkdir()
        path = write_measured(tmp_path / folder / "run.json", replace(OLD, run=run))
        update_baseline(path, tmp_path / folder / "baseline.json")
    for name in ("baseline.json", "baseline.bits.npy"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_a_baseline_has_sorted_keys_no_nulls_and_nothing_of_when_it_was_made(tmp_path):
    run = write_measured(tmp_path / "run.json", OLD)
    update_baseline(run, tmp_path / "baseline.json")
    text = (tmp_path / "baseline.json").read_text()
    content = json.loads(text)
    assert "null" not in text
    assert "provenance" not in content
    assert list(content) == sorted(content)
    assert all(list(cell) == ["corruption", "n", "severity", "top1"] for cell in content["cells"])
    read = read_run(tmp_path / "baseline.json")
    assert (read.protocol, read.status) == (OLD.run.protocol, OLD.run.status)
    assert read.model.weights_sha256 == OLD.run.model.weights_sha256
    assert "same weights" in check_files(run, tmp_path / "baseline.json", {"mean": 1.0}).warnings[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("compact"), "damaged: model.card: Field required"),
        (lambda content: content["cells"][1].pop("top1"), "damaged: cells.1.top1: Field required"),
        (lambda content: content["cells"].append("fog"), "damaged: cells.76"),
        (lambda content: content.update(model="net"), "damaged: model"),
    ],
)
def test_a_damaged_baseline_is_told(tmp_path, change, message):
    update_baseline(write_measured(tmp_path / "run.json", OLD), tmp_path / "baseline.json")
    content = json.loads((tmp_path / "baseline.json").read_text())
    change(content)
    (tmp_path / "baseline.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "baseline.json")


def test_a_baseline_can_be_made_of_a_baseline_and_is_the_same(tmp_path):
    update_baseline(write_measured(tmp_path / "run.json", OLD), tmp_path / "one.json")
    update_baseline(tmp_path / "one.json", tmp_path / "two.json")
    assert (tmp_path / "one.json").read_text().replace("one.", "two.") == (tmp_path / "two.json").read_text()


def test_what_is_no_baseline(tmp_path):
    run = write_measured(tmp_path / "run.json", OLD)
    with pytest.raises(UsageError, match="is the run itself"):
        update_baseline(run, run)
    with pytest.raises(UsageError, match=r"A baseline is a \.json file"):
        update_baseline(run, tmp_path / "baseline")
    errors = {key: value for key, value in ERRORS.items() if key != ("fog", 5)}
    half = write_measured(tmp_path / "half.json", make_measured(errors, n=500))
    with pytest.raises(DataError, match="was interrupted"):
        update_baseline(half, tmp_path / "baseline.json")
