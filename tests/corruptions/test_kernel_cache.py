"""Files of compiled kernels that are damaged or cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numba
import numpy as np
import pytest

SCRIPT = """
from ppbench.corruptions.kernels import compiled

@compiled
def double(values):
    for i in range(values.size):
        values[i] *= 2
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "kernel.py").write_text(SCRIPT)
    return tmp_path / "cache"


def hits(cache: Path) -> int:
    """Load the kernel as a new process would, and use it; return how often it came from the disk."""
    spec = spec_from_file_location("kernel", cache.parent / "kernel.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    values = np.ones(3)
    module.double(values)
    assert values.tolist() == [2, 2, 2]
    return sum(module.double.stats.cache_hits.values())


def kept(cache: Path, ending: str) -> Path:
    (file,) = cache.rglob(f"*{ending}")
    return file


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other(path: Path) -> None:
    path.write_bytes(b"<html>" * 20)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("ending", "damage"), [(".nbi", empty), (".nbi", cut), (".nbi", other), (".nbc", empty), (".nbc", cut)]
)
def test_a_damaged_file_costs_one_compilation(cache: Path, ending: str, damage: Callable[[Path], None]) -> None:
    assert [hits(cache), hits(cache)] == [0, 1]
    damage(kept(cache, ending))
    assert [hits(cache), hits(cache)] == [0, 1]


def test_a_cache_that_cannot_be_written_costs_a_compilation_each_time(cache: Path) -> None:
    hits(cache)
    folder(kept(cache, ".nbi"))
    assert [hits(cache), hits(cache)] == [0, 0]
