"""Settings for all tests."""

from __future__ import annotations

import os
from functools import cache

import typer.testing
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker per core; more threads would wait for each other, spinning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Typer builds the parsers of all commands at every call of `CliRunner.invoke`: longer than most commands take.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

# On a busy machine, limits of time would fail tests at random.
settings.register_profile("any_load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_load")
