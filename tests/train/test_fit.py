"""Training runs on miniatures of real data: every recipe, augmentations, kills, faults."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional as F

import ppbench.files
from ppbench.errors import DataError, UsageError
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.embedded import embedded_path
from ppbench.models.weights import weights_hash
from ppbench.train.data import load_training_data
from ppbench.train.fit import train
from ppbench.train.images import MemoryImages
from ppbench.train.module import TrainingDivergedError
from ppbench.train.recipe import TrainRecipe, make_recipe, read_recipe, recipe_names
from tests.train.trees import write_cifar, write_image_folders
from tests.trees import write_fashion_mnist

RECIPE = TrainRecipe(model="resnet8-pp", dataset="fashion-mnist", epochs=3, batch_size=5, lr=0.05)
QUICK = {"workers": 0, "validate_every": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images for four steps an epoch."""
    return write_fashion_mnist(tmp_path_factory.mktemp("fashion-mnist"), 20, 10)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in class folders, 16 of each class to train on."""
    return write_image_folders(tmp_path_factory.mktemp("photographs"), train=16)


@pytest.fixture(scope="module")
def killed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of `RECIPE` that was killed in its second epoch."""
    output = tmp_path_factory.mktemp("killed") / "net.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, RECIPE, Kill())
    return output.with_name("net.safetensors.part")


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `RECIPE` trains."""
    output = tmp_path_factory.mktemp("unbroken") / "net.safetensors"
    run(data, output)
    return output


@pytest.fixture(scope="module")
def short(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one epoch of it trains."""
    output = tmp_path_factory.mktemp("short") / "net.safetensors"
    run(data, output, changed(epochs=1))
    return output


def hash_of(path: Path) -> str:
    return weights_hash(load_checkpoint(path).model)


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


def changed(**values: Any) -> TrainRecipe:
    return TrainRecipe.model_validate({**RECIPE.model_dump(), **values})


def run(
    data: Path, output: Path, recipe: TrainRecipe = RECIPE, *callbacks: Callback, said: list[str] | None = None
) -> str:
    train(recipe, data, output, callbacks=callbacks, report=(said if said is not None else []).append, **QUICK)  # type: ignore[arg-type]
    return hash_of(output)


def test_the_loss_falls_and_the_card_tells_all(data: Path, tmp_path: Path) -> None:
    losses = Losses()
    output = tmp_path / "net.safetensors"
    recipe = changed(epochs=8)
    trained = train(recipe, data, output, callbacks=(losses,), command="ppbench train --epochs 8", workers=0)
    assert trained is not None
    assert sum(losses.values[-4:]) < 0.8 * sum(losses.values[:4])
    card = load_checkpoint(output).card
    assert card.architecture == "resnet8-pp3"
    assert (card.seed, card.trained_on, card.command) == (0, "fashion-mnist", "ppbench train --epochs 8")
    assert card.recipe == recipe.model_dump()
    assert card.trained_on_corruptions == ()
    assert card.versions is not None
    assert {"ppbench", "torch", "lightning", "python"} <= set(card.versions)
    assert card.clean_accuracy == trained.clean_accuracy
    assert not output.with_name("net.safetensors.part").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains_for_two_epochs(tmp_path: Path, photographs: Path, name: str) -> None:
    """On photographs, the loss of the second epoch is below that of the first.

    With the recipe's own learning rate, but for ImageNet's 1.0, which dozens of images do not bear.
    """
    values: dict[str, Any] = {"model": "resnet8", "batch_size": 8, "epochs": 2}
    if name.startswith("paper-imagenet-"):
        values["lr"] = 0.2
    if name == "fashion-mnist":
        data = write_fashion_mnist(tmp_path / "data", 60, 10)
    elif name == "paper-cifar10-30":
        data = write_cifar(tmp_path / "data", count=24)
    else:
        data = photographs
        values |= {"dataset": "imagefolder", "resize": 36, "crop_size": 32, "test_resize": 32}
    recipe = make_recipe(read_recipe(name), values)
    output = tmp_path / "net.safetensors"
    train(recipe, data, output, workers=0, log_dir=tmp_path / "log")
    with (tmp_path / "log" / "metrics.csv").open() as file:
        first, second = csv.DictReader(file)
    assert float(second["loss"]) < float(first["loss"])
    assert 0 <= float(second["accuracy"]) <= 1
    card = load_checkpoint(output).card
    assert card.recipe == recipe.model_dump()
    assert card.input_size == recipe.crop_size
    assert card.resize == recipe.test_resize


def test_the_cards_accuracy_is_that_of_the_written_weights(data: Path, unbroken: Path) -> None:
    model, card = load_checkpoint(unbroken)
    test = load_training_data(RECIPE, data).test
    assert isinstance(test, MemoryImages)
    x = (test.pixels.float() / 255 - card.mean[0]) / card.std[0]
    with torch.no_grad():
        right = (model(x).argmax(1).numpy() == test.labels).mean()
    assert card.clean_accuracy == pytest.approx(float(right), abs=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        {"augment": "trivialaugment"},
        {"augment": "augmix", "jsd": True},
        {"augment": "prime"},
        {"ema": 0.9, "grad_clip": 1.0, "optimizer": "adamw", "lr": 0.002, "schedule": "cosine"},
        {"precision": "bf16", "nesterov": True},
        {"momentum": 0.95, "momentum_low": 0.5},
    ],
    ids=["trivialaugment", "augmix-jsd", "prime", "ema-clip-adamw", "bf16", "momentum"],
)
def test_a_killed_run_resumes_and_ends_with_the_same_weights(tmp_path: Path, values: dict[str, Any]) -> None:
    slow = "augment" in values or "precision" in values
    small = write_fashion_mnist(tmp_path / "data", 8, 4)
    recipe = changed(**{"epochs": 2 if slow else 3, "batch_size": 2, **values})
    unbroken = run(small, tmp_path / "a.safetensors", recipe)
    output = tmp_path / "b.safetensors"
    with pytest.raises(RuntimeError, match="killed"):
        run(small, output, recipe, Kill())
    assert not output.exists()
    torch.manual_seed(99)  # a new process has another global state
    said: list[str] = []
    assert run(small, output, recipe, said=said) == unbroken
    assert said[0].startswith("resuming from")


class Steps(Callback):
    """Learning rate and momentum with which every step is made."""

    def __init__(self) -> None:
        self.made: list[tuple[float, float]] = []

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        group = optimizer.param_groups[0]
        self.made.append((group["lr"], group["momentum"]))


def test_the_papers_steps_are_torchs_also_after_a_kill(data: Path, tmp_path: Path) -> None:
    values = {"model": "resnet8", "dataset": "fashion-mnist", "epochs": 3, "batch_size": 5, "crop_size": 28}
    recipe, output = make_recipe(read_recipe("paper-cifar10-30"), values), tmp_path / "net.safetensors"
    before, after = Steps(), Steps()
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, recipe, before, Kill())
    run(data, output, recipe, after)
    steps = 3 * len(before.made[:-3])  # the kill is at the third step of the second epoch
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), 1.0, 0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.2, steps, pct_start=0.3, div_factor=0.2 / 5e-3, final_div_factor=5e-3 / 5e-6
    )
    made = before.made[:-3] + after.made
    assert len(made) == steps
    for rate, momentum in made:
        group = optimizer.param_groups[0]
        assert (rate, momentum) == pytest.approx((group["lr"], group["momentum"]), rel=1e-9, abs=1e-12)
        optimizer.step()
        schedule.step()
    card = load_checkpoint(output).card
    assert card.recipe is not None
    assert (card.recipe["momentum"], card.recipe["momentum_low"]) == (0.95, 0.85)


@pytest.mark.parametrize("cycled", [True, False])
def test_a_plain_run_goes_on_also_from_a_state_of_before_the_momentum_was_cycled(
    data: Path, tmp_path: Path, killed: Path, unbroken: Path, cycled: bool
) -> None:
    output = tmp_path / "net.safetensors"
    note = shutil.copytree(killed, tmp_path / "net.safetensors.part") / "run.json"
    if not cycled:
        written = json.loads(note.read_text())
        del written["recipe"]["momentum_low"]
        note.write_text(json.dumps(written))
    torch.manual_seed(99)  # a new process has another global state
    said: list[str] = []
    assert run(data, output, said=said) == hash_of(unbroken)
    assert said[0].startswith("resuming from")


def test_a_run_killed_after_its_last_epoch_only_writes(data: Path, tmp_path: Path, short: Path) -> None:
    class KillAtEnd(Callback):
        def on_train_end(self, trainer: Any, module: Any) -> None:
            raise RuntimeError("killed")

    output, losses = tmp_path / "net.safetensors", Losses()
    with pytest.raises(RuntimeError, match="killed"):
        run(data, output, changed(epochs=1), KillAtEnd())
    resumed = run(data, output, changed(epochs=1), losses)
    assert losses.values == []
    assert resumed == hash_of(short)


def test_tests_in_between_change_nothing(data: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    train(changed(epochs=2), data, one, workers=0, validate_every=1)
    train(changed(epochs=2), data, other, workers=1, validate_every=0)
    assert weights_hash(load_checkpoint(one).model) == weights_hash(load_checkpoint(other).model)


def test_the_moving_average_is_what_is_saved(data: Path, tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    class Follow(Callback):
        def on_before_zero_grad(self, trainer: Any, module: Any, optimizer: Any) -> None:
            if trainer.global_step > len(seen):
                seen.append(module.network.fc.weight.detach().clone())

        def on_train_end(self, trainer: Any, module: Any) -> None:
            seen.append(module.network.fc.weight.detach().clone())

    run(data, tmp_path / "net.safetensors", changed(epochs=1, ema=0.8), Follow())
    average = seen[0]
    for weight in seen[1:]:
        average = 0.8 * average + 0.2 * weight
    saved = load_checkpoint(tmp_path / "net.safetensors").model.fc.weight
    assert len(seen) == 4
    assert torch.allclose(saved, average, atol=1e-6)
    assert not torch.allclose(saved, seen[-1], atol=1e-4)


def test_gradients_are_clipped(data: Path, tmp_path: Path) -> None:
    class Norms(Callback):
        def __init__(self) -> None:
            self.values: list[float] = []

        def on_before_zero_grad(self, trainer: Any, module: Any, optimizer: Any) -> None:
            gradients = [p.grad for p in module.network.parameters() if p.grad is not None]
            if gradients:
                self.values.append(float(torch.cat([g.flatten() for g in gradients]).norm()))

    free, clipped = Norms(), Norms()
    run(data, tmp_path / "a.safetensors", changed(epochs=1), free)
    run(data, tmp_path / "b.safetensors", changed(epochs=1, grad_clip=0.01), clipped)
    assert max(clipped.values) < 0.0101 < max(free.values)


def test_the_state_of_another_recipe_or_other_data_is_neither_used_nor_lost(
    data: Path, tmp_path: Path, killed: Path
) -> None:
    output = tmp_path / "net.safetensors"
    state = (shutil.copytree(killed, tmp_path / "net.safetensors.part") / "last.ckpt").read_bytes()
    with pytest.raises(UsageError, match="holds the unfinished run of another recipe or of other data"):
        run(data, output, changed(seed=1))
    with pytest.raises(UsageError, match="holds the unfinished run of another recipe or of other data"):
        run(write_fashion_mnist(tmp_path / "other", 35, 10), output)
    assert (tmp_path / "net.safetensors.part" / "last.ckpt").read_bytes() == state


def test_a_run_that_failed_in_its_first_epoch_is_in_nobodys_way(data: Path, tmp_path: Path) -> None:
    output, part = tmp_path / "net.safetensors", tmp_path / "net.safetensors.part"
    with pytest.raises(TrainingDivergedError):
        run(data, output, changed(lr=1e30))
    assert list(tmp_path.iterdir()) == []
    part.mkdir()  # as a kill between two files leaves it
    (part / "run.json").write_text('{"recipe": {}}')
    (part / ".last.ckpt.k3x_").write_bytes(b"half")
    run(data, output, changed(epochs=1))
    assert list(tmp_path.iterdir()) == [output]


class TestAnOutputThatIsThere:
    def test_what_is_finished_is_not_trained_again(self, data: Path, tmp_path: Path) -> None:
        output, losses, said = tmp_path / "net.safetensors", Losses(), list[str]()
        first = train(changed(epochs=1), data, output, **QUICK)  # type: ignore[arg-type]
        content = output.read_bytes()
        # what a recipe is called makes no difference
        again = train(changed(epochs=1, name="mine"), data, output, callbacks=(losses,), report=said.append)
        assert again == first
        assert losses.values == []
        assert said == [f"already finished: {output} was trained with this recipe (`--overwrite` trains it again)"]
        assert output.read_bytes() == content

    def test_another_network_is_neither_taken_nor_lost(self, data: Path, tmp_path: Path, short: Path) -> None:
        output = Path(shutil.copy(short, tmp_path))
        content = output.read_bytes()
        with pytest.raises(UsageError, match=r"exists and was trained with another recipe \(epochs, seed\)") as caught:
            run(data, output, changed(seed=3))
        assert "`--overwrite`" in caught.value.hint
        with pytest.raises(UsageError, match="exists and was trained on other classes"):
            train(changed(epochs=1), data, output, classes=["Coat", "Bag"], **QUICK)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="exists and was trained from other weights"):
            train(changed(epochs=1), data, output, initial=output, **QUICK)  # type: ignore[arg-type]
        assert output.read_bytes() == content
        train(changed(seed=3, epochs=1), data, output, overwrite=True, **QUICK)  # type: ignore[arg-type]
        assert load_checkpoint(output).card.seed == 3
        assert list(tmp_path.iterdir()) == [output]

    def test_what_ppbench_did_not_train_is_not_lost(self, data: Path, tmp_path: Path) -> None:
        output = tmp_path / "net.safetensors"
        model, card = load_checkpoint(embedded_path("fashion-mnist-resnet8"))
        save_checkpoint(output, model, card.model_copy(update={"recipe": None}))
        with pytest.raises(UsageError, match="exists and was not trained by `ppbench train`"):
            run(data, output)
        output.write_text("precious")
        with pytest.raises(UsageError, match="exists and is not a checkpoint with a card"):
            run(data, output)
        assert output.read_text() == "precious"


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
    data: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, killed: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "net.safetensors"
    (shutil.copytree(killed, tmp_path / "net.safetensors.part") / "last.ckpt").write_bytes(content)
    with pytest.raises(DataError, match="cannot resume from") as caught:
        run(data, output)
    assert "Delete" in caught.value.hint
    assert not (tmp_path / "planted").exists()


def test_what_a_kill_left_half_written_goes_with_the_rest(data: Path, tmp_path: Path) -> None:
    class Leave(Callback):
        def on_train_end(self, trainer: Any, module: Any) -> None:
            (tmp_path / "net.safetensors.part" / ".last.ckpt.k3x_").write_bytes(b"half")

    run(data, tmp_path / "net.safetensors", changed(epochs=1), Leave())
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_files_of_others_in_the_state_folder_outlive_the_run(data: Path, tmp_path: Path) -> None:
    class Leave(Callback):
        def on_train_end(self, trainer: Any, module: Any) -> None:
            (tmp_path / "net.safetensors.part" / "notes.txt").write_text("mine")

    run(data, tmp_path / "net.safetensors", changed(epochs=1), Leave())
    assert [p.name for p in (tmp_path / "net.safetensors.part").iterdir()] == ["notes.txt"]


def test_seeds_matter_and_runs_repeat(data: Path, tmp_path: Path, short: Path) -> None:
    again = run(data, tmp_path / "b.safetensors", changed(epochs=1))
    other = run(data, tmp_path / "c.safetensors", changed(epochs=1, seed=1))
    assert hash_of(short) == again != other


def test_the_state_of_the_process_is_left_as_it_is(data: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled(), dict(os.environ)
    run(data, tmp_path / "a.safetensors", changed(epochs=1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.are_deterministic_algorithms_enabled() == before[1]
    assert "PL_GLOBAL_SEED" not in set(os.environ) - set(before[2])


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
        run(data, tmp_path / f"{name}.safetensors", changed(model=name, epochs=1), First())
    assert torch.equal(seen["resnet8"], seen["resnet8-pp"])


@pytest.mark.parametrize("augment", ["augmix", "prime"])
def test_what_augmentations_share_with_the_corruptions_is_in_the_card(tmp_path: Path, data: Path, augment: str) -> None:
    run(data, tmp_path / "net.safetensors", changed(epochs=1, augment=augment))
    overlaps = load_checkpoint(tmp_path / "net.safetensors").card.trained_on_corruptions
    assert overlaps is not None
    assert ("contrast" in overlaps) == (augment == "augmix")
    assert ("elastic_transform" in overlaps) == (augment == "prime")


class TestBeginningWithWeights:
    def test_they_are_the_start_and_their_card_goes_on(self, data: Path, tmp_path: Path, short: Path) -> None:
        shutil.copy(short, tmp_path / "a.safetensors")
        started: list[str] = []

        class First(Callback):
            def on_train_start(self, trainer: Any, module: Any) -> None:
                started.append(weights_hash(module.network))

        recipe = make_recipe(read_recipe("finetune"), {"model": "resnet8-pp3", "dataset": "fashion-mnist"})
        train(
            recipe,
            data,
            tmp_path / "b.safetensors",
            initial=tmp_path / "a.safetensors",
            callbacks=(First(),),
            workers=0,
        )
        before, after = (load_checkpoint(tmp_path / f"{name}.safetensors") for name in "ab")
        assert started == [weights_hash(before.model)]
        assert after.card.mean == before.card.mean
        assert after.card.recipe == recipe.model_dump()
        assert after.card.origin == {"initial_weights": weights_hash(before.model)}

    def test_the_images_keep_their_size_or_the_change_is_told(self, tmp_path: Path) -> None:
        data, values = write_image_folders(tmp_path / "data", train=4, val=1), {"model": "resnet8", "epochs": 1}
        values |= {"dataset": "imagefolder", "batch_size": 4}
        first = make_recipe(None, {**values, "resize": 0, "crop_size": 24, "test_resize": 26})
        train(first, data, tmp_path / "a.safetensors", **QUICK)  # type: ignore[arg-type]
        start = load_checkpoint(tmp_path / "a.safetensors")
        kept = make_recipe(read_recipe("finetune"), values, start.card)
        other = make_recipe(read_recipe("finetune"), {**values, "crop_size": 32, "test_resize": 0}, start.card)
        said: dict[str, list[str]] = {"kept": [], "other": []}
        for name, recipe in (("kept", kept), ("other", other)):
            output = tmp_path / f"{name}.safetensors"
            train(recipe, data, output, initial=start, report=said[name].append, **QUICK)  # type: ignore[arg-type]
        assert said == {
            "kept": [],
            "other": ["the network now takes images of 32 px (not resized); before, 24 px (resized to 26)"],
        }
        cards = [load_checkpoint(tmp_path / f"{name}.safetensors").card for name in said]
        assert [(card.input_size, card.resize) for card in cards] == [(24, 26), (32, None)]

    def test_another_network_is_refused(self, data: Path, tmp_path: Path, short: Path) -> None:
        shutil.copy(short, tmp_path / "a.safetensors")
        with pytest.raises(UsageError, match=r"a\.safetensors holds a resnet8-pp3, but a resnet8 is wanted"):
            train(changed(model="resnet8"), data, tmp_path / "b.safetensors", initial=tmp_path / "a.safetensors")
        with pytest.raises(UsageError, match="differ in whether the inhibition is trainable"):
            train(
                changed(trainable_inhibition=True), data, tmp_path / "b.safetensors",
                initial=tmp_path / "a.safetensors",
            )  # fmt: skip

    def test_with_other_classes_the_last_layer_begins_anew(self, data: Path, tmp_path: Path, short: Path) -> None:
        shutil.copy(short, tmp_path / "a.safetensors")
        said: list[str] = []
        train(
            changed(epochs=1), data, tmp_path / "b.safetensors", initial=tmp_path / "a.safetensors",
            classes=["Coat", "Bag", "Sandal"], report=said.append, workers=0,
        )  # fmt: skip
        assert said == ["3 classes instead of 10: the last layer starts from random weights"]
        card = load_checkpoint(tmp_path / "b.safetensors").card
        assert card.class_names == ("Coat", "Sandal", "Bag")

    def test_images_with_other_channels_are_refused(self, data: Path, tmp_path: Path, short: Path) -> None:
        shutil.copy(short, tmp_path / "a.safetensors")
        recipe = make_recipe(None, {"dataset": "cifar10", "model": "resnet8-pp3"})
        with pytest.raises(UsageError, match="takes 1 channel, but the images have 3"):
            train(
                recipe, write_cifar(tmp_path / "data", count=10), tmp_path / "b.safetensors",
                initial=tmp_path / "a.safetensors",
            )  # fmt: skip


class Spoil(Callback):
    """Makes a weight not finite after a step, as an overflow would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                module.network.fc.weight[0, 0] = math.nan


class TestRunsThatFail:
    def test_a_loss_that_is_no_number_stops_the_run_and_the_last_good_state_stays(
        self, data: Path, tmp_path: Path, unbroken: Path
    ) -> None:
        output = tmp_path / "net.safetensors"
        with pytest.raises(TrainingDivergedError, match="not a finite number at epoch 2, step 3 of 4") as caught:
            run(data, output, RECIPE, Spoil(6))
        assert "`--lr 0.0125`" in caught.value.hint
        assert "`--grad-clip 1`" in caught.value.hint
        assert not output.exists()
        state = torch.load(tmp_path / "net.safetensors.part" / "last.ckpt", weights_only=True)
        assert state["global_step"] == 4
        assert all(bool(tensor.isfinite().all()) for tensor in state["state_dict"].values())
        assert run(data, output) == hash_of(unbroken)  # goes on from there

    def test_weights_spoilt_by_the_last_step_of_an_epoch_are_not_kept(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingDivergedError, match="at epoch 2, step 4 of 4"):
            run(data, tmp_path / "net.safetensors", RECIPE, Spoil(8))
        state = torch.load(tmp_path / "net.safetensors.part" / "last.ckpt", weights_only=True)
        assert state["global_step"] == 4

    def test_it_is_noticed_within_a_long_epoch(self, tmp_path: Path) -> None:
        losses, data = Losses(), write_fashion_mnist(tmp_path / "data", 120, 10)
        with pytest.raises(TrainingDivergedError, match="at epoch 1, step 3 of 60"):
            run(data, tmp_path / "net.safetensors", changed(batch_size=2), Spoil(2), losses)
        assert len(losses.values) == 50

    def test_a_rate_far_too_high_ends_in_that_message(self, data: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingDivergedError):
            run(data, tmp_path / "net.safetensors", changed(lr=1e30))

    def test_a_full_disk_is_told_and_the_state_before_stays(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        output, state = tmp_path / "net.safetensors", tmp_path / "net.safetensors.part" / "last.ckpt"

        class Fill(Callback):
            def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
                if trainer.current_epoch == 1:
                    monkeypatch.setattr(ppbench.files.os, "fsync", _disk_is_full)

        with pytest.raises(DataError, match="No space left on device"):
            run(data, output, RECIPE, Fill())
        assert torch.load(state, weights_only=True)["global_step"] == 4
        assert sorted(path.name for path in state.parent.iterdir()) == ["last.ckpt", "run.json"]
        assert not output.exists()

    def test_an_output_that_cannot_be_written_is_told_before_training(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(DataError, match="cannot write"):
            run(data, tmp_path / "file" / "net.safetensors")
        with pytest.raises(DataError, match="it is a folder"):
            run(data, tmp_path)

    def test_an_image_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        data = write_image_folders(tmp_path / "data", train=4, val=1)
        broken = data / "train" / "n00000001" / "zz.png"
        broken.write_bytes(b"no image")
        recipe = make_recipe(
            None, {"dataset": "imagefolder", "model": "resnet8", "epochs": 1, "resize": 0, "crop_size": 32}
        )
        with pytest.raises(DataError, match=r"cannot read the image .*zz\.png"):
            train(recipe, data, tmp_path / "net.safetensors", workers=1)
        assert [path.name for path in tmp_path.iterdir()] == ["data"]
        broken.unlink()
        train(changed(**recipe.model_dump()), data, tmp_path / "net.safetensors", workers=0)

    def test_a_test_image_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        data = write_image_folders(tmp_path / "data", train=4, val=1)
        (data / "val" / "n00000001" / "zz.png").write_bytes(b"no image")
        recipe = make_recipe(
            None, {"dataset": "imagefolder", "model": "resnet8", "epochs": 1, "resize": 0, "crop_size": 32}
        )
        for number, validate_every in enumerate((0, 1)):
            with pytest.raises(DataError, match=r"cannot read the image .*zz\.png"):
                train(recipe, data, tmp_path / f"{number}.safetensors", workers=0, validate_every=validate_every)

    @pytest.mark.parametrize(
        ("values", "devices", "message"),
        [
            ({"augment": "augmax"}, 1, "unknown augmentation 'augmax'"),
            ({"model": "resnet9"}, 1, "unknown model 'resnet9'"),
            ({"model": "resnet8", "inhibition": 2.0}, 1, "resnet8 has no inhibition to set"),
            ({"model": "torchvision:mobilenet_v3_small", "inhibition": 3.0}, 1, "small has no inhibition to set"),
            ({"precision": "fp16"}, 1, "--precision fp16 needs a GPU"),
            ({}, 0, "--devices 0 is not allowed"),
            ({}, 3, "--batch-size 5 cannot be divided evenly between 3 processes"),
        ],
    )
    def test_what_cannot_be(
        self, data: Path, tmp_path: Path, values: dict[str, Any], devices: int, message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            train(changed(**values), data, tmp_path / "net.safetensors", devices=devices)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("values", "message"),
        [({"workers": -1}, "--workers -1 is not"), ({"validate_every": -2}, "--validate-every -2 is not allowed")],
    )
    def test_counts_below_zero(self, data: Path, tmp_path: Path, values: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            train(RECIPE, data, tmp_path / "net.safetensors", **values)


def _disk_is_full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class TestLogs:
    def test_a_line_per_epoch_also_of_a_run_that_was_killed(self, data: Path, tmp_path: Path) -> None:
        log, output = tmp_path / "log", tmp_path / "net.safetensors"
        with pytest.raises(RuntimeError, match="killed"):
            train(RECIPE, data, output, log_dir=log, callbacks=(Kill(),), workers=0)
        train(RECIPE, data, output, log_dir=log, workers=0)
        train(RECIPE, data, tmp_path / "other.safetensors", log_dir=tmp_path / "other", workers=0)
        rows, unbroken = (list(csv.DictReader((folder / "metrics.csv").open())) for folder in (log, tmp_path / "other"))
        for row in (*rows, *unbroken):
            assert float(row.pop("seconds")) >= 0
        assert rows == unbroken
        assert [row["epoch"] for row in rows] == ["1", "2", "3"]
        assert [row["step"] for row in rows] == ["4", "8", "12"]

    def test_without_tensorboard_it_is_said(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ppbench.train.logs.find_spec", lambda name: None)
        said: list[str] = []
        train(
            changed(epochs=1), data, tmp_path / "a.safetensors", log_dir=tmp_path / "log", report=said.append, workers=0
        )
        assert any("TensorBoard is not installed: only metrics.csv" in line for line in said)
        assert [path.name for path in (tmp_path / "log").iterdir()] == ["metrics.csv"]
