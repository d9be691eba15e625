"""Evaluations of perturbation sequences: against a plain loop, and what must not change them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ppbench
from ppbench.errors import DataError, UsageError
from ppbench.evaluation import sequences
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.sequences import FrameSet, frame_sets
from ppbench.metrics.sequences import flips, top5_distances
from ppbench.models.load import LoadedModel
from ppbench.run import MeasuredRun, Trials, read_run, read_trials
from tests.evaluation.models import tiny_card, tiny_checkpoint
from tests.evaluation.test_kills import SCRIPT
from tests.kills import run_killer
from tests.trees import photographs

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

SIDE, N = 16, 5
CELLS: dict[str, Any] = {"corruptions": ("shot_noise", "zoom_blur", "translate"), "severities": ("1-3",)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in the form of CIFAR's."""
    root = tmp_path_factory.mktemp("cifar")
    np.save(root / "images.npy", np.stack(photographs(SIDE, N)))
    np.save(root / "labels.npy", np.arange(N))
    return root


def network(seed: int = 0, size: int = SIDE) -> LoadedModel:
    """A network whose answer changes with the details of an image."""
    torch.manual_seed(seed)
    side = (size - 3) // 2
    model = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * side**2, 10))
    x = torch.from_numpy(np.stack(photographs(size, N))).permute(0, 3, 1, 2) / 255
    with torch.no_grad():  # without a class that always wins
        model[3].bias -= model((x - 0.4) / 0.3).mean(0)
    card = tiny_card(size=size, channels=3, classes=10, architecture="mine")
    return LoadedModel(f"net{seed}", model.eval(), card)


def run(*models: LoadedModel, **given: Any) -> list[MeasuredRun]:
    result = measure(prepare(EvalRequest.of(models=models, **given)))
    if result.stopped_by is not None:
        raise result.stopped_by
    result.refuse_unreadable(skip=given.get("skip_unreadable", False))
    return result.runs


@pytest.fixture(scope="module")
def whole(folder: Path) -> MeasuredRun:
    return run(network(), dataset="cifar10-p", data=folder, **CELLS)[0]


def same_results(one: MeasuredRun, other: MeasuredRun) -> bool:
    assert one.trials is not None
    assert other.trials is not None
    alike = all((one.trials.failures[cell] == values).all() for cell, values in other.trials.failures.items())
    return alike and one.run.cells == other.run.cells and one.run.protocol == other.run.protocol


def logits_plainly(subject: LoadedModel, frames: np.ndarray) -> np.ndarray:
    """Logits ``(n, frames, classes)`` of frames ``(n, frames, H, W, 3)``."""
    x = torch.from_numpy(frames).flatten(0, 1).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (subject.card.mean, subject.card.std))
    with torch.inference_mode():
        logits = subject.model((x / 255 - mean) / std)
    return logits.view(*frames.shape[:2], -1).numpy()


def counted_plainly(logits: np.ndarray, cell: tuple[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Flips and summed distances of each image."""
    noise, frames = "noise" in cell[0], logits.shape[1]
    pairs = frames - 1 if noise else frames - cell[1]
    how = {"noise": noise, "difficulty": cell[1]}
    flipped, moved = flips(logits.argmax(-1), **how), top5_distances(logits, **how)
    return np.rint(pairs * flipped).astype(int), np.rint(pairs * moved).astype(int)


def test_counts_equal_a_plain_loop(whole: MeasuredRun, folder: Path) -> None:
    images, subject = np.load(folder / "images.npy"), network()
    ids = [f"test/{number:05d}" for number in range(N)]
    assert [cell.key for cell in whole.run.cells] == [
        (name, level) for name in CELLS["corruptions"] for level in (1, 2, 3)
    ]
    assert whole.trials is not None
    assert whole.trials.distances is not None
    for cell in whole.run.cells:
        frames = ppbench.perturb(images, cell.corruption, recipe="cifar-p", difficulty=cell.severity, ids=ids)
        flipped, moved = counted_plainly(logits_plainly(subject, frames), cell.key)
        assert (whole.trials.failures[cell.key] == flipped).all()
        assert (whole.trials.distances[cell.key] == moved).all()
        assert (whole.bits[cell.key] == (flipped == 0)).all()
        assert (cell.n, cell.top1, cell.failures) == (N, (flipped == 0).sum(), flipped.sum())
        assert cell.top5_distance == moved.sum()
        assert cell.top5 is cell.bin_n is None
    assert {cell.trials for cell in whole.run.cells} == {30, 29, 28, 15, 14, 13}
    assert any(cell.failures for cell in whole.run.cells)
    protocol = whole.run.protocol
    assert protocol.sequences is not None
    assert protocol.sequences.frames == {"shot_noise": 31, "zoom_blur": 31, "translate": 16}
    assert (protocol.sequences.encoding, protocol.recipe, protocol.source) == ("lossless", "cifar-p", "generated")
    assert protocol.severities == (1, 2, 3)
    assert whole.predictions is None


def test_difficulties_of_all_but_noise_share_their_frames() -> None:
    cells = [("shot_noise", 1), ("shot_noise", 2), ("tilt", 2), ("tilt", 3)]
    assert frame_sets(cells) == [
        FrameSet("shot_noise", 1, (0,)), FrameSet("shot_noise", 2, (1,)), FrameSet("tilt", 1, (2, 3)),
    ]  # fmt: skip


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 0), (70, 1)])
def test_neither_batches_nor_workers_change_anything(
    whole: MeasuredRun, folder: Path, batch_size: int, workers: int
) -> None:
    again = run(network(), dataset="cifar10-p", data=folder, batch_size=batch_size, workers=workers, **CELLS)[0]
    assert same_results(again, whole)


def test_other_models_and_fewer_images_change_nothing(whole: MeasuredRun, folder: Path) -> None:
    given = {"dataset": "cifar10-p", "data": folder, "corruptions": "zoom_blur", "limit": 3}
    other, one = run(network(1), network(), **given)
    assert whole.keys is not None
    assert one.keys is not None
    places = [whole.keys.tolist().index(key) for key in one.keys.tolist()]
    assert one.trials is not None
    assert whole.trials is not None
    assert (one.trials.failures["zoom_blur", 1] == whole.trials.failures["zoom_blur", 1][places]).all()
    assert other.run.cells != one.run.cells
    assert (one.run.protocol.n, one.run.protocol.total, one.run.protocol.severities) == (3, N, (1,))


def without_provenance(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    del content["provenance"]
    for part in ("bits", "trials"):
        content[part].pop("file")
    return content


def test_an_interrupted_evaluation_resumes_to_the_same_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"dataset": "cifar10-p", "data": folder, "batch_size": 1, **CELLS}
    run(network(), **given, output=tmp_path / "whole.json")
    forward, left = Inference.logits, [13]

    def counted(self: Inference, images: torch.Tensor) -> torch.Tensor:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return forward(self, images)

    monkeypatch.setattr(Inference, "logits", counted)
    with pytest.raises(KeyboardInterrupt):
        run(network(), **given, output=tmp_path / "run.json")
    left[0] = 100
    (resumed,) = run(network(), **given, output=tmp_path / "run.json")
    # 5 images, each with 3 difficulties of noise and 2 other perturbations; 12 of these 25 were finished.
    assert left[0] == 100 - 13
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "whole.json")
    for ending in ("bits.npy", "trials.npy.gz"):
        assert (tmp_path / f"run.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
    assert not list(tmp_path.glob("*.journal"))
    there = read_trials(tmp_path / "run.json", read_run(tmp_path / "run.json"))
    assert isinstance(there, Trials)
    assert resumed.trials is not None
    assert all((there.failures[cell] == values).all() for cell, values in resumed.trials.failures.items())


def test_killed_6_times(folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"dataset": "cifar10-p", "data": str(folder), **CELLS}
    options["model"] = str(tiny_checkpoint(tmp_path / "net.safetensors", size=SIDE, channels=3, classes=10))
    output = tmp_path / "run.json"
    killed = run_killer(SCRIPT, json.dumps(options), str(output), "6")
    assert [code for code, _ in killed] == [-9] * 6
    progress = [lines for _, lines in killed]
    assert progress == sorted(progress)
    assert progress[-1] > 2
    assert not output.exists()
    evaluate(**options, output=output)
    assert without_provenance(output) == without_provenance(tmp_path / "whole.json")
    assert not list(tmp_path.glob("*.journal"))


def test_images_of_any_size_and_broken_ones(tmp_path: Path) -> None:
    """The frames show what is outside the crop; a broken image is left out of every cell."""
    sizes = [(80, 70), (64, 100), (64, 64)]
    images = [Image.fromarray(image).resize(size) for image, size in zip(photographs(64, 3), sizes, strict=True)]
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    subject = network(size=64)
    given = {"dataset": "tiny-imagenet-p", "data": tmp_path, "corruptions": ("rotate", "gaussian_noise")}
    with pytest.raises(DataError, match="1 of 4 images could not be read; the result is of the other 3"):
        run(subject, **given)
    (result,) = run(subject, **given, skip_unreadable=True)
    assert result.run.protocol.unreadable == ("broken",)
    assert result.trials is not None
    for number, image in enumerate(images):
        width, height = image.size
        short = min(image.size)
        shown = np.asarray(image.resize((64 * width // short, 64 * height // short), Image.Resampling.BILINEAR))
        for name in given["corruptions"]:
            frames = ppbench.perturb(shown[None], name, recipe="tiny-imagenet-p", ids=[f"{number}.png"])
            flipped, _ = counted_plainly(logits_plainly(subject, frames), (name, 1))
            assert result.trials.failures[name, 1][number] == flipped[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"corruptions": "fog"}, "unknown perturbation 'fog'"),
        ({"corruptions": "mine:haze"}, "unknown perturbation 'mine:haze'"),
        ({"severities": "4"}, "difficulty '4' is not allowed"),
        ({"severities": "1-5"}, "difficulty '1-5' is not allowed"),
        ({"recipe": "imagenet-p"}, "--recipe imagenet-p is not for --dataset cifar10-p"),
        ({"adapt": "batchnorm"}, "--adapt batchnorm is not for cifar10-p"),
        ({"until": 1.0}, "--until 1.0 is not for cifar10-p"),
        ({"labels": "predicted"}, "--labels predicted is not for cifar10-p"),
        ({"classes": "classes.txt"}, "--classes classes.txt is not for cifar10-p"),
        ({"clean": "photos"}, "--clean photos is not for cifar10-p"),
        ({"backend": "imagecorruptions"}, "--backend imagecorruptions is not for cifar10-p"),
        ({"jpeg": False}, "--no-jpeg is not for cifar10-p"),
        ({"exif": True}, "--exif is for clean images in files"),
        ({"limit": 0}, "--limit 0 is not allowed"),
    ],
)
def test_what_sequences_cannot_have_is_refused(folder: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare(EvalRequest.of(models=[network()], dataset="cifar10-p", data=folder, **given))


def test_predictions_of_single_images_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", rotate_1=np.zeros(3))
    with pytest.raises(UsageError, match=r"--predictions .*p.npz is not for cifar10-p"):
        ppbench.evaluate(predictions=tmp_path / "p.npz", dataset="cifar10-p", data=tmp_path)


def test_frames_are_made_in_halves_where_memory_is_small(
    whole: MeasuredRun, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ppbench.data.sequences import MadeSequences

    made, sizes = MadeSequences.frames, []

    def tight(self: MadeSequences, read: Any, *given: Any) -> Any:
        sizes.append(len(read.arrays))
        if len(read.arrays) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return made(self, read, *given)

    monkeypatch.setattr(MadeSequences, "frames", tight)
    assert same_results(run(network(), dataset="cifar10-p", data=folder, **CELLS)[0], whole)
    assert sizes[:4] == [5, 2, 3, 1]
    assert sequences._ROOM["cpu"] > 0
