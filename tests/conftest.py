"""Settings for all tests."""

from __future__ import annotations

import atexit
import gc
import multiprocessing.spawn
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.testing
from hypothesis import HealthCheck, settings

from tests.forks import FORWARDS, python

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker per core; more threads would wait for each other, spinning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Networks are compiled here one at a time: a pool of processes for that would load torch in each, for seconds.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

# To find out which vector instructions there are, torch would compile its headers for each set that the processor has.
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")

# Sizes of images are symbols while it compiles. Simplified once, they are kept.
os.environ.setdefault("SYMPY_CACHE_SIZE", "None")

# Without a GPU, torch looks for the driver's library whenever it is asked, which fake tensors do at every operation.
if sys.platform == "linux" and not any(Path("/dev").glob("nvidia*")) and not Path("/dev/dxg").exists():
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# While modules are loaded hardly any cycle is garbage, and every collection looks at all that was loaded before.
gc.disable()

# Typer builds the parsers of all commands at every call of `CliRunner.invoke`: longer than most commands take.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

# On a busy machine, limits of time would fail tests at random.
settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")


def forwards_of(small: int, large: int) -> Iterator[None]:
    """Forward passes of so many images. On a CPU they have 64 and 16, and what tests evaluate is filled up to that.

    Processes that are forked meanwhile have them too.
    """
    from ppbench.evaluation import feed, inference

    with pytest.MonkeyPatch.context() as patch:
        for module in (feed, inference):
            patch.setattr(module, "forward_size", lambda device, side: small if side <= inference.SMALL_SIDE else large)
        patch.setenv(FORWARDS, f"{small},{large}")
        yield


@pytest.fixture(scope="module")
def _small_forwards() -> Iterator[None]:
    """Forward passes of few images, for a file that evaluates few."""
    yield from forwards_of(16, 4)


@pytest.fixture
def _small_forwards_here() -> Iterator[None]:
    """The same for one test, in a file that also compares with other processes: the last bits follow the number."""
    yield from forwards_of(16, 4)


@pytest.fixture(scope="module")
def _workers_of_one_server() -> Iterator[None]:
    """Worker processes that a process with torch in it forks. By themselves, as in test_pool.py, each loads torch."""
    before = multiprocessing.spawn.get_executable()
    multiprocessing.spawn.set_executable(python())
    yield
    multiprocessing.spawn.set_executable(before)


SLOWEST_FIRST = (
    "tests/copies/test_kills.py",
    "tests/corruptions/fused/test_budgets.py",
    "tests/corruptions/fused/test_graphs.py",
    "tests/evaluation/test_inference.py",
    "tests/evaluation/test_kills.py",
    "tests/evaluation/test_memory.py",
    "tests/evaluation/test_stopping.py",
    "tests/metrics/test_simulations.py",
    "tests/check/test_false_alarms.py",
    "tests/cli/test_inspect.py",
    "tests/models/test_bombs.py",
    "tests/corruptions/test_apply.py",
    "tests/test_site.py",
    "tests/test_docs_blocks.py",
    "tests/page/test_browser.py",
    "tests/train/test_distributed.py",
    "tests/test_notebook.py",
)
"""Files with a test of several seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole files first, so that no worker is left with a slow test when the others have none."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in SLOWEST_FIRST)


def pytest_collection_finish() -> None:
    """Leave what was loaded out of all collections of garbage to come, and collect less often."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()
    # Libraries in C++ report what is not freed at the end. Not earlier: pytest collects five times when it ends.
    atexit.register(gc.unfreeze)
