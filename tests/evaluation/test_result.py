"""What an evaluation gives back of images that could not be read."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.data.source import Broken
from ppbench.errors import DataError
from ppbench.evaluation.result import EvalResult
from ppbench.evaluation.tally import Scored


def result(broken: int, images: int = 10) -> EvalResult:
    readable = np.arange(images) >= broken
    reasons = [Broken(place, f"{place}.png is empty", "Replace it") for place in range(broken)]
    return EvalResult.of([], Scored([], None, 1.0, readable if broken else None, unreadable=reasons), images)


def test_all_images_readable_is_no_error() -> None:
    result(0).refuse_unreadable(skip=False)
    assert result(0).unreadable is None


def test_up_to_half_of_the_images_may_be_skipped() -> None:
    result(5).refuse_unreadable(skip=True)
    with pytest.raises(DataError, match="5 of 10 images could not be read; the result is of the other 5") as caught:
        result(5).refuse_unreadable(skip=False)
    assert "`--skip-unreadable` takes the result as it is" in caught.value.hint
    with pytest.raises(DataError, match="6 of 10 images") as caught:
        result(6).refuse_unreadable(skip=True)
    assert "--skip-unreadable" not in caught.value.hint


def test_the_first_twenty_are_named() -> None:
    error = result(25, 100).unreadable
    assert error is not None
    assert "19.png is empty. Replace it" in error.hint
    assert "20.png" not in error.hint
    assert "and 5 more" in error.hint
    none = result(3, 3).unreadable
    assert none is not None
    assert "none is left to measure" in none.message
