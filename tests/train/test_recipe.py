"""Recipes: what comes with ppbench, what a user's file may say, and what options replace."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.train.recipe import TrainRecipe, make_recipe, read_recipe, recipe_names

PAPER = {
    "paper-cifar10-30": (30, 64, 5e-3, 0.2, 5e-6),
    "paper-imagenet100-20": (20, 64, 5e-3, 0.2, 5e-6),
    "paper-imagenet-20": (20, 128, 0.05, 1.0, 5e-5),
    "paper-imagenet-90": (90, 256, 0.05, 1.0, 5e-5),
}
"""Epochs, batch, learning rate at start, top and end, of the push-pull paper and its code."""


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_recipes_are_the_papers(name: str) -> None:
    r = make_recipe(read_recipe(name), {"model": "resnet50-pp3"})
    assert (r.epochs, r.batch_size, r.lr_start, r.lr, r.lr_end) == PAPER[name]
    assert (r.optimizer, r.weight_decay, r.schedule, r.warmup) == ("sgd", 1e-5, "one-cycle", 0.3)
    assert (r.momentum, r.momentum_low) == (0.95, 0.85)  # torch's OneCycleLR, which the authors' code calls, cycles it
    assert (r.augment, r.jsd, r.ema, r.grad_clip, r.precision) == ("none", False, None, None, "fp32")
    if "cifar" in name:
        assert (r.dataset, r.crop_size, r.crop_padding, r.flip) == ("cifar10", 32, 4, True)
    else:
        assert (r.dataset, r.resize, r.crop_size, r.crop_padding, r.test_resize) == ("imagenet", 256, 224, 0, 224)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_it_is_and_is_valid(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.description
    made = make_recipe(recipe, {"model": "resnet18", "dataset": "imagenet"})
    assert made.name == name
    assert TrainRecipe.model_validate(made.model_dump()) == made  # as a card keeps it


def test_options_replace_values_and_rates_stay_in_proportion() -> None:
    r = make_recipe(read_recipe("paper-imagenet-20"), {"model": "resnet18", "epochs": 3, "lr": 0.1})
    assert (r.epochs, r.batch_size) == (3, 128)
    assert (r.lr_start, r.lr, r.lr_end) == pytest.approx((5e-3, 0.1, 5e-6))
    r = make_recipe(read_recipe("paper-imagenet-20"), {"model": "resnet18", "lr": 0.1, "lr_start": 0.01})
    assert (r.lr_start, r.lr, r.lr_end) == pytest.approx((0.01, 0.1, 5e-6))


def test_a_momentum_given_alone_is_held() -> None:
    base = read_recipe("paper-cifar10-30")
    r = make_recipe(base, {"model": "resnet18", "momentum": 0.8})
    assert (r.momentum, r.momentum_low) == (0.8, None)
    r = make_recipe(base, {"model": "resnet18", "momentum": 0.8, "momentum_low": 0.7})
    assert (r.momentum, r.momentum_low) == (0.8, 0.7)
    assert make_recipe(base, {"model": "resnet18", "momentum_low": 0}).momentum_low is None
    with pytest.raises(UsageError, match=r"momentum_low 0\.96 is above momentum 0\.95"):
        make_recipe(base, {"model": "resnet18", "momentum_low": 0.96})


def test_what_a_recipe_does_not_say_is_customary_for_the_dataset() -> None:
    base = read_recipe("finetune")
    folders = make_recipe(base, {"model": "resnet50-pp3", "dataset": "imagefolder"})
    assert (folders.resize, folders.crop_size, folders.test_resize) == (256, 224, 224)
    small = make_recipe(base, {"model": "resnet8", "dataset": "fashion-mnist"})
    assert (small.resize, small.crop_size, small.crop_padding) == (None, 28, 2)


@pytest.mark.parametrize(
    ("input_size", "resize", "cut"),
    [
        (224, 256, (256, 224, 256)),  # torchvision's
        (224, 224, (256, 224, 224)),  # the paper's recipes
        (64, 73, (73, 64, 73)),
        (32, None, (37, 32, 32)),
        (160, 200, (200, 160, 200)),
    ],
)
def test_a_network_that_is_begun_with_keeps_the_size_of_its_images(
    input_size: int, resize: int | None, cut: tuple[int, ...]
) -> None:
    card = Card(
        architecture="resnet50", num_classes=5, input_size=input_size, resize=resize, mean=(0.5,) * 3, std=(0.2,) * 3
    )
    values = {"model": "resnet50", "dataset": "imagefolder"}
    r = make_recipe(read_recipe("finetune"), values, card)
    assert (r.resize, r.crop_size, r.test_resize) == cut
    r = make_recipe(read_recipe("finetune"), {**values, "crop_size": 48, "test_resize": 0}, card)
    assert (r.crop_size, r.test_resize) == (48, None)
    r = make_recipe(read_recipe("finetune"), {**values, "dataset": "cifar10"}, card)
    assert (r.resize, r.crop_size, r.test_resize) == (None, 32, None)


def test_without_a_recipe_the_dataset_chooses() -> None:
    assert make_recipe(None, {}).name == "fashion-mnist"
    assert make_recipe(None, {"dataset": "cifar100", "model": "resnet20"}).name == "paper-cifar10-30"
    assert make_recipe(None, {"dataset": "imagenet", "model": "resnet50"}).name == "paper-imagenet-20"


def test_zero_switches_off() -> None:
    r = make_recipe(
        read_recipe("paper-imagenet-20"), {"model": "resnet18", "resize": 0, "test_resize": 0, "ema": 0, "grad_clip": 0}
    )
    assert (r.resize, r.test_resize, r.ema, r.grad_clip) == (None, None, None, None)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\nmodel = "resnet20"\ndataset = "cifar10"\nepochs = 7\nema = 0.99\n')
    r = make_recipe(read_recipe(str(path)), {"batch_size": 32})
    assert (r.name, r.model, r.epochs, r.ema, r.batch_size, r.crop_size) == ("mine", "resnet20", 7, 0.99, 32, 32)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("epoch = 3", r"unknown key 'epoch' in the recipe .*mine\.toml", "did you mean 'epochs'"),
        ("epochs = 3\nepochs = 4", r"the recipe .*mine\.toml is not TOML", "epochs = 20"),
        ("epochs = 0", "epochs = 0 in the recipe mine is not allowed", "greater than or equal to 1"),
        ("epochs = 'many'", "epochs = 'many' in the recipe mine is not allowed", "integer"),
        ("optimizer = 'lamb'", "optimizer = 'lamb' in the recipe mine is not allowed", "'sgd' or 'adamw'"),
        ("lr = 'high'", "lr = 'high' in the recipe mine is not allowed", "number"),
        ("lr = nan", "lr = nan in the recipe mine is not allowed", "finite"),
        ("lr = 0.1\nlr_start = 0.5", "lr_start 0.5 is above lr 0.1", "the recipe mine"),
        ("jsd = true", "jsd compares augmented views", "the recipe mine"),
        ("nesterov = true\noptimizer = 'adamw'", "nesterov needs sgd", "the recipe mine"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        make_recipe(read_recipe(str(path)), {"model": "resnet8", "dataset": "cifar10"})
    assert hint in caught.value.hint


def test_unknown_and_missing_recipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown training recipe 'paper-cifar-30'") as caught:
        read_recipe("paper-cifar-30")
    assert "did you mean 'paper-cifar10-30'" in caught.value.hint
    with pytest.raises(DataError, match="cannot read the recipe"):
        read_recipe(str(tmp_path / "none.toml"))


def test_what_a_recipe_leaves_open_is_asked_for() -> None:
    with pytest.raises(UsageError, match="neither the recipe finetune nor an option names a dataset"):
        make_recipe(read_recipe("finetune"), {"model": "resnet8"})
    with pytest.raises(UsageError, match="neither the recipe paper-cifar10-30 nor an option names a network"):
        make_recipe(read_recipe("paper-cifar10-30"), {})
    neither = "neither the recipe paper-imagenet100-20 nor an option names a network"
    with pytest.raises(UsageError, match=neither) as caught:
        make_recipe(None, {"dataset": "imagefolder"})
    assert "`--model resnet50-pp3`" in caught.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {"seed": 2**32},
        {"seed": -1},
        {"inhibition": math.nan},
        {"inhibition": -1.0},
        {"lr": math.inf},
        {"lr": 0.0},
        {"epochs": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainRecipe(model="resnet8", dataset="fashion-mnist", **values)


def test_an_options_value_is_named_as_the_option() -> None:
    with pytest.raises(UsageError, match="--batch-size 0 is not allowed"):
        make_recipe(None, {"batch_size": 0})
    with pytest.raises(UsageError, match="--inhibition -1 is not allowed"):
        make_recipe(None, {"inhibition": -1})


def test_the_schedule_keeps_its_proportions() -> None:
    recipe = TrainRecipe(model="resnet8", dataset="fashion-mnist", lr=0.004)
    assert (recipe.lr_start, recipe.lr_end) == pytest.approx((1e-4, 1e-7), rel=1e-12)
    standard = TrainRecipe(model="resnet8", dataset="fashion-mnist")
    assert (standard.lr_start, standard.lr, standard.lr_end) == (5e-3, 0.2, 5e-6)  # the paper's
