"""What a progress display says of speed and time."""

from __future__ import annotations

import pytest

from ppbench.cli import output, progress
from ppbench.cli.progress import Pace


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_leaves_out_what_was_reused_and_loading() -> None:
    clock = Clock()
    pace = Pace(10_000, 0, clock=clock)
    pace.add(5_000, reused=True)
    assert pace.describe() == "elapsed 0:00:00"
    clock.now += 60  # loading
    pace.add(100)
    assert pace.describe() == "elapsed 0:01:00"
    for _ in range(5):
        clock.now += 1
        pace.add(40)
    assert pace.describe() == "40 images/s, elapsed 0:01:05 · left about 0:01:58"  # 4,700 images


def test_the_rate_is_of_the_last_half_minute() -> None:
    clock = Clock()
    pace = Pace(1_000_000, 0, clock=clock)
    for second in range(100):
        clock.now += 1
        pace.add(1000 if second < 50 else 10)
    assert pace.speed() == pytest.approx(10)


def test_at_the_end_nothing_is_left_and_the_rate_is_of_the_whole() -> None:
    clock = Clock()
    pace = Pace(100, 60, clock=clock)
    clock.now += 4
    pace.add(40)
    assert pace.describe() == "10 images/s, elapsed 0:00:04"


def test_where_all_was_reused_there_is_no_rate() -> None:
    clock = Clock()
    pace = Pace(33, 0, clock=clock)
    pace.add(33, reused=True)
    clock.now += 5
    assert pace.describe() == "elapsed 0:00:05"


def test_lines_tell_no_rate_of_reused_images(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(), []
    monkeypatch.setattr(progress.time, "monotonic", clock)
    monkeypatch.setattr(output, "say", said.append)
    with progress.progress(76_000) as advance:
        advance(41_800, "", reused=True)
        clock.now += 11
        advance(64, "fog 1")
        clock.now += 11
        advance(110, "fog 2")
    assert said == [
        "41,864 of 76,000 images, elapsed 0:00:11, fog 1",
        "41,974 of 76,000 images, 10 images/s, elapsed 0:00:22 · left about 0:56:43, fog 2",
    ]
