"""What tables tell of how models were made: conversions, and augmentations like the test corruptions."""

from __future__ import annotations

from typing import Any

from ppbench.metrics.cell_errors import CellErrors
from ppbench.report.report import RunReport
from ppbench.report.summary import summarise, training_notes
from ppbench.run import Run, conversion
from tests.builders import make_run

CONVERTED = {"rectified_push": False, "origin": {"name": "torchvision:resnet50", "weights": "0"}}
WORDS = "push not rectified (ppbench convert of torchvision:resnet50)"


def run_of(name: str = "net", **card: Any) -> Run:
    run = make_run(name=name)
    record = run.model.model_copy(update={"card": {**run.model.card, **card}})
    return run.model_copy(update={"model": record})


def test_conversions_in_words() -> None:
    assert conversion({}) is None
    assert conversion({"rectified_push": True}) is None
    assert conversion({"rectified_push": False}) == "push not rectified"
    assert conversion(CONVERTED) == WORDS
    assert conversion({**CONVERTED, "rectified_push": True}) == "ppbench convert of torchvision:resnet50"


def test_the_table_of_one_run_tells_it() -> None:
    headline = RunReport([summarise(run_of(**CONVERTED, trained_on_corruptions=["fog"]))]).sheets()[0]
    assert "Push not rectified (ppbench convert of torchvision:resnet50)." in headline.notes
    assert "Trained on augmentations that overlap with: fog." in headline.notes
    assert not any("rectified" in note for note in RunReport([summarise(run_of())]).sheets()[0].notes)


def test_beside_others_it_is_told_with_the_name() -> None:
    documents = [summarise(run_of("plain")), summarise(run_of("mine", **CONVERTED))]
    assert f"mine: {WORDS}." in RunReport(documents).sheets()[0].notes
    assert training_notes([CellErrors.from_run(run_of("plain"))] * 2) == []
