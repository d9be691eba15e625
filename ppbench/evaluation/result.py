"""The result of an evaluation, and the error about images that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ppbench.data.source import Broken
from ppbench.errors import DataError
from ppbench.evaluation.tally import Scored
from ppbench.run import MeasuredRun

_NAMED = 20
"""Number of unreadable images that are named one by one."""
_SINGLE = "Replace them, or remove them from every cell: the same command then does only what is missing."
_TOLERABLE = 0.5
"""Largest share of unreadable images that may be skipped. Beyond it the set is damaged, not single images."""


@dataclass(frozen=True)
class EvalResult:
    """Outcome of an evaluation."""

    runs: list[MeasuredRun]
    """One per model, with the finished cells; empty in all processes but the first."""
    stopped_by: BaseException | None = None
    """Why it stopped early, if it did. The runs are saved; the caller raises this."""
    unreadable: DataError | None = None
    """The error that names the images that could not be read; None if all could. The caller raises or prints it."""
    may_skip: bool = True
    """Whether the unreadable images are few enough to be skipped."""

    @classmethod
    def of(cls, runs: list[MeasuredRun], scored: Scored, images: int, remedy: str | None = None) -> EvalResult:
        """Make the result, from what was scored of ``images`` images; ``remedy`` is as in `unreadable_images`."""
        if not scored.unreadable:
            return cls(runs, scored.stopped_by)
        kept = 0 if scored.images is None else int(scored.images.sum())
        error = unreadable_images(scored.unreadable, images, kept, remedy)
        number = len({broken.place for broken in scored.unreadable})
        return cls(runs, scored.stopped_by, error, _is_tolerable(number, images))

    def refuse_unreadable(self, *, skip: bool) -> None:
        """Raise the error about unreadable images, unless ``skip`` is set and they are few enough."""
        if self.unreadable is not None and not (skip and self.may_skip):
            raise self.unreadable


def unreadable_images(broken: Sequence[Broken], images: int, kept: int, remedy: str | None = None) -> DataError:
    """Make the error that names the images that could not be read.

    Args:
        broken: The images, each once per reason.
        images: Number of images that were requested.
        kept: Number of images in the result.
        remedy: What to do about them; None: what is right where each image has a result of its own.
    """
    lines = list(dict.fromkeys(f"{reason}. {hint}" for _, reason, hint in broken))
    more = [f"and {len(lines) - _NAMED:,} more"] if len(lines) > _NAMED else []
    number = len({one.place for one in broken})
    of = f"the result is of the other {kept:,}" if kept else "none is left to measure"
    done = (
        [remedy or _SINGLE]
        + ["`--skip-unreadable` takes the result as it is (exit code 0)."] * _is_tolerable(number, images)
    )  # fmt: skip
    return DataError(
        f"{number:,} of {images:,} images could not be read; {of}", "\n".join([*lines[:_NAMED], *more, *done])
    )


def _is_tolerable(unreadable: int, images: int) -> bool:
    """Whether this many images may be skipped: at most half of all."""
    return unreadable <= _TOLERABLE * images
