"""How a run shows itself: as one line in Python, as a table or a drawing in a notebook."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from ppbench.notebooks import offered


class ShownInNotebooks:
    """What a run has for notebooks besides its record. None of it is in the file, or counts in comparisons."""

    @cached_property
    def path(self) -> Path | None:
        """The file that it was read from or written to; None if there is none.

        The results image by image are beside it, from which intervals come.
        """
        return None

    def plot(self, kind: str = "heatmap", **options: Any) -> Any:
        """Draw the run.

        Args:
            kind: ``heatmap``, ``severity``, ``forest``, ``reliability`` or ``scatter``.
            options: Those of `ppbench.plot`: ``baseline``, ``normalizer``, ``confidence``, ``allow``, ``quantity`` and
                ``width``.

        Returns:
            A matplotlib figure, which a notebook shows.

        Raises:
            UsageError: If a value is not allowed, or matplotlib is not installed.
            DataError: If a file is missing or damaged, or the kind needs results image by image and there are none.
            NotComparableError: If the baseline was not measured in the same way.
        """
        return offered("plot")(self, kind, **options)

    def __str__(self) -> str:
        """One line: the model, the images, and what was found."""
        return str(offered("line")(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _repr_html_(self) -> str:
        return str(offered("table")(self))
