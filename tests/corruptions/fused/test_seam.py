"""Which code runs: Triton only for CUDA tensors, and nowhere else."""

from __future__ import annotations

import sys
import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.dispatch import on_cuda
from tests.forks import run


@on_cuda("doubles")
def multiple(x: torch.Tensor, by: int) -> torch.Tensor:
    return x * by


def test_cpu_tensors_take_the_definition() -> None:
    """There is no module of that name, so nothing else could give a result."""
    assert multiple(torch.tensor([2]), 3).tolist() == [6]
    with fused.disabled(), fused.interpreted():
        assert multiple(torch.tensor([2]), 3).tolist() == [6]
    with fused.interpreted(), pytest.raises(ModuleNotFoundError):
        multiple(torch.tensor([2]), 3)


def test_where_triton_does_not_work_the_definition_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    # Without a GPU, CUDA raises; with a compiler that is missing, Triton would.
    works = fused.triton_works.__wrapped__
    if not torch.cuda.device_count():
        with pytest.warns(UserWarning, match="Triton does not work here .*take longer"):
            assert not works()
    monkeypatch.setitem(sys.modules, "ppbench.corruptions.fused.random", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not works()  # not installed, which is usual


def test_a_kernel_that_cannot_be_compiled_gives_way_to_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed: what a kernel does is to raise, or to return something else."""
    calls = []

    def kernel(x: torch.Tensor, by: int) -> torch.Tensor:
        calls.append(x.is_contiguous())
        if len(calls) == 1:
            raise torch.cuda.OutOfMemoryError
        if by == 3:
            raise RuntimeError("PassManager::run failed\nand so on")
        return x - by

    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setitem(sys.modules, "ppbench.corruptions.fused.doubles", SimpleNamespace(multiple=kernel))
    monkeypatch.setattr(fused, "_works", {})
    by = torch.ones(2, 2).t()[:, :1]

    def made(by_what: int) -> list[float]:
        arguments = "doubles", "multiple", multiple.__wrapped__, (by, by_what), torch.device("cuda", 1)
        return fused.run_fused(*arguments).flatten().tolist()

    with pytest.raises(torch.cuda.OutOfMemoryError):
        made(3)
    with pytest.warns(UserWarning, match=r"doubles.multiple here \(RuntimeError: PassManager::run failed\)"):
        assert made(3) == [3, 3]
    assert made(2) == [2, 2]  # it is not tried again
    fused._works.clear()
    assert made(2) == [-1, -1]
    with pytest.raises(RuntimeError):  # what worked and fails now is no matter of versions
        made(3)
    assert all(calls)


def test_the_cpu_never_imports_triton() -> None:
    """In a process that has torch, and imports ppbench as if for the first time."""
    code = (
        "import sys\n"
        "for name in [name for name in sys.modules if name.split('.')[0] in ('ppbench', 'triton')]:\n"
        "    del sys.modules[name]\n"
        "import numpy, ppbench\n"
        "ppbench.corrupt(numpy.zeros((9, 9, 3), numpy.uint8), 'gaussian_noise', 1, ids=['a'])\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'triton'])"
    )
    ran = run(code)
    assert (ran.returncode, ran.stdout) == (0, "[]\n"), ran.stderr
