"""The embedded images."""

from __future__ import annotations

import numpy as np

from ppbench.data.arrays import embedded_images


def test_the_embedded_slice_is_stratified_and_unique() -> None:
    images = embedded_images()
    assert images.images.shape == (2000, 28, 28, 1)
    assert np.bincount(images.labels).tolist() == [200] * 10
    assert len(set(images.ids)) == 2000
    assert len(np.unique(images.images.reshape(2000, -1), axis=0)) == 2000


def test_rows_are_loaded_as_they_are() -> None:
    images = embedded_images()
    pixels, broken = images.load(np.array([3, 1999]))
    assert np.array_equal(pixels, images.images[[3, 1999]])
    assert broken == ()
    assert images.cut == "28 px as is"
    assert images.class_names[9] == "Ankle boot"


def test_stamps_follow_the_pixels() -> None:
    images = embedded_images()
    rows = np.array([3, 1999])
    before = images.stamps(rows)
    images.images = images.images.copy()
    images.images[3, 0, 0] += 1
    assert (before != images.stamps(rows)).tolist() == [True, False]


def test_the_fingerprint_sees_one_grey_level_and_one_label() -> None:
    images = embedded_images()
    before = images.fingerprint()
    images.labels[0] += 1
    relabelled = images.fingerprint()
    images.labels[0] -= 1
    images.images = images.images.copy()
    images.images[7, 3, 3] += 1
    assert len({before, relabelled, images.fingerprint()}) == 3
