"""Strictness: which verdicts fail a build, and whether a pass that proves little does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ppbench.errors import UsageError
from ppbench.lookup import unknown_name


class FailOn(StrEnum):
    """The mildest verdict that fails. Worse ones fail too."""

    WORSE = "worse"
    """Certainly worse than allowed: a build whose true drop is allowed fails by chance in at most 5 %."""
    PERHAPS = "perhaps"
    """Also drops that are certain, but perhaps allowed."""
    UNDECIDED = "undecided"
    """Also undecided drops: every drop larger than allowed, chance or not."""


class OnPowerless(StrEnum):
    """Effect of a pass whose images could not have shown much."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


RENAMED = (
    "on-inconclusive is the older name of fail-on: write fail-on undecided instead of fail, and fail-on worse (the "
    "default) instead of pass"
)
"""The message to users of the older name."""

_OLDER = {"pass": FailOn.WORSE, "fail": FailOn.UNDECIDED}


@dataclass(frozen=True)
class Strictness:
    """Which verdicts fail a build, and what an underpowered pass does."""

    fail_on: FailOn = FailOn.WORSE
    on_powerless: OnPowerless = OnPowerless.WARN


DEFAULT = Strictness()


def strictness(
    fail_on: str | None = None, on_powerless: str | None = None, on_inconclusive: str | None = None
) -> Strictness:
    """Parse the options; None is the default of each.

    Args:
        fail_on: A value of `FailOn`.
        on_powerless: A value of `OnPowerless`.
        on_inconclusive: ``pass`` or ``fail``, the older name of ``fail_on`` (`RENAMED`).

    Raises:
        UsageError: If a value is not one of these, or both names are given.
    """
    if on_inconclusive is not None:
        if fail_on is not None:
            raise UsageError(
                "fail-on and on-inconclusive are both given", "Leave on-inconclusive out: it is the older name."
            )
        if on_inconclusive not in _OLDER:
            raise UsageError(f"on-inconclusive {on_inconclusive} is not allowed", "It must be pass or fail.")
        fail_on = _OLDER[on_inconclusive]
    if fail_on is not None and fail_on not in list(FailOn):
        raise unknown_name("fail-on", fail_on, list(FailOn), "docs/ci.md")
    if on_powerless is not None and on_powerless not in list(OnPowerless):
        raise unknown_name("on-powerless", on_powerless, list(OnPowerless), "docs/ci.md")
    return Strictness(FailOn(fail_on or FailOn.WORSE), OnPowerless(on_powerless or OnPowerless.WARN))
