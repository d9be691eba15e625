"""What is said of images that could not be read, and what it means for the exit code. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.data.source import Broken
from ppbench.errors import DataError

_NAMED = 20
"""Unreadable images told one by one."""
_TOLERABLE = 0.5
"""Share of all images up to which some that cannot be read may be skipped: beyond, the set is damaged, not images."""


def unreadable_images(broken: Sequence[Broken], images: int, kept: int) -> DataError:
    """The error that names the images that could not be read.

    Args:
        broken: They, each as often as there are reasons.
        images: All that were to be evaluated.
        kept: Those that the result is of.
    """
    lines = list(dict.fromkeys(f"{reason}. {hint}" for _, reason, hint in broken))
    more = [f"and {len(lines) - _NAMED:,} more"] if len(lines) > _NAMED else []
    number = len({one.place for one in broken})
    of = f"the result is of the other {kept:,}" if kept else "none is left to measure"
    done = (
        ["Replace them, or remove them from every cell: the same command then does only what is missing."]
        + ["`--skip-unreadable` takes the result as it is (exit code 0)."] * is_tolerable(number, images)
    )  # fmt: skip
    return DataError(
        f"{number:,} of {images:,} images could not be read; {of}", "\n".join([*lines[:_NAMED], *more, *done])
    )


def is_tolerable(unreadable: int, images: int) -> bool:
    """Whether so many images may be skipped: at most half of all."""
    return unreadable <= _TOLERABLE * images
