"""What a table has in its columns, by the labels that ppbench writes: ``mean_error[c15,s1-5]`` is what it says."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from ppbench.vocabulary import expand_corruptions, expand_severities, set_label, severity_label

Kind = Literal["clean_error", "mean_error", "R_net"]

_FORM = re.compile(
    r"(mean_error|R_net)\[(?:(?P<baseline>[^,\]]+),)?(?P<corruptions>[^,\]]+),s(?P<severities>[\d,-]+)\]"
)


class Quantity(NamedTuple):
    """One column."""

    kind: Kind
    corruptions: tuple[str, ...] = ()
    """In canonical order; none of the clean error."""
    severities: tuple[int, ...] = ()
    baseline: str | None = None
    """The row that R_net compares with."""

    @property
    def label(self) -> str:
        """As it stands above the column."""
        if self.kind == "clean_error":
            return self.kind
        parts = [self.baseline, set_label(self.corruptions), severity_label(self.severities)]
        return f"{self.kind}[{','.join(part for part in parts if part)}]"


def parse_quantity(label: str) -> Quantity:
    """Read ``clean_error``, ``mean_error[SET,sN]`` or ``R_net[ROW,SET,sN]``; SET is a set, or names with ``+`` between.

    Raises:
        ValueError: If it is nothing of these.
        UsageError: If a corruption or severity is not known.
    """
    if label == "clean_error":
        return Quantity("clean_error")
    found = _FORM.fullmatch(label)
    if found is None or (found[1] == "R_net") != (found["baseline"] is not None):
        raise ValueError(f"{label!r} is not clean_error, mean_error[c15,s1-5] or R_net[ROW,c15,s1-5]")
    corruptions = expand_corruptions(found["corruptions"].split("+"))
    severities = expand_severities(found["severities"].split(","))
    return Quantity("mean_error" if found[1] == "mean_error" else "R_net", corruptions, severities, found["baseline"])
