"""The draws of an image depend on its key, on the pass and on their place in it, and on nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ppbench.corruptions.random import normals
from ppbench.devices import random_states
from ppbench.errors import DataError
from ppbench.evaluation.keyed_draws import KeyedDraws, RandomCall, as_keys, calls_by_image

KEYS = as_keys([11, 2**63 + 5, 13, 17])
SHARED = as_keys([19])
NOISE = RandomCall("aten.randn_like", (3, 4, 5), 1)


def keyed(make: Callable[[], Any], *calls: RandomCall, keys: Tensor = KEYS, number: int = 0) -> Any:
    with torch.inference_mode(), KeyedDraws("net", keys, SHARED, number, calls):
        return make()


def test_draws_are_the_words_of_the_keys_by_place_whatever_the_layout_and_the_type() -> None:
    x = torch.zeros(4, 3, 4, 5)
    found = keyed(lambda: torch.randn_like(x), NOISE)
    assert torch.equal(found, normals(KEYS, 0, 60).view(4, 3, 4, 5))
    last = keyed(lambda: torch.randn_like(x.contiguous(memory_format=torch.channels_last)), NOISE)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, found)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert torch.equal(keyed(lambda dtype=dtype: torch.randn_like(x.to(dtype)), NOISE), found.to(dtype))  # type: ignore[misc]


def test_passes_and_draws_have_streams_of_their_own() -> None:
    calls = (NOISE, RandomCall("aten.randn", (7,), 1))

    def make() -> tuple[Tensor, Tensor]:
        return torch.randn_like(torch.zeros(4, 3, 4, 5)), torch.randn(4, 7)

    assert torch.equal(keyed(make, *calls, number=3)[1], normals(KEYS, 3 * 2**20 + 1, 7))


def test_rows_of_an_image_and_what_all_images_share() -> None:
    windows = RandomCall("aten.rand", (2,), 3)
    assert windows.shape_for(4) == (12, 2)
    whole = keyed(lambda: torch.rand(12, 2), windows)
    assert torch.equal(keyed(lambda: torch.rand(3, 2), windows, keys=KEYS[2:3]), whole[6:9])
    # As many rows as there are images, and yet not theirs: the network's trial passes have shown that.
    weights = RandomCall("aten.rand", (4, 2))
    assert torch.equal(
        keyed(lambda: torch.rand(4, 2), weights), keyed(lambda: torch.rand(4, 2), weights, keys=KEYS[:1])
    )


def test_generators_are_neither_asked_nor_changed() -> None:
    before = random_states(torch.device("cpu"))
    own = torch.Generator().manual_seed(4)
    state = own.get_state()
    found = keyed(lambda: torch.randn(4, 2, generator=own), RandomCall("aten.randn", (2,), 1))
    assert torch.equal(found, normals(KEYS, 0, 2))
    assert torch.equal(own.get_state(), state)
    assert random_states(torch.device("cpu")) == before


@pytest.mark.parametrize(
    "draw",
    [lambda: torch.rand(1), lambda: np.random.rand(), random.random],  # noqa: NPY002
    ids=["torch", "numpy", "python"],
)
def test_a_changed_state_shows_that_something_was_drawn(draw: Callable[[], object]) -> None:
    before = random_states(torch.device("cpu"))
    draw()
    assert random_states(torch.device("cpu")) != before


def test_dropout_inside_attention() -> None:
    queries = torch.ones(4, 2, 3, 8)
    without = F.scaled_dot_product_attention(queries, queries, queries)
    assert torch.equal(keyed(lambda: F.scaled_dot_product_attention(queries, queries, queries)), without)
    with torch.inference_mode(), KeyedDraws("net", KEYS, SHARED, 0) as trial:
        F.scaled_dot_product_attention(queries, queries, queries, dropout_p=0.5)
    (call,) = trial.seen
    assert call.shape == (4, 2, 3, 3)
    call = RandomCall(call.operator, call.shape[1:], 1)

    def attend(count: int) -> Tensor:
        few = queries[:count]
        return keyed(lambda: F.scaled_dot_product_attention(few, few, few, dropout_p=0.5), call, keys=KEYS[:count])  # type: ignore[no-any-return]

    assert not torch.equal(attend(4), without)
    assert torch.equal(attend(4)[:2], attend(2))


@pytest.mark.parametrize("infers", [True, False])
def test_operators_made_of_others_are_looked_into(infers: bool) -> None:
    x = torch.ones(4, 6)
    with torch.inference_mode(infers), KeyedDraws("net", KEYS, SHARED, 0) as trial:
        F.alpha_dropout(x, 0.5, training=True)
        F.gumbel_softmax(x)
        torch.nn.functional.rrelu(x, training=False)
    assert [call.shape for call in trial.seen] == [(4, 6), (4, 6)]
    assert [call.operator for call in trial.seen] == ["aten.bernoulli_", "aten.exponential_"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.multinomial(torch.ones(4, 3), 1), r"net draws by aten\.multinomial, which --passes cannot key"),
        (lambda: torch.empty(4).cauchy_(), r"aten\.cauchy_"),
        (lambda: torch.randn(4, dtype=torch.complex64), r"aten\.randn.* for torch\.complex64"),
        (lambda: torch.randint(0, 2**40, (4,)), r"aten\.randint.* from 0 to 1099511627776"),
    ],
)
def test_other_operators_are_refused_by_name(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message), KeyedDraws("net", KEYS, SHARED, 0):
        make()


def call(*shape: int, operator: str = "aten.randn") -> RandomCall:
    return RandomCall(operator, shape)


def test_what_grows_with_the_images_is_theirs() -> None:
    found = calls_by_image(
        "net", [call(2, 5), call(6, 1), call(2, 2), call()], [call(3, 5), call(9, 1), call(2, 2), call()]
    )
    assert [(one.shape, one.rows) for one in found] == [((5,), 1), ((1,), 3), ((2, 2), 0), ((), 0)]


@pytest.mark.parametrize(
    ("two", "three", "message"),
    [
        ([call(5, 2)], [call(5, 3)], r"draws \(5, 2\) by aten\.randn for 2 images and \(5, 3\) for 3"),
        ([call(3, 4)], [call(4, 4)], "first axis is not that of the images"),
        ([call(2)], [call(3), call(3)], "number or order changes with the number of images"),
        ([call(2)], [call(3, operator="aten.rand")], "number or order changes"),
    ],
)
def test_draws_with_the_images_elsewhere_are_refused(
    two: list[RandomCall], three: list[RandomCall], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        calls_by_image("net", two, three)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.randn(4, 8), r"this time \(4, 8\) by aten\.randn was drawn, before \(4, 7\) by aten\.randn"),
        (lambda: (torch.randn(4, 7), torch.randn(4, 7)), "before nothing"),
    ],
)
def test_draws_that_depend_on_the_batch_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        keyed(make, RandomCall("aten.randn", (7,), 1))


def test_fewer_draws_than_expected_are_refused() -> None:
    draws = KeyedDraws("net", KEYS, SHARED, 0, [NOISE])
    with pytest.raises(DataError, match="this time there were 0 draws, not 1"):
        draws.check_complete()
