"""Files of figures: the same picture is the same file, and matplotlib's settings are left alone."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
from PIL import Image

from ppbench.inspection.figures import figures, kernels, selectivity
from ppbench.inspection.style import new_figure, write
from tests.inspection.layers import inspection


def test_the_same_inspection_gives_the_same_files() -> None:
    one = inspection(filters=2)
    for form in ("png", "svg"):
        assert write(kernels(one), form) == write(kernels(one), form)


def test_svg_files_are_xml() -> None:
    assert ElementTree.fromstring(write(selectivity(inspection(filters=2)), "svg")).tag.endswith("svg")


def test_a_picture_of_many_colours_keeps_them() -> None:
    noise = np.random.default_rng(0).random((200, 200, 3))
    figure = new_figure(4, 4)
    figure.add_subplot().imshow(noise)
    with Image.open(io.BytesIO(write(figure, "png"))) as image:
        assert image.mode != "P"
    with Image.open(io.BytesIO(write(kernels(inspection(filters=2)), "png"))) as image:
        assert image.mode == "P"


def test_matplotlib_s_settings_are_left_alone() -> None:
    before = mpl.rcParams["font.size"]
    write(figures(inspection(filters=2))["kernels"], "png")
    assert mpl.rcParams["font.size"] == before
