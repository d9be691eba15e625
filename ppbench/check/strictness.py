"""What fails a build: from which verdict on, and whether a pass that shows nothing does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ppbench.errors import UsageError
from ppbench.lookup import unknown_name


class FailOn(StrEnum):
    """The mildest verdict that fails; what is worse fails too."""

    WORSE = "worse"
    """Worse than allowed, for certain: a build whose true drop is allowed fails for chance in 5 % at most."""
    PERHAPS = "perhaps"
    """Also what is worse for certain, and perhaps within the allowance."""
    UNDECIDED = "undecided"
    """Also what is undecided: every drop beyond the allowance, chance or not."""


class OnPowerless(StrEnum):
    """What a pass does whose images could not have shown much."""

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
    """What fails a build."""

    fail_on: FailOn = FailOn.WORSE
    on_powerless: OnPowerless = OnPowerless.WARN


DEFAULT = Strictness()


def strictness(
    fail_on: str | None = None, on_powerless: str | None = None, on_inconclusive: str | None = None
) -> Strictness:
    """What these options say; None is the default.

    Args:
        fail_on: A word of `FailOn`.
        on_powerless: A word of `OnPowerless`.
        on_inconclusive: ``pass`` or ``fail``, the older name of ``fail_on`` (`RENAMED`).

    Raises:
        UsageError: If a word is none of these, or both names are given.
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
