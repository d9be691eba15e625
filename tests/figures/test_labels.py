from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ppbench.figures.labels import label_sides

PLACES = st.tuples(st.integers(0, 100), st.integers(0, 40))


def test_a_label_is_on_the_right_unless_that_is_taken() -> None:
    assert label_sides([(10, 5)], [30], 10, (0, 100)) == ["right"]
    assert label_sides([(80, 5)], [30], 10, (0, 100)) == ["left"]
    assert label_sides([(50, 5), (60, 5)], [30, 30], 10, (0, 100)) == ["left", "right"]
    assert label_sides([(50, 5)], [30], 10, (0, 100), others=[(60, 5)]) == ["left"]
    assert label_sides([(50, 5)], [70], 10, (0, 100)) == [None]


@given(st.lists(st.tuples(PLACES, st.integers(5, 50)), max_size=12))
def test_no_two_labels_overlap(labels: list[tuple[tuple[int, int], int]]) -> None:
    points, widths = [place for place, _ in labels], [width for _, width in labels]
    sides = label_sides(points, widths, 10, (0, 100))
    boxes = [
        (x if side == "right" else x - width, x + width if side == "right" else x, y)
        for (x, y), width, side in zip(points, widths, sides, strict=True)
        if side
    ]
    for number, (left, right, y) in enumerate(boxes):
        assert left >= 0
        assert right <= 100
        for other_left, other_right, other_y in boxes[:number]:
            assert abs(y - other_y) >= 10 or left >= other_right or other_left >= right
