"""Predictions of any other framework, scored like a model's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ppbench.compare.comparability import require_comparable
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.predictions import score_predictions
from ppbench.report.summary import summarise
from tests.builders import make_run
from tests.evaluation.models import make_settings, measured, tiny_subject, with_own_head
from tests.report.printed import render

pytestmark = pytest.mark.usefixtures("_small_forwards")

SETTINGS = make_settings(corruptions=("fog", "snow"), severities=(2,))
CELLS = [("clean", 0), ("fog", 2), ("snow", 2)]


def source(limit: int = 40) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit)


def logits_of(images: Source) -> dict[str, np.ndarray]:
    """What a model gives, as another framework would save it."""
    subject, found = tiny_subject(), {}
    network = Inference(with_own_head(subject), torch.device("cpu"))
    for corruption, severity in CELLS:
        pixels = torch.from_numpy(images.load(corruption, severity, np.arange(len(images.ids))).pixels)
        with torch.inference_mode():
            logits = subject.model(network.preprocess(pixels.permute(0, 3, 1, 2)))
        found[f"{corruption}/{severity}" if severity else corruption] = logits.numpy()
    return found


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_logits_give_what_the_model_gives(tmp_path: Path) -> None:
    images = source()
    (expected,), _ = measured([tiny_subject()], images, SETTINGS)
    identity, outcome, notes = score_predictions(write(tmp_path / "p.npz", **logits_of(images)), images, SETTINGS)
    (tally,) = outcome.tallies
    assert [tally.cell(cell) for cell in CELLS] == list(expected.run.cells)
    assert (identity.model.name, identity.protocol.precision) == ("p", "unknown")
    assert identity.protocol.ids_sha256 == expected.run.protocol.ids_sha256
    allowed = re.findall(r"--allow (\w+)", notes[-1])
    assert len(require_comparable(expected.run.protocol, identity.protocol, ("a", "b"), allowed)) == len(allowed) == 3


def test_images_that_were_never_seen_are_not_said_to_be_generated_here(tmp_path: Path) -> None:
    images = source()
    predictions = score_predictions(write(tmp_path / "p.npz", **logits_of(images)), images, SETTINGS)
    record = predictions.identity.protocol
    assert (record.source, record.recipe, record.engine) == ("generated", "unknown", "unknown")
    assert "who made the corrupted images of p.npz is not known" in predictions.notes[-1]
    assert predictions.notes[-1].endswith("`--allow engine --allow recipe --allow precision`")
    images.kind = "generated-jpeg85"  # as ImageNet-C is made here
    again = score_predictions(tmp_path / "p.npz", images, SETTINGS)
    assert again.notes[-1].endswith("`--allow engine --allow recipe --allow precision --allow source`")
    assert again.identity.protocol.source == "generated"
    run = make_run(engine=record.engine, recipe=record.recipe)
    assert "corrupted elsewhere by unknown software" in " ".join(render(summarise(run), width=200).split())


def test_a_file_without_ids_is_said_to_be_taken_by_order(tmp_path: Path) -> None:
    images = source()
    plain = score_predictions(write(tmp_path / "p.npz", **logits_of(images)), images, SETTINGS)
    assert plain.notes[0].startswith(
        f"p.npz has no ids: its predictions are taken to be of these 40 images in this order, {IDS[0]} first"
    )
    assert plain.identity.model.card["images"] == "by order"
    named = score_predictions(write(tmp_path / "q.npz", ids=np.array(IDS), **logits_of(images)), images, SETTINGS)
    assert not any("no ids" in note for note in named.notes)
    assert "images" not in named.identity.model.card


def test_ids_bring_them_into_order_and_choose(tmp_path: Path) -> None:
    whole = source(60)
    order = np.random.default_rng(0).permutation(60)
    arrays = {name: values[order] for name, values in logits_of(whole).items()}
    path = write(tmp_path / "p.npz", ids=np.array(whole.ids)[order], **arrays)
    (expected,), _ = measured([tiny_subject()], source(30), SETTINGS)
    (tally,) = score_predictions(path, source(30), SETTINGS).scored.tallies
    assert [tally.cell(cell) for cell in CELLS] == list(expected.run.cells)


def test_predicted_classes_alone(tmp_path: Path) -> None:
    images = source()
    right = images.labels.copy()
    right[::4] = (right[::4] + 1) % 10
    path = write(tmp_path / "p.npz", **{"fog/2": right, "snow_2": np.zeros(40, np.uint8)})
    (tally,) = score_predictions(path, images, SETTINGS).scored.tallies
    fog = tally.cell(("fog", 2))
    assert (fog.n, fog.top1, fog.top5, fog.nll_micronats) == (40, 30, None, None)
    assert tally.cells == [("fog", 2), ("snow", 2)]  # no clean ones were given


IDS = source().ids  # of the images that the arrays are of


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"fog/2": np.zeros(40, int)}, "lacks the cell snow/2; it has fog/2"),
        ({"fog/2": np.zeros(39, int), "snow/2": np.zeros(40, int)}, "39 predictions at fog/2 for 40 images"),
        ({"fog/2": np.zeros((40, 2, 2)), "snow/2": np.zeros(40, int)}, r"fog/2 has shape \(40, 2, 2\)"),
        ({"fog/2": np.zeros(40), "snow/2": np.zeros(40, int)}, "and type float64"),
        ({"fog/2": np.full((40, 10), np.nan), "snow/2": np.zeros(40, int)}, "values that are not finite at fog/2"),
        ({"fog/2": np.zeros((40, 3)), "snow/2": np.zeros(40, int)}, "has 3 outputs"),
        ({"ids": np.array(["a", "b"]), "fog/2": np.zeros(2, int)}, "no prediction for 40 of 40 images"),
        ({"fog/2": np.array([{}] * 40)}, "cannot read the predictions"),
        ({"fog/2": np.full(40, 500), "snow/2": np.zeros(40, int)}, "predicts the class 500 at fog/2"),
        ({"ids": np.array(["a", "a"]), "fog/2": np.zeros(2, int)}, "has the id a twice"),
        ({"ids": np.array(IDS), "fog/2": np.zeros(39, int)}, "fog/2 has 39 predictions, `ids` 40"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = write(tmp_path / "p.npz", **arrays)
    with pytest.raises(DataError, match=message):
        score_predictions(path, source(), SETTINGS)


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04"])
def test_a_file_that_is_no_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot read the predictions"):
        score_predictions(tmp_path / "p.npz", source(), SETTINGS)
