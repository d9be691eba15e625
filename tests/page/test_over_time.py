"""The report of runs on a stream: accuracy over time in place of what is by corruption and severity."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from tests.streams.runs import ADAPTED, uneven, write_stream_run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    plain = write_stream_run(folder / "plain.json", uneven(seed=1))
    adapted = write_stream_run(folder / "adapted.json", uneven(seed=2, level=0.7), adaptation=ADAPTED)
    done = CliRunner().invoke(app, ["report", str(plain), str(adapted), "-o", str(folder / "page.html")])
    assert done.exit_code == 0, done.output
    return (folder / "page.html").read_text()


def test_the_stream_is_drawn_and_nothing_by_cell(page: str) -> None:
    headings = [re.sub("<[^>]+>", "", found) for found in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]
    assert "Accuracy over time" in headings
    assert "Differences, paired by point of the walk" in headings
    assert not any("severity" in heading or "Families" in heading or "Classes" in heading for heading in headings)
    assert page.count("data-first=") == 10  # two runs, five windows each
    assert "ccc:easy,10 a point,calibration cccccccc, seed 43" in page


def test_the_verdict_is_about_frames(page: str) -> None:
    words = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "of the frames wrong" in words
    assert "of the frames right" in words
    assert "The images have no labels" not in words
    assert "cells are missing" not in words


def test_pictures_of_clean_images_do_not_stand_for_frames(page: str) -> None:
    assert "A report has no frames of streams." in page
    assert "--data DIR" not in page
