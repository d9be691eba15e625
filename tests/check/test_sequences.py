"""A build is checked by its flip probability, and by the mean over passes."""

from dataclasses import replace

import numpy as np
import pytest

from ppbench.check.baseline import update_baseline
from ppbench.check.judge import check_files
from ppbench.check.report import CheckReport
from ppbench.check.rules import resolve
from ppbench.check.verdict import Status, weakness
from ppbench.errors import DataError, NotComparableError, UsageError
from ppbench.metrics.cell_errors import CellErrors
from ppbench.run import Trials, read_run
from tests.report.test_sequences import FOREIGN, text_of
from tests.trial_runs import measured, passes_run, sequence_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("checked")
    sequence_run("old", n=80).write(found / "old.json")
    sequence_run("new", n=80, jump=0.6).write(found / "new.json")
    update_baseline(found / "old.json", found / "baseline.json")
    passes_run("old", n=80).write(found / "passes.json")
    update_baseline(found / "passes.json", found / "passes-baseline.json")
    return found


def test_a_rise_of_the_flip_probability_fails(folder):
    rules = {"mFP": 1.0, "noise": 1.0, "tilt": 0.5, "rotate/1": 100.0}
    verdict = check_files(folder / "new.json", folder / "baseline.json", rules)
    outcomes = {outcome.rule.name: outcome for outcome in verdict.outcomes}
    assert outcomes["mFP"].status is Status.WORSE
    assert outcomes["rotate/1"].status is Status.PASS
    old, new = sequence_run("old", n=80).run, sequence_run("new", n=80, jump=0.6).run
    rise = 100 * (new.cell("tilt", 1).error - old.cell("tilt", 1).error)
    assert outcomes["tilt"].drop.value == pytest.approx(rise, abs=1e-4)
    for form in ("rich", "json", "csv", "markdown"):
        assert not FOREIGN.search(text_of(CheckReport(verdict), form))
    assert "points of stability (100 % - flip probability) lost" in " ".join(
        text_of(CheckReport(verdict), "markdown").split()
    )


def test_what_varies_between_passes_belongs_to_the_drop_where_images_share_draws(tmp_path):
    """A network that is worse by 6 points in these passes, which differ from each other by more."""
    random, verdicts = np.random.default_rng(0), {}
    for name, shift in (("old", [0.0] * 4), ("new", [-0.1, 0.3, -0.1, 0.14])):
        wrong = random.random((4, 400)) < 0.3 + np.array(shift)[:, None]
        failures, right = {("fog", 1): wrong.sum(0).astype(np.uint8)}, {("fog", 1): tuple((~wrong).sum(1).tolist())}
        run = measured(name, Trials(failures), {("fog", 1): 4}, ("fog",), (1,), {"passes": 4}, right)
        for shared in (None, True):
            model = run.run.model.model_copy(update={"shared_draws": shared})
            replace(run, run=run.run.model_copy(update={"model": model})).write(tmp_path / f"{name}-{shared}.json")
    for shared in (None, True):
        verdicts[shared] = check_files(tmp_path / f"new-{shared}.json", tmp_path / f"old-{shared}.json", {"mean": 0.5})
    plain, both = (verdicts[shared].outcomes[0] for shared in (None, True))
    assert plain.status is Status.WORSE
    assert both.status is Status.UNDECIDED
    assert both.drop.value == plain.drop.value
    assert both.drop.margin > 3 * plain.drop.margin
    assert both.p > 0.05 > plain.p
    assert both.images_needed is None
    assert "no number of images decides it, since 4 passes differ so much" in both.reason
    assert any("the variance between passes is added" in remark for remark in verdicts[True].warnings)


def test_a_rise_of_the_top_five_distance_fails(folder):
    verdict = check_files(folder / "new.json", folder / "baseline.json", {"uT5D": 0.5})
    (outcome,) = verdict.outcomes
    old, new = (CellErrors.from_run(read_run(folder / f"{name}.json")) for name in ("old", "new"))
    rise = sum(new.distances.values()) / 10 - sum(old.distances.values()) / 10
    assert outcome.drop.value == pytest.approx(rise, abs=1e-5)
    assert outcome.status is Status.WORSE
    assert f"uT5D: worse than allowed: rise +{rise:.2f} places" in verdict.text
    assert "uT5D: places gained" in text_of(CheckReport(verdict), "markdown")
    units = check_files(folder / "new.json", folder / "baseline.json", {"uT5D": 0.5, "mean": 1})
    assert [rule["unit"] for rule in CheckReport(units).as_dict()["rules"]] == ["places", "points"]
    assert check_files(folder / "new.json", folder / "baseline.json", {"uT5D": 15}).passed


def test_a_distance_that_nobody_saw_is_15_places_at_most(folder):
    """Of two runs that do not differ: four of 80 sequences are taken to be 15 places away, and not 100."""
    (outcome,) = check_files(folder / "old.json", folder / "baseline.json", {"uT5D": 0.0}).outcomes
    assert outcome.adjusted.high == pytest.approx(1.96 * 2 * 15 / 80, rel=1e-3)
    assert 0.73 < outcome.detectable < 2
    assert "only a rise of" in weakness(outcome)
    assert "places or more would be found" in weakness(outcome)


def test_without_distances_their_rule_is_an_error_or_fails(folder, tmp_path):
    sequence_run("new", n=80, distances=False).write(tmp_path / "few.json")
    with pytest.raises(DataError, match="has no uT5D"):
        check_files(folder / "old.json", tmp_path / "few.json", {"uT5D": 1.0})
    verdict = check_files(tmp_path / "few.json", folder / "baseline.json", {"uT5D": 1.0})
    assert verdict.outcomes[0].status is Status.MISSING
    assert "too few classes" in verdict.text
    assert verdict.exit_code == 1


def test_a_run_passes_its_own_baseline_which_keeps_the_trials(folder):
    verdict = check_files(folder / "old.json", folder / "baseline.json", {"mean": 0.0, "geometry": 0.0})
    assert verdict.exit_code == 0
    assert all(outcome.drop.value == 0 for outcome in verdict.outcomes)
    assert check_files(folder / "passes.json", folder / "passes-baseline.json", {"mean": 0.0, "fog/3": 0}).passed
    assert (folder / "baseline.trials.npy.gz").is_file()


def test_the_mean_is_over_the_ten(folder):
    protocol = sequence_run(n=4, perturbations=("tilt", "shear")).run.protocol
    (rule,) = resolve({"mFP": 1.0}, protocol)
    assert rule.weights == {("tilt", 1): 0.5, ("shear", 1): 0.5}
    with pytest.raises(UsageError, match="difficulty '5'"):
        resolve({"tilt/5": 1.0}, protocol)
    with pytest.raises(UsageError, match="clean"):
        resolve({"clean": 1.0}, protocol)


def test_other_frames_and_missing_trials_are_errors(folder, tmp_path):
    sequence_run("videos", n=80, encoding="h264").write(tmp_path / "videos.json")
    with pytest.raises(NotComparableError, match="sequences"):
        check_files(tmp_path / "videos.json", folder / "baseline.json", {"mean": 1.0})
    sequence_run("bare", n=80).write(tmp_path / "bare.json")
    (tmp_path / "bare.trials.npy.gz").unlink()
    with pytest.raises(DataError, match=r"bare\.trials"):
        check_files(tmp_path / "bare.json", folder / "baseline.json", {"mean": 1.0})
