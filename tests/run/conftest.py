"""Fixtures of the run file's tests."""

import pytest

from ppbench.run import write_run
from tests.builders import make_bits, make_errors, make_run


@pytest.fixture
def written(tmp_path):
    """A run file with its bits: path, run, bits."""
    run = make_run(make_errors(0, ("fog",)), corruptions=("fog",), n=30)
    bits = make_bits(run)
    path = tmp_path / "run.json"
    return path, write_run(path, run, bits), bits
