"""Killed at random moments and started again, an evaluation ends with the same run file as an unbroken one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ppbench.evaluation.api import evaluate
from ppbench.run import read_run
from tests.conftest import forwards_of
from tests.evaluation.models import tiny_checkpoint
from tests.kills import run_killer
from tests.trees import write_published

KILLS = 20

SCRIPT = """
import json, sys
from pathlib import Path
import torch
from ppbench.evaluation import collector
from ppbench.evaluation.api import evaluate
from tests.kills import kill_often

torch.set_num_threads(1)
collector._FLUSH = -1.0  # write down every batch, so that there is much to be torn
options, output, kills = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
# Unbroken. It loads all that is needed, so that children start at once.
evaluate(**options, output=str(Path(output).with_name("whole.json")))

def work(draw):
    evaluate(**options, output=output, batch_size=draw.choice([1, 3, 8]))

kill_often(work, Path(output + ".journal"), kills, 8, 0.01)
"""


@pytest.fixture(scope="module", autouse=True)
def _forwards_of_a_batch() -> Iterator[None]:
    yield from forwards_of(8, 4)


def without_provenance(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    del content["provenance"]
    for part in ("bits", "predictions", "trials"):
        if content.get(part) is not None:
            content[part].pop("file")
    return content


@pytest.mark.parametrize("kind", ["generated", "published"])
def test_killed_20_times(tmp_path: Path, kind: str) -> None:
    options: dict[str, Any] = {"corruptions": ["noise", "contrast", "fog"], "severities": ["1-3"], "limit": 80}
    options["force"] = True  # the network has random weights
    options["model"] = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    if kind == "published":
        tree = write_published(tmp_path / "c", ("fog", "snow", "frost"), (1, 2, 3), size=32, per_class=60)
        model = str(tiny_checkpoint(tmp_path / "colour.safetensors", size=32, channels=3, classes=2))
        options |= {"model": model, "dataset": "imagefolder", "data": str(tree), "corruptions": None, "limit": None}
    output = tmp_path / "run.json"
    killed = run_killer(SCRIPT, json.dumps(options), str(output), str(KILLS))
    assert [code for code, _ in killed] == [-9] * KILLS
    progress = [lines for _, lines in killed]
    assert progress == sorted(progress)
    assert progress[-1] > progress[0]
    assert not output.exists()
    run = evaluate(**options, output=output)
    assert run.status == "complete"
    assert without_provenance(output) == without_provenance(tmp_path / "whole.json")
    assert read_run(output).cells == read_run(tmp_path / "whole.json").cells
    assert not list(tmp_path.glob("*.journal"))
