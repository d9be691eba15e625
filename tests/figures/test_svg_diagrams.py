from __future__ import annotations

from dataclasses import replace

import pytest

from ppbench.figures.reliability import Reliability
from ppbench.figures.scatter import Scatter
from ppbench.figures.svg_diagrams import reliability_svg, scatter_svg
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from tests.builders import make_run
from tests.compare.runs import make_measured
from tests.figures.runs import HOSTILE, better, calibrated, having, ids, parsed, plain, summary_of, with_gaps
from tests.figures.test_scatter import of_imagenet


def test_bars_read_back_are_the_counts_of_the_run() -> None:
    tree = parsed(reliability_svg(Reliability.of(calibrated()), "r"))
    clean = calibrated().cells[0]
    bars = [bar for bar in having(tree, severity="0") if "data-n" in bar.attrib]
    assert [int(bar.attrib["data-n"]) for bar in bars] == [n for n in clean.bin_n or () if n]
    right = [100 * right / n for right, n in zip(clean.bin_top1 or (), clean.bin_n or (), strict=True) if n]
    assert [float(bar.attrib["data-value"]) for bar in bars] == pytest.approx(right)
    (error,) = (one for one in having(tree, severity="0") if one.attrib["data-metric"] == "expected_calibration_error")
    assert float(error.attrib["data-value"]) == run_dict(summarise(calibrated()))["calibration"][0]["value"]


def test_bins_with_few_images_are_faded_and_the_note_says_so() -> None:
    content = Reliability.of(calibrated())
    panel = content.panels[0]
    full = [one for one in panel.bins if one.n]
    bins = (replace(full[0], n=9), replace(full[1], n=10))
    drawn = reliability_svg(replace(content, panels=(replace(panel, bins=bins),)), "r")
    bars = [bar for bar in having(parsed(drawn), severity="0") if "data-n" in bar.attrib]
    assert [bar.attrib["class"] for bar in bars] == ["fig-bar fig-few", "fig-bar"]
    assert "fewer than 10 is faded" in drawn


def test_axes_are_short_and_the_full_labels_are_in_the_note_and_description() -> None:
    content = Scatter.of([summary_of(plain()), summary_of(better())])
    tree = parsed(scatter_svg(content, "s"))
    texts = [text.text or "" for text in tree.iter("text")] + ["".join(text.itertext()) for text in tree.iter("text")]
    assert any(text.endswith("↑ mCE, %") for text in texts)
    assert not any("…" in text for text in texts)
    for tag in ("p", "desc"):
        (found,) = tree.iter(tag)
        assert content.y_label in "".join(found.itertext())


def test_each_panel_is_a_picture_with_ids_of_its_own() -> None:
    tree = parsed(reliability_svg(Reliability.of(calibrated()), "r"))
    assert len([one for one in tree.iter("svg") if one.attrib.get("role") == "img"]) == 6
    assert len(ids(tree)) == len(set(ids(tree)))


def test_a_run_without_probabilities_is_drawn_with_its_reason() -> None:
    tree = parsed(reliability_svg(Reliability.of(make_run(labels_only=True)), "r"))
    texts = {"".join(one.itertext()) for one in tree.iter("desc")}
    assert len(texts) == 1
    assert texts.pop().startswith("no probabilities")
    assert not list(having(tree, n="0"))


def test_points_read_back_are_those_of_show() -> None:
    summaries = [summary_of(plain()), summary_of(better())]
    tree = parsed(scatter_svg(Scatter.of(summaries), "s"))
    for summary in summaries:
        report = {metric["name"]: metric for metric in run_dict(summary)["metrics"]}
        (point,) = having(tree, run=summary.cell_errors.source)
        assert float(point.attrib["data-x"]) == report["clean_error"]["value"]
        assert float(point.attrib["data-x-low"]) == report["clean_error"]["low"]
        assert [float(point.attrib[f"data-{end}"]) for end in ("value", "low", "high")] == [
            report["mCE"][end] for end in ("value", "low", "high")
        ]


def test_published_results_are_grey_and_cite_their_source() -> None:
    tree = parsed(scatter_svg(Scatter.of([of_imagenet()]), "s"))
    (point,) = having(tree, published="PRIME")
    assert point.attrib["class"] == "fig-reference-mark"
    assert (point.attrib["data-value"], point.attrib["data-x"]) == ("55.5", "24.7")
    assert "amodas/PRIME-augmentations" in "".join(point.itertext())


def test_a_run_without_a_place_is_named_below() -> None:
    tree = parsed(scatter_svg(Scatter.of([summary_of(plain()), summary_of(with_gaps())]), "s"))
    (point,) = having(tree, run="gaps")
    assert (point.tag, list(point)) == ("g", [])
    in_full, note = tree.iter("p")
    assert "".join(in_full.itertext()) == "Across: clean_error. Up: mean_error[4/15#8e43f95b,s1-5]."
    assert "gaps lacks 3 of 20 cells" in str(note.text)


def test_hostile_names_do_nothing() -> None:
    measured = make_measured({("clean", 0): 0.1, ("fog", 1): 0.5}, name=HOSTILE, corruptions=("fog",), severities=(1,))
    drawings = [
        reliability_svg(Reliability.of(measured.run), "r"),
        scatter_svg(Scatter.of([summary_of(measured)]), "s"),
    ]
    for drawn in drawings:
        assert not [one for one in parsed(drawn).iter() if one.tag.endswith("script")]
        assert not set("\u202e\x1b\n") & set(drawn)


def test_drawings_are_the_same_every_time() -> None:
    assert reliability_svg(Reliability.of(calibrated()), "r") == reliability_svg(Reliability.of(calibrated()), "r")
    content = Scatter.of([summary_of(plain())])
    assert scatter_svg(content, "s") == scatter_svg(content, "s")
