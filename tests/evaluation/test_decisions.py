"""Seeded simulations of ``--until-decided``: how often it decides wrongly, and after how many images."""

import pytest

from tests.evaluation.simulate import decisions

TOLERATED = 2.0


@pytest.fixture(scope="module")
def by_drop():
    return {drop: decisions(runs, drop, TOLERATED) for drop, runs in ((0.0, 120), (TOLERATED, 200), (4.0, 120))}


def test_a_model_as_good_as_its_baseline_is_let_pass_after_part_of_the_images(by_drop):
    assert by_drop[0.0].within >= 0.95
    assert by_drop[0.0].beyond <= 0.01
    assert 300 < by_drop[0.0].images < 1000


def test_twice_the_drop_that_is_tolerated_is_found_after_part_of_the_images(by_drop):
    assert by_drop[4.0].beyond >= 0.95
    assert by_drop[4.0].within <= 0.01
    assert 300 < by_drop[4.0].images < 1000


def test_at_just_the_drop_that_is_tolerated_it_keeps_looking(by_drop):
    found = by_drop[TOLERATED]
    assert found.beyond <= 0.025, "wrong: the drop is tolerated"
    assert found.within + found.beyond <= 0.05, "and either decision says that the interval missed"
    assert found.images > 2400


def test_few_images_decide_what_they_can():
    """Of 500 images, 4 points are 8 standard errors: it does not wait for the thousands that half a point takes."""
    found = decisions(60, 4.0, 0.5, images=500)
    assert found.beyond >= 0.95
    assert found.images < 450
    none = decisions(200, 0.5, 0.5, images=500)
    assert none.beyond <= 0.025, "and what is tolerated is not found"
