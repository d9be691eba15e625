"""An embedded network with more and more noise in its weights: pass, undecided, worse."""

from __future__ import annotations

import pytest

import ppbench
from ppbench.check.baseline import update_baseline
from ppbench.check.judge import check_files
from ppbench.check.verdict import Status
from tests.check.models import NAME, write_damaged

pytestmark = pytest.mark.usefixtures("_small_forwards")

CELLS = {"limit": 200, "corruptions": ["gaussian_noise", "fog"], "severities": "1-2"}
RULES = {"mean": 0.5, "noise": 1.0, "clean": 1.0}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline")
    ppbench.evaluate(NAME, output=folder / "run.json", **CELLS)
    update_baseline(folder / "run.json", folder / "baseline.json")
    return folder / "baseline.json"


@pytest.mark.parametrize(
    ("amount", "worst", "code"), [(0.01, Status.PASS, 0), (0.3, Status.UNDECIDED, 0), (0.5, Status.WORSE, 1)]
)
def test_more_damage_is_a_worse_verdict(tmp_path, baseline, amount, worst, code):
    model = write_damaged(tmp_path / "net.safetensors", amount)
    ppbench.evaluate(str(model), output=tmp_path / "run.json", **CELLS)
    verdict = check_files(tmp_path / "run.json", baseline, RULES, on_powerless="pass")
    order = [Status.PASS, Status.UNDECIDED, Status.WORSE]
    assert max((outcome.status for outcome in verdict.outcomes), key=order.index) is worst
    assert verdict.exit_code == code
    assert not verdict.remarks
    assert bool(verdict.warnings) == (worst is Status.UNDECIDED)
    strict = check_files(tmp_path / "run.json", baseline, RULES, fail_on="undecided")
    assert strict.exit_code == (0 if worst is Status.PASS else 1)
