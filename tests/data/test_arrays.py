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


def test_taking_keeps_ids_labels_and_pixels_together() -> None:
    images = embedded_images()
    part = images.take(np.array([3, 1999]))
    assert part.ids == [images.ids[3], images.ids[1999]]
    assert np.array_equal(part.load(np.array([1])), images.images[[1999]])
    assert part.labels.tolist() == images.labels[[3, 1999]].tolist()


def test_the_fingerprint_sees_one_grey_level_and_one_label() -> None:
    images = embedded_images()
    before = images.fingerprint()
    images.labels[0] += 1
    relabelled = images.fingerprint()
    images.labels[0] -= 1
    images.images = images.images.copy()
    images.images[7, 3, 3] += 1
    assert len({before, relabelled, images.fingerprint()}) == 3
