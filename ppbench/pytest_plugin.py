"""A pytest fixture that fails a test if a model has become less robust. It imports nothing until it is used."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ppbench.check.verdict import Verdict


@pytest.fixture(scope="session")
def ppbench_check() -> Callable[..., Verdict]:
    """A function ``(run, baseline, **rules)`` that returns the verdict, or fails the test if it is a regression.

    If there is something that a pass should not hide (`Verdict.warnings`), the whole verdict becomes a warning.

    Rules are points by name: ``ppbench_check("run.json", "baseline.json", mean=0.5, **{"fog/3": 2})``.
    """
    return _check


def _check(
    run: str | Path,
    baseline: str | Path,
    *,
    confidence: float = 0.95,
    fail_on: str | None = None,
    on_powerless: str | None = None,
    on_inconclusive: str | None = None,
    allow: Collection[str] = (),
    **rules: float,
) -> Verdict:
    import warnings

    from ppbench.check.judge import check_files
    from ppbench.check.rules import DEFAULT_RULES, parse_points
    from ppbench.check.strictness import RENAMED
    from ppbench.scalars import number_of

    verdict = check_files(
        Path(run),
        Path(baseline),
        {name: parse_points(name, value) for name, value in rules.items()} or DEFAULT_RULES,
        confidence=number_of("confidence", confidence),
        fail_on=fail_on,
        on_powerless=on_powerless,
        on_inconclusive=on_inconclusive,
        allow=allow,
    )
    if on_inconclusive is not None:
        warnings.warn(RENAMED, stacklevel=2)
    if not rules:
        warnings.warn(f"no rules given; using {dict(DEFAULT_RULES)}", stacklevel=2)
    if not verdict.passed:
        pytest.fail(verdict.text, pytrace=False)
    if verdict.warnings:
        warnings.warn(verdict.text, stacklevel=2)
    return verdict
