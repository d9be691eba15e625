"""From a request to a plan: what is refused before anything is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from tests.evaluation.models import tiny_checkpoint, tiny_subject
from tests.trees import write_class_folders


def test_missing_weights_and_missing_images_are_told_together() -> None:
    with pytest.raises(DataError, match="network without weights; --dataset imagenet-c needs its images") as caught:
        prepare(EvalRequest(("resnet50-pp",), dataset="imagenet-c"))
    weights, images = caught.value.hint.splitlines()
    assert weights.startswith("weights: ")
    assert images.startswith("images: ")


def test_models_that_want_a_folder_cut_differently_are_refused(tmp_path: Path) -> None:
    paths = tuple(
        str(tiny_checkpoint(tmp_path / f"{size}.safetensors", size=size, channels=3, classes=2)) for size in (28, 32)
    )
    folder = write_class_folders(tmp_path / "photos", size=40)
    with pytest.raises(UsageError, match="the models need images cut differently"):
        prepare(EvalRequest(paths, dataset="imagefolder", data=folder))
    # Other datasets have a way of their own, which then fits or not.
    grey = tuple(str(tiny_checkpoint(tmp_path / f"grey{size}.safetensors", size=size)) for size in (28, 32))
    with pytest.raises(DataError, match="grey32 takes images of 32 px, but fashion-mnist-2k has 28 px"):
        prepare(EvalRequest(grey))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (EvalRequest(batch_size=0), "--batch-size 0 is not allowed"),
        (EvalRequest(workers=-1), "--workers -1 is not allowed"),
        (EvalRequest(severities=["6"]), "severity '6' is not allowed"),
        (EvalRequest(severities=["0"]), "severity '0' is not allowed"),
        (EvalRequest(corruptions=["frog"]), r"unknown corruption 'frog'(.|\n)*`pkg\.mod:function`"),
        (EvalRequest(device="tpu9"), "--device tpu9 cannot be used here"),
        (EvalRequest(device="meta"), "--device meta cannot be used here"),
        (EvalRequest(data=Path()), "--dataset fashion-mnist-2k takes no --data"),
        (EvalRequest(dataset="imagenet"), "unknown dataset 'imagenet'"),
    ],
)
def test_values_that_are_not_allowed(asked: EvalRequest, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare(replace(asked, models=(tiny_subject(),)))
