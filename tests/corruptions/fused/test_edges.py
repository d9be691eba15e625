"""Fused edges and distances, run by Triton's interpreter, against the torch functions and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from ppbench.corruptions import fused, spatter


def levels_of(height: int, width: int) -> np.ndarray:
    """Drops, and steps that meet at corners."""
    rng = np.random.default_rng(0)
    liquid = cv2.GaussianBlur(0.65 + 0.3 * rng.standard_normal((height, width)), (0, 0), 1.5)
    steps = np.kron(rng.integers(0, 5, (height, width)), np.ones((4, 5)))[:height, :width] * 20
    return np.array([np.where(liquid > 0.66, liquid * 255, 0), steps]).astype(np.uint8)


@pytest.mark.parametrize(("height", "width", "count"), [(14, 23, 2), (8, 9, 1)])
def test_edges_and_distances_are_those_of_the_definition(height: int, width: int, count: int) -> None:
    levels = torch.from_numpy(levels_of(height, width))[:count]
    found = spatter.edges(levels)
    distances = spatter.distances(found)
    with fused.interpreted():
        assert torch.equal(spatter.edges(levels), found)
        assert torch.equal(spatter.distances(found), distances)


def test_a_weak_ridge_that_winds_through_the_image_hangs_on_its_strong_end() -> None:
    """A dark snake of four bars, joined at alternate ends. Without the bright end it has no edge."""
    snake = np.zeros((28, 16), np.uint8)
    for bar in range(4):
        snake[7 * bar + 1 : 7 * bar + 4, 1:15] = 18
    for bar, left in enumerate((11, 1, 11)):
        snake[7 * bar + 1 : 7 * bar + 11, left : left + 4] = 18
    assert not cv2.Canny(snake, 50, 150).any()
    snake[22:25, :5] = 60
    expected = cv2.Canny(snake, 50, 150) > 0
    assert expected[:5].any()
    with fused.interpreted():
        assert np.array_equal(spatter.edges(torch.from_numpy(snake)[None])[0], expected)


def test_far_from_all_edges_distances_end() -> None:
    edges = torch.zeros(1, 6, 40, dtype=torch.bool)
    edges[0, 3, 0] = True
    expected = spatter.distances(edges)
    assert expected.max() == spatter.FARTHEST * spatter.STEPS[1]
    with fused.interpreted():
        assert torch.equal(spatter.distances(edges), expected)
        assert spatter.distances(edges[:0]).shape == (0, 6, 40)
