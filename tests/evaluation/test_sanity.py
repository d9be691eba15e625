"""Noticing that nothing is measured, and not crying wolf."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.evaluation.sanity import PROBE, Plausibility, doubtful, mildest
from ppbench.evaluation.tally import Piece, Tally


def tally(right: int, n: int, images: int = 10_000) -> Tally:
    made = Tally([("clean", 0), ("fog", 5)], images)
    made.add(Piece(("clean", 0), np.arange(n), np.arange(n) < right, None))
    return made


@pytest.mark.parametrize(
    ("classes", "right", "n"),
    [(1000, 0, PROBE), (1000, 1, 1000), (10, 25, PROBE), (10, 1800, 10_000), (2, 128, PROBE), (2, 6000, 10_000)],
)
def test_guessing_is_noticed(classes: int, right: int, n: int) -> None:
    with pytest.raises(DataError, match="labels probably permuted or preprocessing wrong") as caught:
        Plausibility(classes, off=False).check("net", tally(right, n))
    assert "--force" in caught.value.hint
    Plausibility(classes, off=True).check("net", tally(right, n))


@pytest.mark.parametrize(
    ("classes", "right", "n"), [(1000, 100, PROBE), (10, 60, PROBE), (2, 230, PROBE), (1, 0, PROBE), (1000, 0, 255)]
)
def test_a_model_that_knows_something_passes(classes: int, right: int, n: int) -> None:
    Plausibility(classes, off=False).check("net", tally(right, n))


def test_a_handful_of_images_proves_nothing() -> None:
    Plausibility(10, off=False).check("net", tally(2, 20, images=20))
    with pytest.raises(DataError):
        Plausibility(10, off=False).check("net", tally(0, 60, images=60))


def test_the_mildest_cell() -> None:
    assert mildest([("clean", 0), ("fog", 1), ("brightness", 1)]) == ("clean", 0)
    assert mildest([("fog", 3), ("brightness", 3), ("brightness", 2), ("fog", 2)]) == ("brightness", 2)
    assert mildest([("perlin_noise", 4), ("perlin_noise", 5)]) == ("perlin_noise", 4)


def test_what_is_not_sure_is_warned_of_at_the_end() -> None:
    assert doubtful(tally(4, 40, images=40), 10) is not None
    assert "right on 4 of 40 clean images (10 %). Chance is 10 %, and at least 20 % was expected" in str(
        doubtful(tally(4, 40, images=40), 10)
    )
    assert doubtful(tally(9, 40, images=40), 10) is None
