"""Which code runs: Triton only for CUDA tensors, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import torch

from ppbench.corruptions import fused
from ppbench.corruptions.fused import on_cuda


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
        with pytest.warns(UserWarning, match="Triton does not work here .*equal pixels"):
            assert not works()
    monkeypatch.setitem(sys.modules, "ppbench.corruptions.fused.random", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not works()  # not installed, which is usual


def test_the_cpu_never_imports_triton() -> None:
    code = (
        "import sys, numpy, ppbench;"
        "ppbench.corrupt(numpy.zeros((9, 9, 3), numpy.uint8), 'gaussian_noise', 1, ids=['a']);"
        "print([name for name in sys.modules if name.split('.')[0] == 'triton'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert ran.stdout == "[]\n"
