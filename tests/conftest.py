"""Settings for all tests."""

from __future__ import annotations

import os
from functools import cache

import typer.testing

if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a worker per core; more threads would wait for each other, spinning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Typer builds the parsers of all commands at every call of `CliRunner.invoke`: longer than most commands take.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]
