"""Stars."""

from __future__ import annotations

import numpy as np
import pytest

from ppbench.corruptions.apply import corrupt
from ppbench.errors import UsageError
from tests.corruptions.bar.fidelity import check, photograph


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("sparkles", "imagenet-c-bar"),
        ("sparkles", "cifar-c-bar"),
        ("inverse_sparkles", "imagenet-c-bar"),
        ("inverse_sparkles", "cifar-c-bar"),
    ],
)
def test_the_engine_does_what_the_reference_does(name: str, recipe: str) -> None:
    check(name, recipe)


def test_sparkles_lighten_and_inverse_sparkles_keep_their_middle() -> None:
    image = photograph(32)
    assert (corrupt(image, "sparkles", 3) >= image).all()
    draws = {"centre": [[16.0, 16.0]], "rays": [60], "ray_noise": np.zeros((1, 60))}
    made = corrupt(image, "inverse_sparkles", 5, draws=draws)
    assert np.array_equal(made[14:19, 14:19], image[14:19, 14:19])
    assert made[0].mean() > 200


def test_rays_need_a_length_each() -> None:
    with pytest.raises(UsageError, match="draw 'ray_noise' has shape"):
        corrupt(photograph(32), "inverse_sparkles", 1, draws={"rays": [60], "ray_noise": np.zeros((1, 59))})
    with pytest.raises(UsageError, match="draw 'rays' has values"):
        corrupt(photograph(32), "inverse_sparkles", 1, draws={"rays": [200]})
