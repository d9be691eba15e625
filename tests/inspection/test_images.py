"""Images as the network sees them, clean and corrupted, and what corruption does to the responses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ppbench.corruptions.apply import corrupt
from ppbench.errors import DataError
from ppbench.inspection.images import example_images, load_images, look_at
from tests.inspection.layers import card, plain, push_pull


def photo(path: Path, width: int = 60, height: int = 40) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(("channels", "shape"), [(1, (32, 32, 1)), (3, (32, 32, 3))])
def test_images_are_cut_to_the_network_s_size_and_colours(
    tmp_path: Path, channels: int, shape: tuple[int, ...]
) -> None:
    ((name, pixels),) = load_images([photo(tmp_path / "a.png")], card(channels, 32))
    assert name == str(tmp_path / "a.png")
    assert pixels.shape == shape
    assert pixels.dtype == np.uint8


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"cannot read the image .*a\.png: it is not an image"):
        load_images([tmp_path / "a.png"], card())
    with pytest.raises(DataError, match=r"there is no image .*b\.png"):
        load_images([tmp_path / "b.png"], card())


def test_examples_are_for_networks_that_were_trained_on_such() -> None:
    examples = example_images(card(trained_on="fashion-mnist"))
    assert len(examples) == 2
    assert all(pixels.shape == (28, 28, 1) for _, pixels in examples)
    assert example_images(card()) == []
    assert example_images(card(3, trained_on="fashion-mnist")) == []


def test_the_picture_holds_the_image_corrupted_by_the_recipe_for_its_size() -> None:
    name, image = example_images(card(trained_on="fashion-mnist"))[0]
    picture = look_at(plain(torch.ones(1, 1, 1, 1)), card(), name, image, corruption="fog", severity=2, seed=4)
    assert picture.recipe == "cifar-c"
    expected = corrupt(image[None], "fog", 2, recipe="cifar-c", seed=4, ids=[name])[0]
    np.testing.assert_array_equal(picture.corrupted, expected)
    for which, pixels in enumerate((image, expected)):
        np.testing.assert_allclose(picture.responses.output[which, 0], (pixels[..., 0] / 255 - 0.4) / 0.3, atol=1e-5)


def test_the_change_is_the_relative_distance_of_the_responses() -> None:
    name, image = example_images(card(trained_on="fashion-mnist"))[1]
    kernels = torch.randn(5, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    picture = look_at(push_pull(kernels), card(), name, image, corruption="gaussian_noise", severity=3)
    change = picture.change()
    for part in ("push", "pull", "output"):
        clean, corrupted = getattr(picture.responses, part).double().numpy()
        expected = np.sqrt(((clean - corrupted) ** 2).sum() / (clean**2).sum())
        assert change[part] == pytest.approx(expected)
    nothing = look_at(plain(torch.zeros(1, 1, 3, 3)), card(), name, image, corruption="fog", severity=1)
    assert nothing.change() == {"push": None, "output": None}
