import pytest

from ppbench.metrics.metric import Metric, Unavailable, metric, require_cells

GRID = [("fog", severity) for severity in range(1, 6)]


def test_a_metric_has_its_value_or_the_reason_why_there_is_none():
    assert metric("mCE", "mCE[x]", "%", lambda: 2.0) == Metric("mCE", "mCE[x]", 2.0, "%")

    def nothing() -> float:
        raise Unavailable("no cells")

    assert metric("mCE", "mCE[x]", "%", nothing) == Metric("mCE", "mCE[x]", None, "%", "no cells")


@pytest.mark.parametrize(
    ("present", "cells", "reason"),
    [
        (GRID[:4], GRID, "net lacks 1 of 5 cells: fog s5"),
        (GRID[:1], GRID, "net lacks 4 of 5 cells: fog s2, fog s3, fog s4, …"),
        ([], GRID[2:3], "net lacks the cell fog s3"),
        ([], [("clean", 0)], "net lacks the clean images"),
        (GRID, [], "net has no corrupted cells"),
    ],
)
def test_cells_that_a_mean_lacks_are_named(present, cells, reason):
    with pytest.raises(Unavailable) as error:
        require_cells(present, cells, "net")
    assert str(error.value) == reason


def test_with_all_cells_nothing_is_said():
    require_cells(dict.fromkeys(GRID), GRID[1:])
