"""Training runs on a miniature of Fashion-MNIST (real images)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional as F

from ppbench.errors import DataError
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
    train(
        recipe, data, output, callbacks=callbacks, accelerator="cpu", report=(said if said is not None else []).append
    )
    return weights_hash(load_checkpoint(output).model)


def test_the_loss_falls_and_the_card_tells_all(data: Path, tmp_path: Path) -> None:
    losses = Losses()
    output = tmp_path / "net.safetensors"
    recipe = RECIPE.model_copy(update={"epochs": 8})
    trained = train(recipe, data, output, callbacks=(losses,), accelerator="cpu", command="ppbench train --epochs 8")
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


def test_another_recipe_does_not_resume_and_says_why(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "net.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, RECIPE, Kill())
    said: list[str] = []
    other = RECIPE.model_copy(update={"seed": 1})
    resumed = run(data, output, other, said=said)
    assert "its recipe differs" in said[0]
    assert resumed == run(data, tmp_path / "fresh.safetensors", other)


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
