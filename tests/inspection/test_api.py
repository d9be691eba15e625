"""What an inspection holds, and how two of them differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from torch import nn

from ppbench.errors import UsageError
from ppbench.inspection.api import SHOWN, differences, inspect_model
from ppbench.inspection.selectivity import INDICES
from tests.inspection.layers import Net, card, inspection
from tests.inspection.recorded import FILE, computed


def test_filters_are_shown_whose_weights_vary_most_or_those_asked_for() -> None:
    one = inspection(filters=9)
    spread = one.layer.push_kernels().flatten(1).std(1, correction=0)
    assert set(one.filters) == set(spread.topk(SHOWN).indices.tolist())
    net = Net((nn.Conv2d(1, 3, 3),), 3)
    assert inspect_model("net", net, card(), filters=(2, 0), draws=16).filters == (2, 0)
    with pytest.raises(UsageError, match="--filters 3 is not allowed"):
        inspect_model("net", net, card(), filters=(3,), draws=16)
    with pytest.raises(UsageError, match="--draws 15 is not allowed"):
        inspect_model("net", net, card(), draws=15)


def test_only_the_differences_within_a_network_are_paired() -> None:
    one, other = inspection(), inspection(push_pull=False)
    assert differences(other) == []
    within = differences(one)
    assert [(d.index, d.point, d.minus_point, d.paired) for d in within] == [
        (name, "layer", "push", True) for name in INDICES
    ]
    between = differences(one, other)[3:]
    assert [(d.point, d.minus_point) for d in between] == [("layer", "layer")] * 3 + [("norm", "norm")] * 3
    assert not any(d.paired for d in between)


def test_the_embedded_networks_have_the_recorded_numbers() -> None:
    expected = json.loads(FILE.read_text())
    assert_close(json.loads(json.dumps(computed())), expected)


def assert_close(found: Any, expected: Any) -> None:
    """Everything is the same but for the last digits of numbers, which differ from one machine to the next."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_close(found[key], value)
    elif isinstance(expected, list):
        for one, value in zip(found, expected, strict=True):
            assert_close(one, value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-4, rel=1e-4)
    else:
        assert found == expected
