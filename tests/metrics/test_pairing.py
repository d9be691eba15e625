import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ppbench.metrics.pairing import shared_images

KEYS = st.lists(st.integers(0, 40), unique=True).map(lambda keys: np.array(keys, np.uint64))


@given(KEYS, KEYS)
def test_the_places_are_of_the_same_images_whichever_side_is_first(one, other):
    shared = shared_images(one, other)
    assert one[shared.one].tolist() == sorted({*one.tolist()} & {*other.tolist()})
    assert other[shared.other].tolist() == one[shared.one].tolist()
    turned = shared_images(other, one)
    assert (turned.one.tolist(), turned.other.tolist()) == (shared.other.tolist(), shared.one.tolist())


def test_nothing_is_known_without_keys():
    assert shared_images(None, np.arange(3, dtype=np.uint64)) is None
    assert shared_images(np.arange(3, dtype=np.uint64), None) is None
