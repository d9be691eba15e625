"""The walk: against every way between two corruptions, and what its points are."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from ppbench.errors import DataError, UsageError
from ppbench.streams.calibration import Calibration
from ppbench.streams.walk import QUARTERS, STREAM_LEVELS, StreamName, Walk, parse_stream, steps_between
from ppbench.vocabulary import C15
from tests.streams.calibrations import falling


def all_ways(start: int, end: int) -> list[list[tuple[int, int]]]:
    """Every order of lowering the first ``start`` times and raising the second ``end`` times."""
    found = []
    for moves in set(permutations("l" * start + "r" * end)):
        first, second, way = start, 0, [(start, 0)]
        for move in moves:
            first, second = (first - 1, second) if move == "l" else (first, second + 1)
            way.append((first, second))
        found.append(way)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_no_way_stays_nearer_to_the_baseline(seed: int) -> None:
    draw = np.random.default_rng(seed)
    table = draw.random((QUARTERS, QUARTERS))
    table[:, 0], table[0] = 0.9, 0.9
    table[3, 0], table[0, 4] = 0.41, 0.4  # the ends
    way = steps_between(table, 0.4)

    def cost(way: list[tuple[int, int]]) -> float:
        return sum(float(table[step] - 0.4) ** 2 for step in way)

    assert (way[0], way[-1], len(way)) == ((3, 0), (0, 4), 8)
    assert cost(way) == pytest.approx(min(map(cost, all_ways(3, 4))))


@pytest.mark.parametrize("level", list(STREAM_LEVELS))
def test_points_follow_each_other_by_a_quarter(level: str) -> None:
    walk = Walk(level, 43, falling())
    points = walk.points(300)
    names = STREAM_LEVELS[level].corruptions
    for one, other in pairwise(points):
        if (one.first, one.second) == (other.first, other.second):
            steps = (one.first_severity - other.first_severity, other.second_severity - one.second_severity)
            assert steps in ((0.25, 0), (0, 0.25))
        else:
            assert one.first_severity == 0
            assert other.second_severity == 0
            assert other.first == one.second
            assert other.first_severity == one.second_severity  # single accuracies are the same in both tables
            assert other.second != other.first
    assert {point.first for point in Walk(level, 43, falling()).points(4000)} == set(names)


def test_accuracy_stays_at_the_baseline() -> None:
    calibration = falling()
    for point in Walk("medium", 44, calibration).points(400):
        table = calibration.table(point.first, point.second)
        accuracy = table[int(4 * point.first_severity), int(4 * point.second_severity)]
        assert accuracy == pytest.approx(0.2, abs=0.045)


def test_levels_have_the_papers_corruptions() -> None:
    assert set(C15) - set(STREAM_LEVELS["easy"].corruptions) == {"brightness"}
    assert set(STREAM_LEVELS["easy"].corruptions) - set(STREAM_LEVELS["medium"].corruptions) == {"jpeg_compression"}
    assert STREAM_LEVELS["hard"].corruptions == ("gaussian_noise", "shot_noise", "impulse_noise", "contrast")
    assert [level.baseline for level in STREAM_LEVELS.values()] == [0.4, 0.2, 0.0]


def test_a_seed_is_a_walk_and_the_same_one_again() -> None:
    assert Walk("easy", 43, falling()).points(200) == Walk("easy", 43, falling()).points(200)
    assert Walk("easy", 44, falling()).points(200) != Walk("easy", 43, falling()).points(200)
    late = Walk("easy", 43, falling())
    assert late.point(150) == Walk("easy", 43, falling()).points(200)[150]


def test_a_walk_needs_the_accuracies_of_its_level() -> None:
    known = falling().singles
    Walk("hard", 0, Calibration(singles={name: known[name] for name in STREAM_LEVELS["hard"].corruptions}))
    with pytest.raises(DataError, match="lacks accuracies of") as caught:
        Walk("easy", 0, Calibration(singles={name: known[name] for name in STREAM_LEVELS["hard"].corruptions}))
    assert "ppbench calibrate" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ccc", ("medium", 1000)), ("ccc:easy", ("easy", 1000)), ("ccc:hard:2000", ("hard", 2000))],
)
def test_streams_are_parsed(text: str, expected: tuple[str, int]) -> None:
    assert parse_stream(text) == StreamName(*expected)


@pytest.mark.parametrize("text", ["ccd", "ccc:", "ccc:heavy", "ccc:easy:0", "ccc:easy:x", "ccc:easy:1:2", ""])
def test_other_streams_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_stream(text)


def test_a_walk_begins_where_the_one_before_it_ended() -> None:
    """Both have the corruption alone: at one severity if the tables say the same of it alone, else each at its own."""
    names, draw = STREAM_LEVELS["hard"].corruptions, np.random.default_rng(3)
    calibration = Calibration({pair: draw.random((QUARTERS, QUARTERS)) for pair in permutations(names, 2)})
    turns = [pair for pair in pairwise(Walk("hard", 1, calibration).points(900)) if pair[0].second == pair[1].first]
    assert len(turns) > 10
    for end, start in turns:
        assert (end.first_severity, start.second_severity) == (0, 0)
        alone = calibration.table(end.first, end.second)[0], calibration.table(start.first, start.second)[:, 0]
        nearest = [(1 + int(np.argmin(table[1:]))) / 4 for table in alone]  # to the baseline, 0
        assert [end.second_severity, start.first_severity] == nearest
    assert any(end.second_severity != start.first_severity for end, start in turns)


def test_points_before_the_first_are_refused() -> None:
    walk = Walk("easy", 43, falling())
    for _ in range(2):
        with pytest.raises(UsageError, match="point -1 of a stream is not allowed"):
            walk.point(-1)
        walk.points(50)
