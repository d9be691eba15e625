"""What a person sees: a bar on terminals, lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from ppbench.train.fit import train
from ppbench.train.progress import quiet_lightning, training_progress
from ppbench.train.recipe import TrainRecipe
from tests.trees import write_fashion_mnist

RECIPE = TrainRecipe(model="resnet8", dataset="fashion-mnist", epochs=2, batch_size=20)


def shown(tmp_path: Path, *, terminal: bool) -> tuple[str, list[str]]:
    data = write_fashion_mnist(tmp_path / "data", 60, 20)
    console, said = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None), list[str]()
    with quiet_lightning(), training_progress(console, said.append) as callback:
        train(RECIPE, data, tmp_path / "net.safetensors", callbacks=(callback,), workers=0)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), said


def test_a_terminal_shows_a_bar_with_loss_and_time_left(tmp_path: Path) -> None:
    drawn, said = shown(tmp_path, terminal=True)
    assert said == []
    assert "epoch 2/2  loss " in drawn
    assert "accuracy " in drawn
    assert " left " in drawn


def test_a_file_gets_a_line_per_epoch(tmp_path: Path) -> None:
    drawn, said = shown(tmp_path, terminal=False)
    assert drawn == ""
    assert len(said) == 2
    assert said[0].startswith("epoch 1/2  loss 2.")
    assert "accuracy" in said[0]
    assert said[1].endswith("0:00:00 left")
