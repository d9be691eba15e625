"""Settings for all tests."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker per core; more threads would wait for each other, spinning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
