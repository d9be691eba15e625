"""What the shell completes in the values of options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app


def asked(line: str) -> dict[str, str]:
    """What bash asks for the last word of a line, in the environment."""
    return {"_PPBENCH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ppbench ev", ["eval"]),
        ("ppbench show --format mark", ["markdown"]),
        ("ppbench eval --model fashion", ["fashion-mnist-resnet8", "fashion-mnist-resnet8-pp3"]),
        ("ppbench eval -m resnet8-p", ["resnet8-pp", "resnet8-pp3", "resnet8-pp5", "resnet8-pp0", "resnet8-pp2020"]),
        ("ppbench eval --dataset tiny", ["tiny-imagenet-c", "tiny-imagenet-p"]),
        ("ppbench eval -c fo", ["fog", "fog_3d"]),
        ("ppbench eval --corruptions c1", ["c15", "c19"]),
        ("ppbench eval --recipe cifar", ["cifar-c", "cifar-c-bar", "cifar-p"]),
        ("ppbench corrupt photos --corruption frost", ["frost"]),
        ("ppbench corrupt photos --perturbation p", ["p14", "p10", "p4"]),
        ("ppbench corrupt photos --recipe cifar", ["cifar-c", "cifar-c-bar", "cifar-p"]),
        ("ppbench convert --model fashion-mnist-resnet8-p", ["fashion-mnist-resnet8-pp3"]),
        ("ppbench inspect net.safetensors --corruption impulse", ["impulse_noise"]),
        ("ppbench train --model resnet8-pp5", ["resnet8-pp5"]),
        ("ppbench train --recipe fine", ["finetune"]),
        ("ppbench eval --until-metric m", ["mCE", "mean_error"]),
    ],
)
def test_the_shell_completes(line: str, expected: list[str]) -> None:
    done = CliRunner().invoke(app, prog_name="ppbench", env=asked(line))
    assert done.stdout.split() == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ppbench eval --model fashion-mnist-resnet8-p", "fashion-mnist-resnet8-pp3"),
        ("ppbench train --recipe fine", "finetune"),
    ],
)
def test_completion_loads_no_torch(line: str, expected: str) -> None:
    code = "import atexit, sys; sys.argv = ['ppbench']; atexit.register(lambda: print('torch' in sys.modules)); "
    code += "from ppbench.cli.main import main; main()"
    environment = os.environ | asked(line)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [expected, "False"]
