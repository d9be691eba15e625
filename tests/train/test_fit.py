"""Training runs on a miniature of Fashion-MNIST (real images)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from pydantic import ValidationError
from torch.nn import functional as F

from ppbench.errors import DataError, UsageError
from ppbench.models.checkpoint import load_checkpoint, weights_hash
from ppbench.train.fit import train
from ppbench.train.recipe import TrainRecipe
from tests.trees import write_fashion_mnist

RECIPE = TrainRecipe(model="resnet8-pp", dataset="fashion-mnist", epochs=3, batch_size=50, lr=0.05)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fashion_mnist(tmp_path_factory.mktemp("fashion-mnist"))


class Losses(Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        self.values.append(float(outputs["loss"]))


class Kill(Callback):
    """Stops the run dead, in the middle of the second epoch, as a killed process would."""

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if trainer.current_epoch == 1 and index == 2:
            raise RuntimeError("killed")


def run(
    data: Path, output: Path, recipe: TrainRecipe = RECIPE, *callbacks: Callback, said: list[str] | None = None
) -> str:
    train(recipe, data, output, callbacks=callbacks, report=(said if said is not None else []).append)
    return weights_hash(load_checkpoint(output).model)


def test_the_loss_falls_and_the_card_tells_all(data: Path, tmp_path: Path) -> None:
    losses = Losses()
    output = tmp_path / "net.safetensors"
    recipe = RECIPE.model_copy(update={"epochs": 8})
    trained = train(recipe, data, output, callbacks=(losses,), command="ppbench train --epochs 8")
    assert sum(losses.values[-6:]) < 0.8 * sum(losses.values[:6])
    card = load_checkpoint(output).card
    assert card.architecture == "resnet8-pp3"
    assert (card.seed, card.trained_on, card.command) == (0, "fashion-mnist", "ppbench train --epochs 8")
    assert card.recipe == recipe.model_dump()
    assert card.versions is not None
    assert {"ppbench", "torch", "lightning", "python"} <= set(card.versions)
    assert card.clean_accuracy == trained.clean_accuracy
    assert not output.with_name("net.safetensors.part").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_the_cards_accuracy_is_that_of_the_written_weights(data: Path, tmp_path: Path) -> None:
    from ppbench.train.data import load_training_data

    run(data, tmp_path / "net.safetensors")
    model, card = load_checkpoint(tmp_path / "net.safetensors")
    test = load_training_data("fashion-mnist", data)
    x = (test.test_images.float() / 255 - card.mean[0]) / card.std[0]
    with torch.no_grad():
        right = (model(x).argmax(1) == test.test_labels).double().mean()
    assert card.clean_accuracy == pytest.approx(float(right), abs=1e-9)


def test_a_killed_run_resumes_and_ends_with_the_same_weights(data: Path, tmp_path: Path) -> None:
    unbroken = run(data, tmp_path / "a.safetensors")
    output = tmp_path / "b.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, RECIPE, Kill())
    assert not output.exists()
    said: list[str] = []
    assert run(data, output, said=said) == unbroken
    assert said[0].startswith("resuming from")


def test_the_state_of_another_recipe_or_other_data_is_neither_used_nor_lost(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, RECIPE, Kill())
    state = (tmp_path / "net.safetensors.part" / "last.ckpt").read_bytes()
    with pytest.raises(UsageError, match="holds the unfinished run of another recipe or other data"):
        run(data, output, RECIPE.model_copy(update={"seed": 1}))
    with pytest.raises(UsageError, match="holds the unfinished run of another recipe or other data"):
        run(write_fashion_mnist(tmp_path / "other", train=310), output)
    assert (tmp_path / "net.safetensors.part" / "last.ckpt").read_bytes() == state


@pytest.mark.parametrize("file", [False, True])
def test_what_is_not_ours_is_not_deleted(data: Path, tmp_path: Path, file: bool) -> None:
    part = tmp_path / "net.safetensors.part"
    mine = part if file else part / "mine.txt"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("precious")
    with pytest.raises(UsageError, match="holds something else"):
        run(data, tmp_path / "net.safetensors")
    assert mine.read_text() == "precious"


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04cos\nsystem\n(S'touch planted'\ntR."])
def test_a_damaged_state_is_named_and_nothing_it_names_is_run(
    data: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "net.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, RECIPE, Kill())
    (tmp_path / "net.safetensors.part" / "last.ckpt").write_bytes(content)
    with pytest.raises(DataError, match="cannot go on from") as caught:
        run(data, output)
    assert "Delete" in caught.value.hint
    assert not (tmp_path / "planted").exists()


def test_files_of_others_in_the_state_folder_outlive_the_run(data: Path, tmp_path: Path) -> None:
    class Leave(Callback):
        def on_train_end(self, trainer: Any, module: Any) -> None:
            (tmp_path / "net.safetensors.part" / "notes.txt").write_text("mine")

    run(data, tmp_path / "net.safetensors", RECIPE.model_copy(update={"epochs": 1}), Leave())
    assert [p.name for p in (tmp_path / "net.safetensors.part").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "values",
    [{"seed": 2**32}, {"seed": -1}, {"inhibition": math.nan}, {"lr": math.inf}, {"lr": 0.0}, {"epochs": 0}],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainRecipe(model="resnet8", dataset="fashion-mnist", **values)


def test_the_schedule_keeps_its_proportions() -> None:
    recipe = TrainRecipe(model="resnet8", dataset="fashion-mnist", lr=0.004)
    assert (recipe.lr_start, recipe.lr_end) == pytest.approx((1e-4, 1e-7), rel=1e-12)
    standard = TrainRecipe(model="resnet8", dataset="fashion-mnist")
    assert (standard.lr_start, standard.lr, standard.lr_end) == (5e-3, 0.2, 5e-6)  # the paper's


def test_seeds_matter_and_runs_repeat(data: Path, tmp_path: Path) -> None:
    short = RECIPE.model_copy(update={"epochs": 1})
    first, again = run(data, tmp_path / "a.safetensors", short), run(data, tmp_path / "b.safetensors", short)
    other = run(data, tmp_path / "c.safetensors", short.model_copy(update={"seed": 1}))
    assert first == again != other


def test_plain_and_push_pull_start_from_equal_weights_and_batches(data: Path, tmp_path: Path) -> None:
    """The pair of embedded checkpoints is comparable because of this."""
    seen: dict[str, torch.Tensor] = {}

    class First(Callback):
        def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
            if index == 0 and trainer.current_epoch == 0:
                weights = torch.cat([p.detach().flatten() for _, p in sorted(module.network.named_parameters())])
                seen[module.recipe.model] = torch.cat(
                    [weights, batch[0].float().flatten(), F.one_hot(batch[1]).flatten()]
                )

    for name in ("resnet8", "resnet8-pp"):
        run(data, tmp_path / f"{name}.safetensors", RECIPE.model_copy(update={"model": name, "epochs": 1}), First())
    assert torch.equal(seen["resnet8"], seen["resnet8-pp"])


def test_an_output_that_cannot_be_written_is_told_before_training(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        run(data, tmp_path / "file" / "net.safetensors")
    with pytest.raises(DataError, match="it is a folder"):
        run(data, tmp_path)
