import pytest

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.references import ALEXNET
from ppbench.report.run_data import run_dict
from ppbench.report.summary import summarise
from ppbench.run import Stopping
from ppbench.vocabulary import CLEAN, FAMILIES
from tests.builders import make_bits, make_errors, make_run
from tests.report.printed import export, line_of, render, with_bits


def test_ratios_to_errors_near_0_are_said_to_be_rough():
    near = {key: 0.2 + (0.001 if key[0] in ("fog", "snow") else 0.2) for key in make_errors(0)} | {(CLEAN, 0): 0.2}
    run = make_run(near, n=400)
    dividing = CellErrors.from_run(run, make_bits(run, 1))
    notes = with_bits(0, dividing).interval_notes
    assert any("of net, which are within 3 standard errors of 0 on snow, fog." in note for note in notes)
    assert len(with_bits(0, with_bits(1).cell_errors).interval_notes) == len(with_bits(0, ALEXNET).interval_notes)


def waited(wanted="half-width 5", reached=True, **fields):
    """A run of 400 images that was to stop early, and its bits."""
    run = make_run(make_errors(0), n=400, total=2000)
    (value,) = [m.value for m in summarise(run).metrics if m.name == "mean_error"]
    stopping = Stopping(
        metric="mean_error[c15,s1-5]", confidence=0.95, value=value, low=value - 4.5, high=value + 4.5,
        wanted=wanted, reached=reached, **fields,
    )  # fmt: skip
    return run.model_copy(update={"stopping": stopping}), make_bits(run), value


def test_of_what_was_waited_for_the_interval_is_the_one_that_holds_at_every_look():
    run, bits, value = waited()
    document = summarise(run, bits=bits)
    text = " ".join(render(document, width=200).split())
    assert f"mean error {value:.2f} ± 4.50 %" in text
    assert line_of(render(document, width=200), "mean of 15")[-2:] == [f"{value:.2f}", "4.50"]
    assert "Early stopping: half-width 5 after 400 of 2,000 images. The interval of mean_error[c15,s1-5]," in text
    assert "holds at every look (95 %). The other intervals assume a fixed number of images." in text
    (found,) = [m for m in run_dict(document)["metrics"] if m["name"] == "mean_error"]
    assert (found["low"], found["high"]) == pytest.approx((value - 4.5, value + 4.5))
    fixed = summarise(run.model_copy(update={"stopping": None}), bits=bits)
    for one, other in zip(document.metrics, fixed.metrics, strict=True):
        assert (one.interval == other.interval) is (one.name != "mean_error")
    assert document.severities == fixed.severities, "which nobody waited for"
    assert "Early stopping" not in render(fixed)


def test_a_run_that_waited_for_3_shows_the_interval_that_it_waited_for_everywhere():
    run, bits, value = waited(wanted="half-width 3")
    stopping = run.stopping.model_copy(update={"low": value - 2.78, "high": value + 3.22})
    document = summarise(run.model_copy(update={"stopping": stopping}), bits=bits)
    ends = f"[{value - 2.78:.2f}, {value + 3.22:.2f}]"
    text = " ".join(render(document, width=200).split())
    assert f"mean error {value:.2f} {ends} %" in text
    assert line_of(render(document, width=200), "mean of 15")[-1] == "≤3.22"
    assert f"The interval of mean_error[c15,s1-5], {value:.2f} {ends}, holds" in text
    assert "± 3.22" not in text
    assert f"{value:.2f} {ends}" in export([document], "latex")


def test_of_a_higher_confidence_than_was_waited_for_there_is_no_interval():
    run, bits, _ = waited()
    document = summarise(run, bits=bits, confidence=0.99)
    assert [m.interval is None for m in document.metrics[:2]] == [False, True]
    assert "(95 %; there is none at a higher confidence)" in " ".join(render(document, width=200).split())
    document = summarise(run, bits=bits, confidence=0.9)
    assert document.metrics[1].interval.margin == pytest.approx(4.5)


def test_the_interval_of_an_older_run_file_is_still_that_of_its_metric():
    """It has a label that was not of one set alone; so have baselines made of it."""
    blur = FAMILIES["blur"]
    run = make_run(make_errors(0, blur), corruptions=blur, n=400, total=2000)
    stopping = Stopping(
        metric="mean_error[4/15,s1-5]", confidence=0.95, value=50, low=40, high=60, wanted="half-width 10", reached=True
    )
    document = summarise(run.model_copy(update={"stopping": stopping}), bits=make_bits(run))
    (found,) = [metric for metric in document.metrics if metric.name == "mean_error"]
    assert found.label == "mean_error[blur,s1-5,400 of 2000]"
    assert (found.interval.low, found.interval.high) == (40, 60)
    assert "The interval of mean_error[blur,s1-5]," in " ".join(render(document, width=200).split())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reached": False}, "half-width 5: not reached with all 400 images."),
        ({"reached": False, "baseline": "0", "max_drop": 3.0}, "not reached with all 400 images that both have."),
        (
            {"baseline": "0", "max_drop": 3.0, "decision": "worse than allowed"},
            "400 of 2,000 images: worse than allowed.",
        ),
        ({"baseline": "0", "max_drop": 3.0, "decision": "beyond"}, "400 of 2,000 images: worse than allowed."),
        ({"baseline": "0"}, "after 400 of 2,000 images. The"),
    ],
)
def test_it_is_said_how_an_evaluation_ended_that_was_to_stop_early(fields, words):
    run, bits, _ = waited(**fields)
    assert words in " ".join(render(summarise(run, bits=bits), width=200).split())


def test_a_missing_cell_has_no_interval():
    errors = {(CLEAN, 0): 0.1, ("fog", 1): 0.25}
    run = make_run(errors, n=400, corruptions=("fog",), severities=(1, 2), status="interrupted")
    text = render(summarise(run, bits=make_bits(run)), intervals=True)
    assert line_of(text, "fog") == ["fog", "75.0", "[70.5,", "79.0]", "–"]
