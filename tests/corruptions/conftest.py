"""Both ways in which the CPU makes a corruption."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ppbench.corruptions.kernels import disabled


@pytest.fixture(params=["kernel", "tensors"])
def _path(request: pytest.FixtureRequest) -> Iterator[None]:
    """By its kernels, and by the torch functions that define it."""
    if request.param == "kernel":
        yield
    else:
        with disabled():
            yield
