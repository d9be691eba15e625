"""What a person sees: a bar on terminals, lines elsewhere."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from ppbench.train.fit import train
from ppbench.train.progress import LinesOfTraining, TrainingPace, quiet_lightning, training_progress
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
    assert "epoch 2/2  step 3/3  loss " in drawn
    assert "accuracy " in drawn
    assert " elapsed " in drawn
    assert " images/s  0:00:0" in drawn
    assert " left" in drawn


def test_a_file_gets_lines_within_an_epoch(tmp_path: Path) -> None:
    """At every step here; by default every ten seconds, where there were none before an epoch's end."""
    said: list[str] = []
    data = write_fashion_mnist(tmp_path / "data", 60, 20)
    train(
        RECIPE, data, tmp_path / "net.safetensors", callbacks=(LinesOfTraining(said.append, every=0.0),),
        workers=0, validate_every=0,
    )  # fmt: skip
    form = r"epoch (\d)/2  step (\d)/3  loss \d\.\d{4}  (-|[\d,.e+]+) images/s  (\?|\d:\d\d:\d\d) left"
    found = [re.fullmatch(form, line) for line in said]
    assert [match and match.groups()[:2] for match in found] == [
        ("1", "1"), ("1", "2"), None, ("2", "1"), ("2", "2"), None,
    ]  # fmt: skip
    assert found[0]
    assert found[0].groups()[2:] == ("-", "?")  # the first step says nothing of those to come
    assert found[1]
    assert found[1][3] != "-"
    assert found[1][4] != "?"


def test_the_pace_leaves_out_the_first_step_and_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 60.0, 60.0, 70.0, 70.0, 70.0])
    monkeypatch.setattr("ppbench.train.progress.time.monotonic", lambda: next(clock))
    pace = TrainingPace(step=100, steps=120, batch_size=32)
    assert pace.is_due(101, 10.0)  # after a minute of starting
    assert pace.look(101) == "- images/s  ? left"
    assert pace.is_due(111, 10.0)
    assert pace.look(111) == "32 images/s  0:00:09 left"


def test_a_file_gets_a_line_per_epoch(tmp_path: Path) -> None:
    drawn, said = shown(tmp_path, terminal=False)
    assert drawn == ""
    assert len(said) == 2
    assert said[0].startswith("epoch 1/2  loss 2.")
    assert "accuracy" in said[0]
    assert said[1].endswith("0:00:00 left")
