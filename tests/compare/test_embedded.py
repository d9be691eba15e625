"""The two embedded networks against each other, from their images to the words and exit codes of the command line."""

import json
import re
from statistics import NormalDist

import numpy as np
import pytest
from typer.testing import CliRunner

import ppbench
from ppbench.cli.main import app
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.run import read_bits, read_run

pytestmark = pytest.mark.usefixtures("_small_forwards")

CELLS = {"limit": 200, "corruptions": ["gaussian_noise", "brightness"], "severities": "1-2"}
PLAIN, PUSH_PULL = EMBEDDED_MODELS


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded")
    for name in EMBEDDED_MODELS:
        ppbench.evaluate(name, output=folder / f"{name}.json", **CELLS)
    return [folder / f"{name}.json" for name in EMBEDDED_MODELS]


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def points(runs, cells):
    """``(n,)`` points by which the second has a higher error than the first, straight from the files of bits."""
    old, new = (read_bits(path, read_run(path)) for path in runs)
    return 100 * np.mean([old[cell].astype(float) - new[cell] for cell in cells], axis=0)


def test_compare_finds_each_better_at_something(runs):
    result = invoke("compare", *runs, "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    (comparison,) = json.loads(result.stdout)["comparisons"]
    assert (comparison["reference"], comparison["run"], comparison["n"]) == (PLAIN, PUSH_PULL, 200)
    assert re.sub(r"[+-]\d+\.\d|\d\.\d", "#", comparison["verdict"]) == (
        f"{PUSH_PULL} makes fewer errors on noise (# points, 95 % interval # to #) and more errors on weather "
        f"(# points, 95 % interval # to #) than {PLAIN}. Of 2 corruptions, these differ: gaussian_noise (#), "
        "brightness (#). Overall no difference is shown (# points, 95 % interval # to #); these 200 images could have "
        "shown one of # points."
    )


def test_its_intervals_are_those_of_the_paired_differences(runs):
    comparison = json.loads(invoke("compare", *runs, "--format", "json").stdout)["comparisons"][0]
    found = {(d["group"], d["name"]): d for d in comparison["differences"]}
    for name in ("gaussian_noise", "brightness"):
        values = points(runs, [(name, 1), (name, 2)])
        difference = found["corruption", name]
        assert difference["difference"] == pytest.approx(values.mean())
        half = (difference["high"] - difference["low"]) / 2
        textbook = NormalDist().inv_cdf(0.975) * values.std(ddof=1) / len(values) ** 0.5
        # Where few images differ the interval is a little wider than the textbook's, never narrower.
        assert textbook * 0.999 < half < textbook * 1.05
        assert difference["low"] == pytest.approx(values.mean() - half)


@pytest.mark.parametrize(
    ("rule", "code", "word", "verdict"),
    [("noise=1", 0, "PASS", "passed"), ("brightness/1=1", 1, "FAIL", "worse than allowed")],
)
def test_check_lets_the_better_pass_and_not_the_worse(runs, rule, code, word, verdict):
    result = invoke("check", runs[1], "--baseline", runs[0], "--max-drop", rule)
    assert result.exit_code == code
    assert f"{word}: {PUSH_PULL} against {PLAIN}: 1 rule, {verdict}" in " ".join(result.stdout.split())
