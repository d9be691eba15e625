"""The columns of a table, named by the labels that ppbench writes, such as ``mean_error[c15,s1-5]``."""

from __future__ import annotations

import re
from typing import NamedTuple

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.quantities import QUANTITIES, Case, Quantity
from ppbench.vocabulary import expand_corruptions, expand_severities

_FORM = re.compile(r"(\w+)(?:\[(?:(?P<baseline>[^,\]]+),)?(?P<corruptions>[^,\]]+),s(?P<severities>[\d,-]+)\])?")


class Column(NamedTuple):
    """A metric over some cells."""

    quantity: Quantity
    corruptions: tuple[str, ...] = ()
    """In canonical order; empty for the clean error."""
    severities: tuple[int, ...] = ()
    baseline: str | None = None
    """The row that R_net compares with."""

    @property
    def label(self) -> str:
        """The label of the metric, such as ``R_net[plain,c15,s1-5]``."""
        baseline = None if self.baseline is None else _nothing_of(self.baseline)
        return self.quantity.label(Case(_nothing_of("row"), self.corruptions, self.severities, None, baseline))


def parse_column(label: str) -> Column:
    """Read ``clean_error``, ``mean_error[SET,sN]`` or ``R_net[ROW,SET,sN]``; SET is a set, or names joined by ``+``.

    Raises:
        ValueError: If the label has none of these forms.
        UsageError: If a corruption or severity is unknown.
    """
    # Tables have no normaliser, so its metrics cannot be columns.
    forms = {name: _form(quantity) for name, quantity in QUANTITIES.items() if quantity.reference != "normalizer"}
    found = _FORM.fullmatch(label)
    quantity = QUANTITIES[found[1]] if found and found[1] in forms else None
    if (
        found is None
        or quantity is None
        or quantity.over_cells != (found["corruptions"] is not None)
        or (quantity.reference is None) != (found["baseline"] is None)
    ):
        *others, last = forms.values()
        raise ValueError(f"{label!r} is not {', '.join(others)} or {last}")
    if not quantity.over_cells:
        return Column(quantity)
    corruptions = expand_corruptions(found["corruptions"].split("+"))
    severities = expand_severities(found["severities"].split(","))
    return Column(quantity, corruptions, severities, found["baseline"])


def _form(quantity: Quantity) -> str:
    if not quantity.over_cells:
        return quantity.name
    return f"{quantity.name}[{'ROW,' if quantity.reference else ''}c15,s1-5]"


def _nothing_of(name: str) -> CellErrors:
    """Errors without any cell, whose name stands for a row in labels."""
    return CellErrors(name, {}, None, (), ())
