"""Both ways in which the CPU makes a corruption, and a machine whose GPUs are counted once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import torch

from ppbench.corruptions.kernels import disabled


@pytest.fixture(params=["kernel", "tensors"])
def _path(request: pytest.FixtureRequest) -> Iterator[None]:
    """By its kernels, and by the torch functions that define it."""
    if request.param == "kernel":
        yield
    else:
        with disabled():
            yield


@pytest.fixture(scope="module")
def _gpus_counted_once() -> Iterator[None]:
    """Fake tensors ask whether there is a GPU at every operation; without one, torch looks for its driver each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", cache(torch.cuda.is_available))
        yield
