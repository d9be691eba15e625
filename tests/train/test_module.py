"""The Jensen-Shannon loss against its definition, in plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ppbench.train.module import jensen_shannon_loss


def logits(count: int = 6, classes: int = 5, seed: int = 0, scale: float = 3.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn((count, classes), generator=generator) for _ in range(3)]


LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(value - max(row)) for value in row]
    return [power / sum(powers) for power in powers]


def plain(views: list[Tensor], labels: Tensor, weight: float) -> float:
    """Cross entropy of the first view plus the weighted mean divergence, image by image, class by class."""
    cross_entropy = divergence = 0.0
    for index, label in enumerate(labels.tolist()):
        distributions = [softmax(view[index].tolist()) for view in views]
        cross_entropy -= math.log(distributions[0][label])
        average = [sum(values) / 3 for values in zip(*distributions, strict=True)]
        for distribution in distributions:
            divergence += sum(p * math.log(p / q) for p, q in zip(distribution, average, strict=True)) / 3
    return (cross_entropy + weight * divergence) / len(labels)


@pytest.mark.parametrize("weight", [0.0, 1.0, 12.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_matches_its_definition(weight: float, seed: int) -> None:
    views = logits(seed=seed)
    assert jensen_shannon_loss(*views, LABELS, weight).item() == pytest.approx(plain(views, LABELS, weight), rel=1e-5)


def test_the_default_weight_is_twelve() -> None:
    views = logits()
    assert jensen_shannon_loss(*views, LABELS) == jensen_shannon_loss(*views, LABELS, 12.0)


def test_equal_predictions_cost_the_cross_entropy_only() -> None:
    view = logits()[0]
    loss = jensen_shannon_loss(view, view.clone(), view + 7, LABELS)  # softmax does not see a constant
    assert loss.item() == pytest.approx(F.cross_entropy(view, LABELS).item(), abs=1e-5)


def test_the_augmented_views_can_be_swapped() -> None:
    clean, first, second = logits()
    expected = jensen_shannon_loss(clean, first, second, LABELS)
    assert torch.allclose(jensen_shannon_loss(clean, second, first, LABELS), expected)


@given(seed=st.integers(0, 1000), scale=st.floats(0, 50))
@settings(max_examples=30, deadline=None)
def test_the_divergence_is_between_zero_and_log_three(seed: int, scale: float) -> None:
    views = logits(seed=seed, scale=scale)
    cross_entropy = F.cross_entropy(views[0], LABELS)
    divergence = (jensen_shannon_loss(*views, LABELS, 1.0) - cross_entropy).item()
    assert -1e-4 <= divergence <= math.log(3) + 1e-4


def test_gradients_are_those_of_finite_differences() -> None:
    views = [view.double().requires_grad_() for view in logits(count=3)]
    loss = jensen_shannon_loss(*views, LABELS[:3])
    loss.backward()
    step = 1e-2
    for view in views:
        for place in ((0, 0), (1, 3), (2, 4)):
            sides = []
            for sign in (1, -1):
                moved = [other.detach().clone() for other in views]
                moved[next(i for i, other in enumerate(views) if other is view)][place] += sign * step
                sides.append(plain(moved, LABELS[:3], 12.0))
            assert view.grad is not None
            assert view.grad[place].item() == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=2e-2, abs=1e-3)


def test_certain_and_opposite_predictions_stay_finite() -> None:
    certain = 1000 * torch.eye(3)[[0, 1, 2]]
    views = [certain.roll(shift, 1).requires_grad_() for shift in range(3)]
    loss = jensen_shannon_loss(*views, torch.arange(3))
    loss.backward()
    assert loss.item() == pytest.approx(12 * math.log(3), rel=1e-4)
    assert all(view.grad is not None and bool(view.grad.isfinite().all()) for view in views)


def test_half_precision_logits_are_compared_in_single() -> None:
    views = logits()
    halves = [view.bfloat16() for view in views]
    exact = jensen_shannon_loss(*[half.float() for half in halves], LABELS)
    assert jensen_shannon_loss(*halves, LABELS) == exact
