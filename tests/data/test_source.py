"""Subsets: seeded, stratified, nested, and independent of the order of the images."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ppbench.data.source import ids_hash, stratified_subset


def world(sizes: list[int]) -> tuple[list[str], NDArray[np.int64]]:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return [f"{label}/{place}" for place, label in enumerate(labels)], labels


class_sizes = st.lists(st.integers(1, 30), min_size=1, max_size=6)


@given(class_sizes, st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_smaller_subsets_lie_inside_larger_ones(sizes: list[int], one: int, other: int, seed: int) -> None:
    ids, labels = world(sizes)
    small, large = (set(stratified_subset(ids, labels, n, seed).tolist()) for n in sorted((one, other)))
    assert small <= large
    assert len(small) == min(min(one, other), len(ids))


@given(class_sizes, st.integers(1, 100), st.integers(0, 5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_class_gets_its_share_within_one_image(sizes: list[int], limit: int, seed: int) -> None:
    ids, labels = world(sizes)
    chosen = np.bincount(labels[stratified_subset(ids, labels, limit, seed)], minlength=len(sizes))
    share = min(limit, len(ids)) / len(ids) * np.array(sizes)
    assert np.abs(chosen - share).max() <= 1


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_choice_follows_the_ids_not_their_order(seed: int) -> None:
    ids, labels = world([7, 12, 5])
    shuffled = np.random.default_rng(seed).permutation(len(ids))
    chosen = {ids[i] for i in stratified_subset(ids, labels, 10, seed)}
    again = stratified_subset([ids[i] for i in shuffled], labels[shuffled], 10, seed)
    assert chosen == {ids[shuffled[i]] for i in again}


def test_another_seed_is_another_subset_in_ascending_order() -> None:
    ids, labels = world([50, 50])
    first, second = (stratified_subset(ids, labels, 20, seed) for seed in (0, 1))
    assert first.tolist() == sorted(first.tolist())
    assert set(first.tolist()) != set(second.tolist())


def test_labels_need_not_be_dense() -> None:
    chosen = stratified_subset(["a", "b", "c"], np.array([5, 5, 9]), 2, 0)
    assert len(chosen) == 2


def test_ids_hash_depends_on_the_order() -> None:
    assert ids_hash(["a", "b"]) != ids_hash(["b", "a"])
    assert ids_hash(["a", "b"]) == ids_hash(["a", "b"])
