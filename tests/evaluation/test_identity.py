"""What a run file says of what was measured, and with what."""

from __future__ import annotations

from pathlib import Path

from ppbench.corruptions.backends import ENGINE
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.evaluation.settings import Settings
from ppbench.models.load import LoadedModel
from ppbench.run import MeasuredRun
from tests.evaluation.models import make_settings, measured, tiny_subject
from tests.trees import write_class_folders, write_published


def embedded(limit: int = 30) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit)


def run(subject: LoadedModel, source: Source, settings: Settings) -> MeasuredRun:
    (result,), stopped_by = measured([subject], source, settings)
    assert stopped_by is None
    return result


def test_published_images_are_recorded_as_not_resized(tmp_path: Path) -> None:
    tree = write_published(tmp_path, ("fog",), (1,))
    _, model, card = tiny_subject(size=32, channels=3, classes=2)
    subject = LoadedModel("tiny", model, card.model_copy(update={"resize": 40}))
    settings = make_settings(corruptions=("fog",), severities=(1,))
    published = run(subject, open_source("imagefolder", tree, Geometry(32, 40)), settings)
    assert published.run.protocol.preprocessing.startswith("32 px as is, mean")
    clean = write_class_folders(tmp_path / "clean", size=48)
    generated = run(subject, open_source("imagefolder", clean, Geometry(32, 40)), settings)
    assert generated.run.protocol.preprocessing.startswith("resize 40, crop 32, mean")


def test_the_record_tells_what_was_measured_and_with_what() -> None:
    result = run(tiny_subject(), embedded(), make_settings(("fog",), (2,), seed=3, command="ppbench eval --seed 3"))
    protocol, provenance = result.run.protocol, result.run.provenance
    assert (protocol.n, protocol.total, protocol.seed) == (30, 2000, 3)
    assert (protocol.engine, protocol.recipe) == (ENGINE, "cifar-c")
    assert protocol.preprocessing == "28 px as is, grey, mean 0.4, std 0.3"
    assert provenance.command == "ppbench eval --seed 3"
    assert {"python", "torch", "numpy", "ppbench"} <= set(provenance.versions)
    assert provenance.device.startswith("cpu")
    assert result.run.model.card["architecture"] == "resnet8"
