"""The settings of a training run. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ppbench.errors import DataError, UsageError
from ppbench.files import read_text
from ppbench.lookup import check_name, did_you_mean, unknown_name
from ppbench.models.card import Card
from ppbench.parsing import parse_toml
from ppbench.train.choices import OptimizerName, PrecisionName, ScheduleName

_OFF_AT_ZERO = {"grad_clip", "ema", "momentum_low", "resize", "test_resize", "val_fraction"}
"""Settings that zero switches off."""


class TrainRecipe(BaseModel):
    """Settings of a training run. Two runs with equal recipes, data and devices give equal weights."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str | None = None
    """Name of the recipe that the settings come from."""
    model: str
    dataset: str
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the training images to use, equal in every class."""
    val_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Share of the images kept for testing, if the folder has no ``train`` and ``val`` in it."""

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=128, ge=1)
    """Images per step, of all processes together."""

    optimizer: OptimizerName = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD; AdamW keeps its usual (0.9, 0.999)."""
    momentum_low: float | None = Field(default=None, gt=0, lt=1)
    """Momentum at the highest learning rate of "one-cycle": it goes from ``momentum`` down to this value and back up,
    as in torch's `OneCycleLR` (0.95, 0.85, 0.95). None: it is constant."""
    nesterov: bool = False
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: ScheduleName = "one-cycle"
    """"one-cycle": from ``lr_start`` up to ``lr`` and down to ``lr_end``, both along a cosine; "cosine": from ``lr``
    down to ``lr_end``; "constant": ``lr``. Stepped per batch."""
    warmup: float = Field(default=0.3, ge=0, lt=1)
    """Share of the steps in which the learning rate of "one-cycle" rises."""
    lr: float = Field(default=0.2, gt=0)
    """Highest learning rate (by default the push-pull paper's CIFAR value)."""
    lr_start: float = Field(default=0.0, gt=0)
    """Learning rate at the start; by default a fortieth of the highest."""
    lr_end: float = Field(default=0.0, gt=0)
    """Learning rate at the end; by default a thousandth of the start."""
    grad_clip: float | None = Field(default=None, gt=0)
    """Largest Euclidean norm of the gradients; None: they are not clipped."""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of a moving average of the weights, which is tested and saved; None: the weights themselves."""
    precision: PrecisionName = "fp32"
    """Precision of the arithmetic. bf16 and fp16 use torch's autocast, fp16 with loss scaling."""

    resize: int | None = Field(default=None, ge=8)
    """Shorter side of training images before the crop, in pixels (images in files); None: no resize."""
    crop_size: int | None = Field(default=None, ge=8)
    """Side of the random crops, in pixels; None: the side of the images (only for images in memory)."""
    crop_padding: int = Field(default=2, ge=0)
    """Width of the border of zeros around an image before it is cropped, in pixels."""
    flip: bool = True
    """Whether half of the images are mirrored."""
    test_resize: int | None = Field(default=None, ge=8)
    """Shorter side of test images before the centre crop, in pixels; None: no resize."""
    augment: str = "none"
    """Augmentation after crop and mirroring: a name in `ppbench.train.augment`."""
    jsd: bool = False
    """Whether the loss includes AugMix's Jensen-Shannon divergence between a clean and two augmented views."""

    inhibition: float = Field(default=1.0, ge=0)
    trainable_inhibition: bool = False
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _zero_is_none(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Turn 0 into None for settings that 0 switches off: TOML and options cannot express None."""
        return {key: None if key in _OFF_AT_ZERO and value == 0 else value for key, value in values.items()}

    @model_validator(mode="before")
    @classmethod
    def _fill_schedule(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Derive start and end of the learning rate in the proportions of the push-pull paper: 5e-3, 0.2, 5e-6."""
        peak = values.get("lr", cls.model_fields["lr"].default)
        if not isinstance(peak, int | float):
            return {"lr_start": 1.0, "lr_end": 1.0, **values}  # valid values, so that the error is about lr
        start = values.get("lr_start", peak / 40)
        end = start / 1000 if isinstance(start, int | float) else 1.0
        return {"lr_start": start, "lr_end": end, **values}

    @model_validator(mode="after")
    def _fits_together(self) -> TrainRecipe:
        if self.schedule == "one-cycle" and self.lr_start > self.lr:
            raise ValueError(f"lr_start {self.lr_start:g} is above lr {self.lr:g}, the top of the cycle")
        if self.momentum_low is not None and self.momentum_low > self.momentum:
            raise ValueError(
                f"momentum_low {self.momentum_low:g} is above momentum {self.momentum:g}, where the cycle starts"
            )
        if self.jsd and self.augment == "none":
            raise ValueError("jsd compares augmented views: choose an augment, such as augmix")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs sgd with momentum")
        return self


class RecipeFile(NamedTuple):
    """The content of a recipe file: some of the settings of a run."""

    name: str
    description: str
    values: dict[str, Any]


SEE = "ppbench list training-recipes"

DEFAULT_RECIPES = {
    "fashion-mnist": "fashion-mnist",
    "cifar10": "paper-cifar10-30",
    "cifar100": "paper-cifar10-30",
    "imagenet": "paper-imagenet-20",
    "imagefolder": "paper-imagenet100-20",
}
"""Default recipes by dataset."""

_OF_FILES = {"resize": 256, "crop_size": 224, "crop_padding": 0, "test_resize": 224}
_OF_CIFAR = {"crop_size": 32, "crop_padding": 4}

CUSTOMARY_TRANSFORMS: dict[str, dict[str, Any]] = {
    "fashion-mnist": {"crop_size": 28, "crop_padding": 2},
    "cifar10": _OF_CIFAR,
    "cifar100": _OF_CIFAR,
    "imagenet": _OF_FILES,
    "imagefolder": _OF_FILES,
}
"""Usual crops by dataset, for recipes that do not say how to crop."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with ppbench, sorted."""
    return sorted(path.name.removesuffix(".toml") for path in _folder().iterdir() if path.name.endswith(".toml"))


def read_recipe(name: str) -> RecipeFile:
    """Read a recipe.

    Args:
        name: One of `recipe_names`, or the path of a ``.toml`` file.

    Raises:
        UsageError: If there is no such recipe, or the file is not a valid one or has an unknown key.
        DataError: If the file cannot be read.
    """
    path = Path(name)
    if path.suffix.lower() != ".toml":
        check_name("training recipe", name, recipe_names(), SEE)
        return _parse(name, (_folder() / f"{name}.toml").read_text(encoding="utf-8"), name)
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read the recipe {name}: {getattr(error, 'strerror', None) or error}",
            f"`{SEE}` lists the recipes of ppbench.",
        ) from error
    return _parse(path.stem, text, name)


def make_recipe(base: RecipeFile | None, overrides: Mapping[str, Any], start: Card | None = None) -> TrainRecipe:
    """Make the settings of a run: a recipe, with some values replaced.

    Settings that neither gives come from the network that the run starts from, then from the usual crops of the dataset
    (`CUSTOMARY_TRANSFORMS`), then from the defaults of `TrainRecipe`. If only the highest learning rate is replaced,
    its start and end change in proportion. If only the momentum is replaced, it is constant.

    Args:
        base: The recipe; None: the default recipe of the dataset in ``overrides`` (`DEFAULT_RECIPES`).
        overrides: Values by field name, as the user gave them as options.
        start: Card of the network that the run starts from. It is the model if ``overrides`` do not name one, and its
            image size is kept. None: the weights are random.

    Raises:
        UsageError: If a value is missing or not allowed; the message says where it came from.
    """
    if start is not None:
        own = {name: getattr(start, name) for name in ("inhibition", "trainable_inhibition")}
        overrides = {"model": start.architecture, **own, **overrides}
    if base is None:
        base = read_recipe(DEFAULT_RECIPES.get(overrides.get("dataset", "fashion-mnist"), "paper-imagenet100-20"))
    held = {"momentum_low": None} if "momentum" in overrides else {}
    values = {**base.values, **_rescaled(base.values, overrides), **held, **overrides}
    if "dataset" not in values:
        raise UsageError(
            f"neither the recipe {base.name} nor an option names a dataset", "Give one: `--dataset imagefolder`."
        )
    if values["dataset"] not in CUSTOMARY_TRANSFORMS:
        raise unknown_name(
            "training dataset", str(values["dataset"]), list(CUSTOMARY_TRANSFORMS), "ppbench train --help"
        )
    if "model" not in values:
        raise UsageError(
            f"neither the recipe {base.name} nor an option names a network", "Give one: `--model resnet50-pp3`."
        )
    try:
        return TrainRecipe(name=base.name, **{**_customary(values, start), **values})
    except ValidationError as error:
        raise _not_allowed(error, base.name, overrides) from error


def _customary(values: Mapping[str, Any], start: Card | None) -> dict[str, Any]:
    """Return the crops for settings that ``values`` do not give; they keep the image size of the starting network."""
    usual = CUSTOMARY_TRANSFORMS[values["dataset"]]
    if start is None:
        return usual
    side = start.input_size
    if "resize" not in usual:  # images in memory, which are never enlarged
        return {**usual, "crop_size": min(side, usual["crop_size"])}
    test_resize = start.resize or side
    given = values.get("crop_size")
    if isinstance(given, int) and given >= 8:  # at another size, the crop keeps its share of the image
        side, test_resize = given, round(test_resize * given / side)
    # Training crops are the usual share of the image, or a smaller one if the card resizes to a larger side.
    shorter = round(side * usual["resize"] / usual["crop_size"])
    return {**usual, "resize": max(shorter, test_resize), "crop_size": side, "test_resize": test_resize}


def _folder() -> Any:
    return files("ppbench.train") / "recipes"


def _parse(name: str, text: str, where: str) -> RecipeFile:
    try:
        values = parse_toml(text)
    except ValueError as error:
        raise UsageError(f"the recipe {where} is not TOML: {error}", "Write lines such as `epochs = 20`.") from error
    description = str(values.pop("description", ""))
    allowed = [field for field in TrainRecipe.model_fields if field != "name"]
    for key in values:
        if key not in allowed:
            close = did_you_mean(key, allowed)
            raise UsageError(f"unknown key {key!r} in the recipe {where}", f"{close}allowed: {', '.join(allowed)}")
    return RecipeFile(name, description, values)


class Setting(NamedTuple):
    """A setting in which two recipes differ."""

    name: str
    there: Any
    here: Any


def differing_settings(stored: Mapping[str, Any], recipe: TrainRecipe) -> list[Setting]:
    """List the settings in which the recipe of a card (there) differs from another (here), except the recipe's name.

    If a recipe of another version of ppbench has unknown settings, it is compared as it is stored.
    """
    try:
        there = TrainRecipe.model_validate(dict(stored)).model_dump()
    except ValidationError:
        there = dict(stored)
    here = recipe.model_dump()
    names = [name for name in {**here, **there} if name != "name"]
    settings = (Setting(name, there.get(name), here.get(name)) for name in names)
    return [setting for setting in settings if setting.here != setting.there]


def _rescaled(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return start and end of the learning rate in proportion to a new highest one."""
    if "lr" not in overrides or "lr" not in values:
        return {}
    factor = overrides["lr"] / values["lr"]
    return {key: values[key] * factor for key in ("lr_start", "lr_end") if key in values}


def _not_allowed(error: ValidationError, recipe: str, overrides: Mapping[str, Any]) -> UsageError:
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return UsageError(reason, f"These are values of the recipe {recipe} and of the options that replace them.")
    key = str(first["loc"][0])
    if key in overrides:
        return UsageError(f"--{key.replace('_', '-')} {first['input']} is not allowed", f"{reason}.")
    return UsageError(f"{key} = {first['input']!r} in the recipe {recipe} is not allowed", f"{reason}.")
