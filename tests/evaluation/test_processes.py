"""Any number of processes gives the run file of one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import distributed

from ppbench.evaluation.api import evaluate
from ppbench.evaluation.processes import are_shared
from tests.evaluation.models import tiny_checkpoint
from tests.evaluation.test_kills import without_provenance
from tests.forks import python, run
from tests.trees import write_published

pytestmark = pytest.mark.usefixtures("_small_forwards")

FEW = ["-c", "fog,contrast", "-s", "1-2", "--limit", "37"]


SCRIPT = """
import os, socket, sys
import torch
import ppbench.cli.main, ppbench.cli.show, ppbench.evaluation.api, ppbench.evaluation.processes, ppbench.report.report

torch.set_num_threads(1)
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
count, sys.argv = int(sys.argv[1]), ["ppbench", *sys.argv[2:]]
os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
children = []
for rank in range(count):
    child = os.fork()  # from a process that has all loaded: starting torch anew takes seconds each
    if child == 0:
        os.environ["RANK"] = str(rank)
        ppbench.cli.main.main()
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def processes_of(number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``ppbench eval`` in several processes."""
    return run(SCRIPT, str(number), "eval", *arguments, OMP_NUM_THREADS="1")


def torchrun(number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As a user starts them."""
    launcher = ("--standalone", "--nproc-per-node", str(number), "-m", "ppbench", "eval", *arguments)
    code = "from torch.distributed.run import main\nmain()"
    return run(code, *launcher, name="torchrun", PYTHON_EXEC=python(), OMP_NUM_THREADS="1")


@pytest.mark.parametrize(("processes", "start"), [(2, torchrun), (3, processes_of)])
def test_images_made_on_the_fly(
    tmp_path: Path, processes: int, start: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    evaluate(net, corruptions=["fog", "contrast"], severities="1-2", limit=37, output=tmp_path / "one.json")
    done = start(processes, "-m", net, *FEW, "-o", str(tmp_path / "run.json"), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "one.json")
    assert json.loads((tmp_path / "run.json").read_text())["provenance"]["processes"] == processes
    assert json.loads(done.stdout)["source"] == "net"  # one document: the first process alone talks
    assert done.stderr.count("wrote ") == 1
    assert not list(tmp_path.glob("*.journal"))


def test_a_published_set_with_a_broken_image(tmp_path: Path) -> None:
    tree = write_published(tmp_path / "c", ("fog", "snow"), (1, 2), size=32, per_class=5)
    net = str(tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2))
    broken = sorted((tree / "snow" / "2").rglob("*.png"))[3]
    whole = broken.read_bytes()
    options: dict[str, Any] = {"dataset": "imagefolder", "data": str(tree), "severities": "1-2"}
    evaluate(net, **options, output=tmp_path / "one.json")
    call = ["-m", net, "--dataset", "imagefolder", "--data", str(tree), "-s", "1-2", "--workers", "0"]
    call += ["-o", str(tmp_path / "run.json")]
    broken.write_bytes(whole[:300])
    done = processes_of(2, *call)
    assert done.returncode == 3
    assert done.stderr.count("1 of 10 images could not be read") == 1
    assert str(broken) in done.stderr
    part = json.loads((tmp_path / "run.json").read_text())
    assert [cell["n"] for cell in part["cells"]] == [9, 9, 9, 9]
    assert part["protocol"]["unreadable"] == ["/".join(broken.parts[-2:])]
    assert processes_of(2, *call, "--skip-unreadable").returncode == 0
    broken.write_bytes(whole)
    done = processes_of(2, *call)
    assert done.returncode == 0, done.stderr
    assert "reused 39 of 40 image evaluations" in done.stderr
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "one.json")


def test_sequences_made_on_the_fly(tmp_path: Path) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    what: dict[str, Any] = {"dataset": "fashion-mnist-2k-p", "corruptions": ["translate"]}
    one = evaluate(net, **what, severities="1-2", limit=5, output=tmp_path / "one.json")
    call = ("--dataset", "fashion-mnist-2k-p", "-c", "translate", "-s", "1-2", "--limit", "5")
    done = processes_of(2, "-m", net, *call, "-o", str(tmp_path / "run.json"))
    assert done.returncode == 0, done.stderr
    # The hash of the trials, image by image, is in the run file.
    assert without_provenance(tmp_path / "run.json") == without_provenance(tmp_path / "one.json")
    assert json.loads((tmp_path / "run.json").read_text())["provenance"]["processes"] == 2
    assert any(cell.top5_distance for cell in one.cells)


def test_a_mistake_is_told_once(tmp_path: Path) -> None:
    done = processes_of(2, "-m", "resnet5", "-o", str(tmp_path / "run.json"))
    assert done.returncode == 2
    assert done.stderr.count("unknown model 'resnet5'") == 1
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("other", "shared"), [("host//0", True), ("host//1", False), ("other host//0", False)])
def test_processes_notice_that_they_share_a_card(other: str, shared: bool) -> None:
    store = distributed.HashStore()
    store.set("card/1", other)
    assert are_shared("host//0", store, 0, 2) is shared
