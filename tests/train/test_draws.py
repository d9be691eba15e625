"""Random numbers of an epoch: they follow from (seed, epoch, image) alone."""

from __future__ import annotations

import torch

from ppbench.train.draws import draw_epoch, key_of


def test_draws_follow_from_seed_and_epoch_alone() -> None:
    first = draw_epoch(1, 4, 50)
    torch.manual_seed(123)
    again = draw_epoch(1, 4, 50)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (draw_epoch(1, 5, 50), draw_epoch(2, 4, 50)):
        assert all(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_global_generator_is_left_as_it_is() -> None:
    before = torch.get_rng_state()
    draw_epoch(0, 0, 10)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_have_their_ranges() -> None:
    draws = draw_epoch(0, 0, 4000)
    assert sorted(draws.order.tolist()) == list(range(4000))
    assert 0 <= float(draws.place.min()) < 0.01
    assert 0.99 < float(draws.place.max()) < 1
    assert 1800 < int(draws.mirrored.sum()) < 2200
    assert draws.keys.shape == (4000, 2)
    assert int(draws.keys.min()) >= 0
    assert len(draws.keys.unique()) == 8000


def test_keys_tell_what_they_are_for() -> None:
    keys = {key_of("epoch", 1, 23), key_of("epoch", 12, 3), key_of("batch", 1, 23), key_of("epoch", 1, 24)}
    assert len(keys) == 4
    assert all(0 <= key < 2**63 for key in keys)
