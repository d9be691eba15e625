"""Evaluations of a stream, plain and adapted: against plain loops, and what must not change them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models.load import resolve_model
from ppbench.run import Run, read_bits, read_predictions, read_run
from ppbench.streams.frames import CCC
from ppbench.streams.opening import ccc
from tests.evaluation.models import tiny_checkpoint
from tests.evaluation.test_kills import without_provenance
from tests.kills import run_killer
from tests.streams.calibrations import write_falling
from tests.trees import photographs, write_class_folders

pytestmark = pytest.mark.usefixtures("_small_forwards", "_workers_of_one_server")

N = 150
"""Frames: two batches of 64, and one of 22."""

NET = "fashion-mnist-resnet8"


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_falling(tmp_path_factory.mktemp("calibration") / "falling.csv")


def streamed(calibration: Path, output: Path | None = None, **request: Any) -> Run:
    options: dict[str, Any] = {"stream": "ccc:easy:20", "limit": N, "seed": 43, **request}
    return evaluate(NET, calibration=calibration, output=output, **options)


@pytest.fixture(scope="module")
def plain(calibration: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "run.json"
    streamed(calibration, path)
    return path


@pytest.fixture(scope="module")
def adapted(calibration: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adapted") / "run.json"
    streamed(calibration, path, adapt="batchnorm")
    return path


def predicted(path: Path) -> np.ndarray:
    run = read_run(path)
    return read_predictions(path, run).classes[CCC, 1].astype(np.int64)


def inputs(calibration: Path) -> tuple[nn.Module, torch.Tensor, np.ndarray]:
    _, model, card = resolve_model(NET)
    images, labels = ccc("easy", calibration=calibration, speed=20, frames=N).between(0, N)
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - card.mean[0]) / card.std[0]
    return model.eval(), x, labels


def test_a_plain_run_is_a_plain_loop_over_the_frames(plain: Path, calibration: Path) -> None:
    model, x, labels = inputs(calibration)
    with torch.inference_mode():
        expected = model(x).argmax(1).numpy()
    run = read_run(plain)
    assert (predicted(plain) == expected).all()
    assert (read_bits(plain, run)[CCC, 1] == (expected == labels)).all()
    assert [cell.key for cell in run.cells] == [(CCC, 1)]
    assert run.protocol.stream is not None
    assert (run.protocol.n, run.protocol.total, run.protocol.seed) == (N, 7_500_000, 43)


@pytest.mark.parametrize(("adapt", "own"), [("batchnorm", 0), ("batchnorm:10", 10)])
def test_an_adapted_run_has_the_statistics_of_each_batch(
    calibration: Path, tmp_path: Path, adapt: str, own: int
) -> None:
    streamed(calibration, tmp_path / "run.json", adapt=adapt)
    model, x, _ = inputs(calibration)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]  # type: ignore[union-attr]
    expected = []
    for batch in x.split(64):
        share = own / (own + len(batch))

        def renormalise(norm: nn.Module, given: tuple[torch.Tensor], share: float = share) -> None:
            mean, variance = given[0].mean((0, 2, 3)), given[0].var((0, 2, 3), correction=0)
            old_mean, old_variance = before[norms.index(norm)]  # type: ignore[arg-type]
            norm.running_mean = share * old_mean + (1 - share) * mean
            norm.running_var = share * old_variance + (1 - share) * variance

        hooks = [norm.register_forward_pre_hook(renormalise) for norm in norms]
        with torch.no_grad():
            expected.append(model(batch).argmax(1).numpy())
        for hook in hooks:
            hook.remove()
    assert np.mean(predicted(tmp_path / "run.json") == np.concatenate(expected)) == 1


def test_adapted_differs_from_plain_and_says_so(plain: Path, adapted: Path) -> None:
    assert (predicted(plain) != predicted(adapted)).any()
    adaptation = read_run(adapted).protocol.adaptation
    assert adaptation is not None
    assert adaptation.label == "batchnorm-adapted in batches of 64"
    assert read_run(adapted).protocol.stream == read_run(plain).protocol.stream


@pytest.mark.parametrize("adapt", [None, "batchnorm"])
def test_neither_workers_nor_batch_size_change_a_byte(
    plain: Path, adapted: Path, calibration: Path, tmp_path: Path, adapt: str | None
) -> None:
    streamed(calibration, tmp_path / "run.json", adapt=adapt, workers=1, batch_size=17)
    assert without_provenance(tmp_path / "run.json") == without_provenance(adapted if adapt else plain)


@pytest.mark.parametrize("adapt", [None, "batchnorm"])
def test_a_longer_stream_begins_with_the_shorter_one(
    plain: Path, adapted: Path, calibration: Path, tmp_path: Path, adapt: str | None
) -> None:
    streamed(calibration, tmp_path / "run.json", adapt=adapt, limit=N + 30)
    same = N if adapt is None else 128  # the last batch of the shorter one has fewer frames
    shorter = predicted(adapted if adapt else plain)
    assert (predicted(tmp_path / "run.json")[:same] == shorter[:same]).all()


SCRIPT = """
import json, sys
from pathlib import Path
import torch
from ppbench.evaluation import collector
from ppbench.evaluation.api import evaluate
from tests.kills import kill_often

torch.set_num_threads(1)
collector._FLUSH = -1.0
options, output, kills = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
evaluate(**options, output=output + "-first.json")

def work(draw):
    evaluate(**options, output=output, batch_size=draw.choice([1, 3, 8]))

kill_often(work, Path(output + ".journal"), kills, 3, 0.01)
"""


@pytest.mark.parametrize("adapt", [None, "batchnorm:5"])
def test_killed_and_resumed_a_stream_gives_the_same_bytes(calibration: Path, tmp_path: Path, adapt: str | None) -> None:
    options = {
        "model": str(tiny_checkpoint(tmp_path / "net.safetensors", size=16, channels=3, classes=2)),
        "data": str(write_class_folders(tmp_path / "images", classes=2, per_class=5, size=20)), "recipe": "cifar-c",
        "stream": "ccc:hard:30", "calibration": str(calibration), "limit": 200, "seed": 43, "adapt": adapt,
    }  # fmt: skip
    evaluate(**options, output=tmp_path / "whole.json")  # type: ignore[arg-type]
    output, kills = tmp_path / "run.json", 2
    killed = run_killer(SCRIPT, json.dumps(options), str(output), str(kills))
    assert [code for code, _ in killed] == [-9] * kills
    evaluate(**options, output=output)  # type: ignore[arg-type]
    assert without_provenance(output) == without_provenance(tmp_path / "whole.json")
    assert output.with_name("run.bits.npy").read_bytes() == (tmp_path / "whole.bits.npy").read_bytes()


def test_a_changed_image_makes_its_whole_batch_anew(calibration: Path, tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path / "images", classes=2, per_class=40, size=20)
    options = {
        "model": str(tiny_checkpoint(tmp_path / "net.safetensors", size=16, channels=3, classes=2)),
        "data": str(folder), "recipe": "cifar-c", "stream": "ccc:hard:30", "calibration": str(calibration),
        "limit": 80, "adapt": "batchnorm",
    }  # fmt: skip
    # Unreadable at first: the run is not whole, so its journal stays.
    image = folder / "n00000000" / "img000.png"
    content = image.read_bytes()
    image.write_bytes(b"broken")
    with pytest.raises(DataError, match="could not be read"):
        evaluate(**options, output=tmp_path / "run.json")  # type: ignore[arg-type]
    assert (tmp_path / "run.json.journal").exists()
    image.write_bytes(content)
    run = evaluate(**options, output=tmp_path / "run.json")  # type: ignore[arg-type]
    assert run.protocol.unreadable is None
    evaluate(**options, output=tmp_path / "fresh.json")  # type: ignore[arg-type]
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "fresh.json")


def test_without_one_of_its_images_it_is_another_stream(calibration: Path, tmp_path: Path) -> None:
    """Frames of the same numbers are of other images then, which may have equal sizes and times, as from an archive."""
    folder, images = tmp_path / "images", [image for image in photographs(20, 8) for _ in range(2)]
    for number, image in enumerate(images):
        path = folder / "ab"[number % 2] / f"{number:02d}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        os.utime(path, (10**9, 10**9))
    options = {
        "model": str(tiny_checkpoint(tmp_path / "net.safetensors", size=16, channels=3, classes=2)),
        "data": str(folder), "recipe": "cifar-c", "stream": "ccc:hard:5", "calibration": str(calibration), "limit": 40,
    }  # fmt: skip
    (folder / "b" / "03.bmp").write_bytes(b"broken")
    with pytest.raises(DataError, match="of 40 images could not be read") as caught:
        evaluate(**options, output=tmp_path / "run.json")  # type: ignore[arg-type]
    assert "Without one of its images it is another stream" in caught.value.hint
    (folder / "b" / "03.bmp").unlink()
    evaluate(**options, output=tmp_path / "run.json")  # type: ignore[arg-type]
    evaluate(**options, output=tmp_path / "fresh.json")  # type: ignore[arg-type]
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "fresh.json")
    assert (predicted(tmp_path / "run.json") == predicted(tmp_path / "fresh.json")).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"corruptions": ["fog"]}, "--corruptions is given with --stream"),
        ({"severities": [3]}, "--severities is given with --stream"),
        ({"labels": "predicted"}, "--labels predicted"),
        ({"until": 1.0}, "--until is given"),
        ({"passes": 3}, "--passes is given"),
        ({"backend": "imagecorruptions"}, "--backend"),
    ],
)
def test_options_that_make_no_sense_with_a_stream(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        EvalRequest.of(models=NET, stream="ccc", **given).check()


def test_a_stream_needs_a_calibration_and_a_calibration_a_stream(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a calibration"):
        prepare(EvalRequest.of(models=NET, stream="ccc"))
    with pytest.raises(UsageError, match="only for --stream"):
        EvalRequest.of(models=NET, calibration=tmp_path / "c.csv").check()


def test_the_first_line_counts_frames_and_names_no_cell(calibration: Path) -> None:
    request = EvalRequest.of(models=NET, stream="ccc:easy:20", calibration=calibration, limit=N, adapt="batchnorm")
    plan = prepare(request)
    identity: Any = SimpleNamespace(model=SimpleNamespace(weights_sha256=None, runtime=None))
    line = plan.describe(plan.subjects[0], identity)
    assert f"| {N} of 7,500,000 frames of fashion-mnist-2k, 10 classes |" in line
    assert "| batchnorm-adapted in batches of 64 | fp32" in line


def test_runs_in_a_folder_are_named_by_their_stream(calibration: Path, tmp_path: Path) -> None:
    streamed(calibration, tmp_path / "runs", limit=20, adapt="batchnorm")
    assert [path.name for path in (tmp_path / "runs").glob("*.json")] == [
        f"{NET}--fashion-mnist-2k--ccc-easy-20-43--batchnorm-adapted-in-batches-of-64.json"
    ]
