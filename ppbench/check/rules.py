"""Rules: the points by which the accuracy over some cells, or the agreement without labels, may drop.

Of sequences it is the flip probability that may rise by so many points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ppbench.errors import UsageError
from ppbench.lookup import unknown_name
from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Unavailable, Weights
from ppbench.metrics.quantities import MEAN_ERROR, MOST_POINTS, Quantity, case_of
from ppbench.metrics.without_labels import has_labels, plain_of, quantities_of, wording
from ppbench.run import Protocol
from ppbench.scalars import plain
from ppbench.vocabulary import OWN, Cell, family_of, in_order

_MEAN = "mean"
"""The rule over all headline cells, which watches the mean error."""

DEFAULT_RULES: Mapping[str, float] = {_MEAN: 0.5}
"""The rules if none are given. Commands that use them say so."""

_EXAMPLE = "For example `--max-drop mean=0.5 --max-drop noise=1 --max-drop fog/3=2`, in percentage points."

_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")

_CELL = "A single cell is written {}/{}, such as {}."


@dataclass(frozen=True)
class Rule:
    """A limit on how much an accuracy may drop."""

    name: str
    """``mean``, ``clean``, a family, a corruption, or ``fog/3``; without labels ``flip_rate`` too, and no ``clean``;
    of sequences ``mFP`` and
    ``uT5D``."""
    max_drop: float
    """Percentage points, not negative."""
    weights: Weights
    """Weights of the cells in the error that is watched, usually a mean."""
    quantity: Quantity = MEAN_ERROR
    """What is watched; of the error and its other names always the mean error."""

    @property
    def unit(self) -> str:
        """The unit of ``max_drop``: points, or places of the top-5 distance."""
        return "points" if self.quantity.unit == "%" else self.quantity.unit

    @property
    def change(self) -> str:
        """What is allowed: a drop of accuracy, or a rise of the top-5 distance."""
        return "drop" if self.quantity.of_errors else "rise"

    @property
    def largest(self) -> float:
        """The largest change of an image, in `unit`: 100 points, or 15 places of the top-5 distance."""
        return MOST_POINTS if self.quantity.of_errors else self.quantity.highest

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that it is over."""
        return tuple(self.weights)


def parse_rules(texts: Iterable[str]) -> dict[str, float]:
    """Parse texts like ``noise=1.0`` into points by name.

    Raises:
        UsageError: If a text is not of this form, or a name is given twice.
    """
    rules: dict[str, float] = {}
    for text in texts:
        name, sign, points = text.rpartition("=")
        name = name.strip()
        if not sign or not name:
            raise UsageError(f"--max-drop {text} is not of the form NAME=POINTS", _EXAMPLE)
        if name in rules:
            raise UsageError(f"--max-drop {name} is given twice", "Keep one of them.")
        rules[name] = parse_points(name, points)
    return rules


def parse_points(name: str, value: object) -> float:
    """Parse the points that are allowed, from a number or a text such as ``0.5``.

    Raises:
        UsageError: If it is not a number from 0 to 100.
    """
    points = _number(value)
    if points is None or not 0 <= points <= 100:
        raise UsageError(f"a maximal drop of {value} for {name} is not allowed", f"It must be 0 to 100. {_EXAMPLE}")
    return float(points)


def _number(value: object) -> float | None:
    """A number, also from a text that is a plain decimal. `float` would accept more: ``1_0`` is 10 to it."""
    if isinstance(value, str):
        text = value.strip()
        return float(text) if _DECIMAL.fullmatch(text) else None
    value = plain(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def resolve(rules: Mapping[str, float], protocol: Protocol) -> list[Rule]:
    """Find the cells of each rule among those of the baseline.

    Raises:
        UsageError: If a name is not mean, clean, or a family, corruption or cell of the baseline.
    """
    return [_resolved(name, points, protocol) for name, points in rules.items()]


def _resolved(name: str, points: float, protocol: Protocol) -> Rule:
    """One rule; its weights are empty if the baseline has no such cells."""
    corruptions, severities = in_order(protocol.corruptions), tuple(sorted(protocol.severities))
    watched = {quantity.rule: quantity for quantity in quantities_of(protocol).values() if quantity.rule is not None}
    if not has_labels(protocol):
        plain = plain_of(protocol)
        watched[plain.name] = plain
    families = list(dict.fromkeys(map(family_of, corruptions)))
    name = OWN if name == "other" and OWN in families else name  # what the family was called before
    corruption, _, severity = name.partition("/")
    members, levels = None, severities
    if severity and corruption in corruptions:
        if severity not in map(str, severities):
            allowed = ", ".join(map(str, severities))
            raise UsageError(
                f"{wording(protocol).level} {severity!r} of the rule {name!r} is not allowed",
                f"The baseline has {allowed}.",
            )
        members, levels = [corruption], (int(severity),)
    elif name in corruptions:
        members = [name]
    elif name in families:
        members = [member for member in corruptions if family_of(member) == name]
    elif name not in watched:
        cells = [f"{member}/{level}" for member in corruptions for level in severities]
        others = [rule for rule in watched if rule != _MEAN]
        names = cells if severity else [_MEAN, *others, *families, *corruptions]
        unknown = unknown_name("rule", name, names, "ppbench show BASELINE")
        words = wording(protocol)
        example = "fog/3" if "fog/3" in cells else cells[0]
        cell = _CELL.format(words.what.upper(), words.level.upper(), example)
        raise UsageError(unknown.message, f"{unknown.hint}\n{cell}")
    # Weights do not depend on errors.
    flips = protocol.sequences is not None
    baseline = CellErrors("the baseline", {}, None, corruptions, severities, protocol, flips=flips)
    quantity = watched.get(name, watched[_MEAN])
    try:
        weights = quantity.weights(case_of(baseline, corruptions=members, severities=levels))
    except Unavailable:
        weights = {}
    return Rule(name, points, weights, MEAN_ERROR if quantity.of_errors else quantity)
