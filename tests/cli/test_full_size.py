"""Runs as large as those of ImageNet-C are shown, compared and checked from their files, without torch."""

import json
import subprocess
import sys

import pytest

from ppbench.run import read_image_keys, read_run
from ppbench.vocabulary import C15
from tests.full_size import IMAGES, write_pair

PROGRAM = (
    "import sys; from ppbench.cli.main import app; code = app(sys.argv[1:], standalone_mode=False);"
    "heavy = {'torch', 'torchvision', 'pandas', 'scipy'} & set(sys.modules);"
    "print(sorted(heavy), file=sys.stderr); sys.exit(code or 0)"
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("full"))


def answer_of(*arguments):
    ask = [sys.executable, "-c", PROGRAM, *map(str, arguments), "--format", "json"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]", "torch and other slow packages are not imported"
    return json.loads(done.stdout)


def test_the_files_are_as_large_as_real_ones(pair):
    for path in pair:
        keys = read_image_keys(path, read_run(path))
        assert keys is not None
        assert len(keys) == IMAGES


def test_show(pair):
    content = answer_of("show", pair[0])
    mce = {metric["name"]: metric for metric in content["metrics"]}["mCE"]
    assert mce["low"] < 76.7 < mce["high"]
    assert mce["high"] - mce["low"] < 0.6
    assert len(content["corruptions"]) == len(C15)


def test_compare(pair):
    text = json.dumps(answer_of("compare", *pair))
    assert f'"n": {IMAGES}' in text
    assert '"mCE"' in text


def test_check(pair):
    old, new = pair
    verdict = answer_of("check", new, "--baseline", old, "--max-drop", "mean=0.5", "--max-drop", "fog/3=1")
    assert [outcome["status"] for outcome in verdict["rules"]] == ["pass", "pass"]
    assert verdict["rules"][0]["drop"] == pytest.approx(-1, abs=0.3)
