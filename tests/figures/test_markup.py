from __future__ import annotations

import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppbench.figures.colours import LINE_STYLES
from ppbench.figures.markup import (
    attributes,
    checked_key,
    coordinate,
    escaped,
    legend,
    marker,
    metric_attributes,
    metric_words,
    shortened,
    svg,
    text_element,
)
from ppbench.metrics.intervals import Interval
from ppbench.metrics.metric import Metric
from tests.figures.runs import HOSTILE, parsed


@given(st.text())
def test_any_text_stays_a_text(content: str) -> None:
    tree = ElementTree.fromstring(f'<a b="{escaped(content)}">{escaped(content)}</a>')
    assert len(list(tree)) == 0
    assert list(tree.attrib) == ["b"]
    assert not any(unicodedata.category(c) == "Cc" or c in "\u202e\u2066" for c in tree.text or "")


def test_hostile_text_is_shown_and_does_nothing() -> None:
    shown = escaped(HOSTILE)
    assert "&lt;script&gt;" in shown
    assert "\\u202eevil\\x1b[2J" in shown
    assert not set("<>\"'\n\x1b\u202e") & set(shown)


@given(st.text(max_size=60), st.integers(3, 30))
def test_a_shortened_name_fits_and_keeps_both_ends(name: str, most: int) -> None:
    short = shortened(name, most)
    assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in short) <= most


def test_names_are_shortened_in_the_middle() -> None:
    assert shortened("fog", 10) == "fog"
    assert shortened("fashion-mnist-resnet8-pp3", 16) == "fashion-…et8-pp3"
    assert shortened("畫像分類模型第一號", 9) == "畫像…一號"


def test_attributes_have_numbers_as_json_has_them() -> None:
    metric = Metric("CE", 'CE["a<b",s1]', 0.1 + 0.2, "%", None, Interval(0.3, -0.0, 41.20000000004))
    assert metric_attributes(metric, severity=3, run="a&b") == (
        ' data-severity="3" data-run="a&amp;b" data-metric="CE" data-value="0.3" data-low="0" data-high="41.2" '
        'data-unit="%" data-label="CE[&#34;a&lt;b&#34;,s1]"'
    )
    assert attributes({"a": None, "b": ""}) == ' b=""'


def test_words_of_a_number_that_is_missing_are_its_reason() -> None:
    assert metric_words(Metric("CE", "CE", None, "%", "no normaliser")) == "n/a: no normaliser"
    assert metric_words(None) == "n/a"
    assert metric_words(Metric("CE", "CE", 5.0, "%")) == "5.00 %"


def test_coordinates_are_short_and_have_no_sign_of_zero() -> None:
    assert [coordinate(value) for value in (1, 10, 1 / 3, -0.001, 100.0, -2.5)] == [
        "1",
        "10",
        "0.33",
        "0",
        "100",
        "-2.5",
    ]


@pytest.mark.parametrize("key", ["", "1a", 'a"', "a b", "-a", "a\n"])
def test_a_key_that_is_no_part_of_an_id_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cannot begin an id"):
        checked_key(key)


def test_a_picture_has_a_name_and_a_description() -> None:
    (picture,) = parsed(svg("k", (10, 20), "a < b", HOSTILE, [text_element("1", 2, "x", full="xyz")]))
    title, described, words = picture
    assert picture.attrib["role"] == "img"
    assert picture.attrib["aria-labelledby"] == "k-title k-desc"
    assert (title.attrib["id"], title.text) == ("k-title", "a < b")
    assert described.attrib["id"] == "k-desc"
    assert words[0].text == "xyz"


@pytest.mark.parametrize("style", LINE_STYLES, ids=lambda style: style.marker)
def test_every_marker_is_drawn_around_its_point(style: object) -> None:
    drawn = marker(style.marker, 10, 10, 2, ' class="m"')  # type: ignore[attr-defined]
    (element,) = parsed(drawn)
    assert element.attrib["class"] == "m"


def test_a_legend_names_all_runs_and_escapes_them() -> None:
    tree = parsed(legend([HOSTILE, "b"], ["c"], note="band: 95 %"))
    assert ["".join(item.itertext()) for item in tree.iter("li")][1:] == ["b", "c", "band: 95 %"]
    assert not list(tree.iter("script"))
