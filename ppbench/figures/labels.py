"""On which side of its point a label has room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple


class _Box(NamedTuple):
    left: float
    right: float
    middle: float

    def overlaps(self, other: _Box, height: float) -> bool:
        apart = abs(self.middle - other.middle) >= height
        return not apart and self.left < other.right and other.left < self.right


def label_sides(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    height: float,
    ends: tuple[float, float],
    others: Sequence[tuple[float, float]] = (),
) -> list[Literal["left", "right"] | None]:
    """Choose a side for each label, so that no two of them overlap.

    Args:
        points: Places ``(x, y)`` in any unit.
        widths: Widths of the labels in the same unit, with their distance from the point.
        height: Height of a line, which is also the width of a marker.
        ends: Between these a label must stay.
        others: Places of markers without a label.

    Returns:
        By label: the side, or None where neither has room.
    """
    marks = [_Box(x - height / 2, x + height / 2, y) for x, y in (*points, *others)]
    taken: list[_Box] = []
    sides: list[Literal["left", "right"] | None] = []
    for number, ((x, y), width) in enumerate(zip(points, widths, strict=True)):
        obstacles = [*taken, *(mark for place, mark in enumerate(marks) if place != number)]
        boxes: dict[Literal["left", "right"], _Box] = {"right": _Box(x, x + width, y), "left": _Box(x - width, x, y)}
        free = [
            side
            for side, box in boxes.items()
            if ends[0] <= box.left and box.right <= ends[1] and not any(box.overlaps(one, height) for one in obstacles)
        ]
        sides.append(free[0] if free else None)
        if free:
            taken.append(boxes[free[0]])
    return sides
