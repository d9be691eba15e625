"""Networks of a user's own code whose weights ppbench cannot see: nothing is reused, nothing is claimed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ppbench.check.judge import check_files
from ppbench.compare.comparison import compare
from ppbench.compare.measured import read_compared
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.loop import measure
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.report.stopped import how_it_ended
from ppbench.run import Run, read_run
from tests.evaluation.models import tiny_card

pytestmark = pytest.mark.usefixtures("_small_forwards")

CODE = """
import mmap
import numpy as np
import torch
from torch import nn

class Session(nn.Module):
    '''Weights in a file that only an object of compiled code holds, as a session of ONNX Runtime does.'''

    def __init__(self):
        super().__init__()
        with open("weights.bin", "rb") as file:
            self.session = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def forward(self, x):
        weights = torch.from_numpy(np.frombuffer(self.session[:], np.float32).copy())
        return x.flatten(1) @ weights.view(-1, 10)

def make(): return Session()

BIAS = np.arange(10, dtype=np.float32)

def reads(images):
    weights = np.fromfile("weights.bin", np.float32).reshape(-1, 10)
    return images.reshape(len(images), -1) @ weights + BIAS

def reading(): return reads
def known():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
"""
SPEC, OPTIONS = "code_of_mine:make", CardOptions(mean=(0.4,), std=(0.3,), input_size=28)
FEW: dict[str, Any] = {"corruptions": ["fog"], "severities": ["1-3"], "limit": 64, "force": True}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    Path("code_of_mine.py").write_text(CODE)
    write_weights(0)
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)  # every batch is written down at once
    yield
    sys.modules.pop("code_of_mine", None)


def write_weights(seed: int) -> None:
    # Another file of the same name, as a new export is; the old one stays with whoever has it open.
    Path("new.bin").write_bytes(np.random.default_rng(seed).normal(size=(784, 10)).astype(np.float32).tobytes())
    Path("new.bin").replace("weights.bin")


def measured(target: str, *, stop_after: int | None = None, spec: str = SPEC, **more: Any) -> tuple[Run, list[str]]:
    """The run, and what was said; stopped like by Ctrl-C after so many batches."""
    said: list[str] = []
    batches = 0

    def advance(cell: tuple[str, int], images: int) -> None:
        nonlocal batches
        batches += 1
        if stop_after is not None and batches > stop_after:
            raise KeyboardInterrupt

    request = EvalRequest((spec,), output=Path(target), **FEW, card_options=OPTIONS, **more)
    found = measure(prepare(request), say=said.append, advance=advance)
    return found.runs[0].run, said


def counts(run: Run) -> list[tuple[str, int, int]]:
    return [(*cell.key, cell.top1) for cell in run.cells]


def test_what_another_model_finished_is_not_reused() -> None:
    measured("run.json", stop_after=2)
    assert len(Path("run.json.journal").read_text().splitlines()) > 1
    write_weights(1)
    resumed, said = measured("run.json")
    assert not any("reused" in line for line in said)
    assert any("it is not known whether it is of the same weights; starting over" in line for line in said)
    assert any("its weights are unknown" in line and "--weights-file" in line for line in said)
    assert counts(resumed) == counts(measured("other.json")[0])
    assert resumed.model.weights_sha256 is None
    assert read_run(Path("run.json")) == resumed


def test_in_a_folder_nothing_takes_its_place() -> None:
    for _ in range(3):
        measured("runs")
    assert len(list(Path("runs").glob("*.json"))) == 3


def test_a_finished_run_is_not_replaced_without_a_word() -> None:
    measured("run.json")
    write_weights(1)
    with pytest.raises(UsageError, match="is the finished run of make, whose weights are not known to be these"):
        measured("run.json")
    measured("run.json", overwrite=True)


def test_weights_that_are_read_at_each_call_are_not_known_by_the_arrays_beside_them() -> None:
    run, said = measured("run.json", spec="code_of_mine:reading")
    assert run.model.weights_sha256 is None
    assert any("unknown (it reads weights.bin when it is called)" in line for line in said)
    named = measured("named.json", spec="code_of_mine:reading", weights_files=(Path("weights.bin"),))[0]
    assert named.model.weights_sha256


def test_a_file_that_is_named_tells_the_weights() -> None:
    files = (Path("weights.bin"),)
    measured("run.json", stop_after=2, weights_files=files)
    again, said = measured("run.json", weights_files=files)
    assert any("reused" in line for line in said)
    assert again.model.weights_sha256
    measured("run.json", stop_after=2, weights_files=files)
    write_weights(1)
    other, said = measured("run.json", weights_files=files, overwrite=True)
    assert any("weights differs); starting over" in line for line in said)
    assert other.model.weights_sha256 != again.model.weights_sha256


def test_no_claim_is_made_of_two_unknown_models() -> None:
    measured("one.json")
    write_weights(1)
    measured("other.json")
    one, other = read_compared([Path("one.json"), Path("other.json")])
    assert not compare(one, other, None).same_weights
    assert not compare(one, one, None).same_weights
    verdict = check_files(Path("other.json"), Path("one.json"), {"clean": 100.0})
    assert not any("same weights" in remark for remark in verdict.remarks)


def test_the_hash_of_nothing_in_files_of_before_is_unknown() -> None:
    measured("run.json")
    text = Path("run.json").read_text()
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert '"weights_sha256": null' in text
    Path("run.json").write_text(text.replace('"weights_sha256": null', f'"weights_sha256": "{nothing}"'))
    assert read_run(Path("run.json")).model.weights_sha256 is None


def test_the_python_interface_takes_the_files_too() -> None:
    network = nn.Sequential(nn.Flatten())
    network.forward = lambda x: x.flatten(1)[:, :10]  # type: ignore[method-assign]
    few = {**FEW, "card": tiny_card()}
    assert evaluate(network, **few).model.weights_sha256 is None
    named = evaluate(network, weights_files="weights.bin", **few).model.weights_sha256
    assert named == evaluate(network, weights_files=[Path("weights.bin")], **few).model.weights_sha256 is not None


class Counts(nn.Module):
    """Changes whenever it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(784, 10, generator=torch.Generator().manual_seed(0)))
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.weight += 0.01
        return x.flatten(1) @ self.weight


class Caches(Counts):
    """Makes something at the first call, and keeps it."""

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = torch.ones(10)
        return x.flatten(1) @ self.weight * self.kept


@pytest.mark.parametrize(("network", "steady"), [(Counts, False), (Caches, True)])
def test_a_network_that_changes_when_it_is_called(network: type[nn.Module], steady: bool) -> None:
    card: Card = tiny_card()
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run = evaluate(model, card=card, **{**FEW, "limit": 10})
    assert (run.model.weights_sha256 is not None) == steady
    if steady:
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_decision_against_a_model_that_is_not_known() -> None:
    measured("one.json")
    said = measured("other.json", until_decided=Path("one.json"), max_drop=5.0)[0].stopping
    assert said is not None
    assert said.baseline is None
    ended = how_it_ended(said.model_copy(update={"reached": False}), 64, 2000)
    assert ended.endswith("not reached with all 64 images that both have")


@pytest.mark.parametrize(
    ("models", "error", "message"),
    [
        (["fashion-mnist-resnet8"], UsageError, "--weights-file is not for --model fashion-mnist-resnet8"),
        ([SPEC, SPEC], UsageError, "--weights-file is given for 2 models"),
        ([SPEC], DataError, "--weights-file none.onnx is not a file"),
    ],
)
def test_files_that_are_named_wrongly(models: list[str], error: type[Exception], message: str) -> None:
    files = (Path("none.onnx" if error is DataError else "weights.bin"),)
    with pytest.raises(error, match=message):
        prepare(EvalRequest(tuple(models), **FEW, card_options=OPTIONS, weights_files=files))
