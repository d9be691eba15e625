"""The pictures: which there are, that they are valid, and always the same."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from ppbench.inspection import figures as module
from ppbench.inspection.api import inspect_model
from ppbench.inspection.figures import figure_files, figures, kernels, responses, selectivity, strengths
from tests.inspection.layers import Net, card, inspection


def words(figure: Figure) -> str:
    """All texts of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_pictures_of_a_push_pull_network_are_pngs_that_hold_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are drawn, and two are written; tests/cli/test_inspect.py writes all."""
    drawn = figures(inspection())
    assert list(drawn) == [
        "kernels",
        "responses-1",
        "responses-2",
        "spectra",
        "tuning",
        "selectivity",
    ]
    monkeypatch.setattr(module, "figures", lambda *asked: {name: drawn[name] for name in ("responses-1", "tuning")})
    for content in figure_files(inspection()).values():
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "PNG"
            assert image.width > 900
            assert np.asarray(image.convert("L")).std() > 5
        assert len(content) < 200_000


def test_kernels_share_a_scale_symmetric_about_zero() -> None:
    one = inspection()
    images = [image for axes in kernels(one).axes for image in axes.images]
    assert len(images) == 2 * 5
    greatest = max(float(kernel.abs().max()) for kernel in one.kernels().values())
    assert {image.get_clim() for image in images} == {(-greatest, greatest)}
    np.testing.assert_array_equal(images[0].get_array(), one.layer.push_kernels()[0, 0])
    np.testing.assert_array_equal(images[1].get_array(), one.layer.pull_kernels()[0, 0])  # type: ignore[index]


def test_kernels_of_colour_networks_are_colours() -> None:
    one = inspection(channels=3)
    tile = kernels(one).axes[0].images[0].get_array()
    greatest = max(float(kernel.abs().max()) for kernel in one.kernels().values())
    expected = 0.5 + one.layer.push_kernels()[0].permute(1, 2, 0).double().numpy() / (2 * greatest)
    np.testing.assert_allclose(tile, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("push_pull", [True, False])
def test_a_plain_network_has_no_panels_of_pull(push_pull: bool) -> None:
    one = inspection(push_pull)
    assert ("pull" in words(responses(one, one.images[0]))) == push_pull
    assert ("push alone" in words(selectivity(one))) == push_pull
    assert len(kernels(one).axes[0].images) == (10 if push_pull else 5)


def test_strengths_are_drawn_where_they_were_trained() -> None:
    one = inspection(trained=True)
    assert "strengths" in figures(one)
    bars = strengths(one).axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 5  # type: ignore[attr-defined]
    assert "strengths" not in figures(inspection())


def test_the_network_compared_with_stands_in_the_figure_of_selectivity() -> None:
    other = inspect_model("other", Net((nn.Conv2d(1, 4, 3),), 4), card(), draws=16)
    assert "other" in words(selectivity(inspection(), other))
