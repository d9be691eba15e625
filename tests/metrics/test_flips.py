import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppbench.metrics.flips import UNFLIPPED, WRONG_FROM_START, first_flips, flip_shares
from ppbench.metrics.intervals import wilson
from ppbench.metrics.metric import Unavailable
from ppbench.vocabulary import CLEAN
from tests.oracles import by_image as oracle

LEVELS = (1, 2, 3)
IMAGES = {
    # clean, s1, s2, s3
    "stays right": "1111",
    "flips at 1 and stays": "1000",
    "flips at 1 and returns": "1010",
    "flips at 2 and returns": "1101",
    "flips at 3": "1110",
    "wrong from the start": "0111",
}


def bits_of(rows, name="fog"):
    columns = np.array([[letter == "1" for letter in row] for row in rows]).T
    cells = [(CLEAN, 0), *((name, severity) for severity in LEVELS)]
    return dict(zip(cells, columns, strict=True))


def test_an_image_flips_at_the_first_severity_where_it_is_wrong():
    found = first_flips(bits_of(IMAGES.values()), "fog", (3, 1, 2))
    assert found.tolist() == [UNFLIPPED, 1, 1, 2, 3, WRONG_FROM_START]
    assert found.dtype == np.int8


def test_shares_are_of_the_images_that_are_right_without_corruption():
    found = flip_shares(bits_of(IMAGES.values()), ["fog"], LEVELS)
    assert found.n == 5
    assert {level: share.value for level, share in found.first.items()} == {1: 0.4, 2: 0.2, 3: 0.2}
    assert found.never.value == 0.2
    assert found.returned.value == 0.4
    assert tuple(found.first[1]) == pytest.approx(tuple(wilson(2, 5))), "of one corruption it is a plain proportion"


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=20)
def test_means_over_corruptions_are_those_of_plain_loops(seed, count):
    random = np.random.default_rng(seed)
    names = ["fog", "frost", "snow"][:count]
    bits = {(name, level): random.random(40) < 0.6 for name in names for level in LEVELS}
    bits[CLEAN, 0] = random.random(40) < 0.8
    flips, back = [], []
    for name in names:
        levels = [[bool(bits[name, level][image]) for level in LEVELS] for image in range(40)]
        flips += [oracle.first_flip(bool(clean), own) for clean, own in zip(bits[CLEAN, 0], levels, strict=True)]
        back += [oracle.returns(bool(clean), own) for clean, own in zip(bits[CLEAN, 0], levels, strict=True)]
    of = count * int(bits[CLEAN, 0].sum())
    found = flip_shares(bits, names, LEVELS)
    for level in LEVELS:
        assert found.first[level].value == pytest.approx(flips.count(level) / of)
    assert found.never.value == pytest.approx(flips.count("never") / of)
    assert found.returned.value == pytest.approx(sum(back) / of)
    assert sum(share.value for share in (*found.first.values(), found.never)) == pytest.approx(1)


def test_the_images_are_the_sample_and_not_the_cells():
    """Ten corruptions with the same results say no more than one."""
    random = np.random.default_rng(0)
    one = {(name, level): None for name in "abcdefghij" for level in LEVELS}
    levels = {level: random.random(300) < 0.7 for level in LEVELS}
    bits = {(CLEAN, 0): np.ones(300, bool), **{cell: levels[cell[1]] for cell in one}}
    many, single = flip_shares(bits, list("abcdefghij"), LEVELS), flip_shares(bits, ["a"], LEVELS)
    assert tuple(many.never) == pytest.approx(tuple(single.never))


def test_what_is_missing_is_said():
    bits = bits_of(IMAGES.values())
    del bits["fog", 2]
    with pytest.raises(Unavailable, match="the run lacks 1 of 3 cells: fog s2"):
        flip_shares(bits, ["fog"], LEVELS)
    bits = bits_of(["0111", "1111"])
    with pytest.raises(Unavailable, match="1 image is right without corruption"):
        flip_shares(bits, ["fog"], LEVELS)
    del bits[CLEAN, 0]
    with pytest.raises(Unavailable, match="the run lacks the clean images"):
        flip_shares(bits, ["fog"], LEVELS)
