"""The options that replace values of a model's card, or make a card for a model without one. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from ppbench.errors import UsageError
from ppbench.lookup import unknown_name
from ppbench.models.card import IMAGENET_MEAN, IMAGENET_STD, PRESETS, Card, Interpolation, first_fault
from ppbench.models.prompts import PromptClass, prompt_classes, prompt_templates

_EXAMPLE = "`--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --input-size 224`"


@dataclass(frozen=True)
class CardOptions:
    """Values of a model's card that the user gives (None: not given).

    They override the preset, which overrides the card.

    Raises:
        UsageError: If a value is not allowed.
    """

    preset: str | None = None
    """One of `PRESETS`."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    input_size: int | None = None
    """In pixels. Without ``resize``, the resize is scaled with it: the centre crop keeps its share of the image."""
    resize: int | None = None
    interpolation: Interpolation | None = None
    architecture: str | None = None
    ema: bool = False
    """Whether to take the weights that were averaged over the training, if a file has both kinds."""
    test_size: bool = False
    """Whether a network of timm gets images of the size that timm validates it with."""
    class_names: tuple[PromptClass, ...] | None = None
    """Classes of a zero-shot model."""
    templates: tuple[str, ...] | None = None
    """Templates of a zero-shot model's prompts."""
    trust_remote_code: bool = False
    """Whether Python code of a model's repository may be run."""

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise unknown_name("preset", self.preset, list(PRESETS), "ppbench eval --help")
        _check_channels("--mean", self.mean, lambda value: 0 <= value <= 1, "in [0, 1], for images in [0, 1]")
        _check_channels("--std", self.std, lambda value: 0 < value < math.inf, "above 0, for images in [0, 1]")
        if self.mean and self.std and len(self.mean) != len(self.std):
            raise UsageError("--mean and --std have different numbers of values", f"Give one per channel: {_EXAMPLE}.")
        for name, value in (("--input-size", self.input_size), ("--resize", self.resize)):
            if value is not None and value < 8:
                raise UsageError(f"{name} {value} is not allowed", "It is at least 8, in pixels.")
        if self.interpolation is not None and self.interpolation not in get_args(Interpolation):
            raise unknown_name(
                "interpolation", self.interpolation, list(get_args(Interpolation)), "ppbench eval --help"
            )

    @property
    def is_empty(self) -> bool:
        """Whether no preprocessing is given."""
        return not self._given()

    @property
    def is_complete(self) -> bool:
        """Whether the options alone make a card."""
        return not self._missing()

    def override(self, card: Card, what: str) -> Card:
        """Return the card of ``what`` with the given values in place of its own; the architecture stays.

        Raises:
            UsageError: If they do not fit the card, such as three means for a grey network.
        """
        if self.is_empty:
            return card
        self._check_fits(card, what)
        return _valid_card(what, {**card.model_dump(), **self._values(card.model_dump())})

    def make(self, what: str, **known: Any) -> Card:
        """Make the card of ``what``, which has none, from the given values and the ``known`` fields.

        Raises:
            UsageError: If mean, std or input size is not given, or the values do not fit the known fields.
        """
        if missing := self._missing():
            raise UsageError(
                f"the preprocessing of {what} is not known: {', '.join(missing)} missing",
                f"Give {self._example(missing)}, or `--preset imagenet`.",
            )
        values = self._values({})
        return _valid_card(what, {"in_channels": len(values["mean"]), **known, **values})

    def _given(self) -> dict[str, Any]:
        """Return the given fields of the card, those of the preset included."""
        names = ("mean", "std", "input_size", "resize", "interpolation")
        explicit = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {**PRESETS.get(self.preset or "", {}), **explicit}

    def _missing(self) -> list[str]:
        return [f"--{name.replace('_', '-')}" for name in ("mean", "std", "input_size") if name not in self._given()]

    def _check_fits(self, card: Card, what: str) -> None:
        """Raise `UsageError` unless mean and std have one value per channel of the network."""
        channels = card.in_channels
        for option, values, usual in (("--mean", self.mean, IMAGENET_MEAN), ("--std", self.std, IMAGENET_STD)):
            if values is not None and len(values) != channels:
                example = values * 3 if len(values) == 1 else usual[:1]
                raise UsageError(
                    f"{option} has {_count(len(values), 'value')}, but {what} takes images with "
                    f"{_count(channels, 'channel')}",
                    f"Give one value per channel, such as `{option} {_joined(example)}`.",
                )

    def _example(self, missing: Sequence[str]) -> str:
        """Return example values for the missing options, for as many channels as the given ones have."""
        channels = len(self.mean or self.std or IMAGENET_MEAN)
        values = {
            "--mean": _joined(IMAGENET_MEAN[:channels]),
            "--std": _joined(IMAGENET_STD[:channels]),
            "--input-size": "224",
        }
        return f"`{' '.join(f'{option} {values[option]}' for option in missing)}`"

    def _values(self, base: Mapping[str, Any]) -> dict[str, Any]:
        """Return the given fields, with a resize that fits the input size; ``base`` are the card's own fields."""
        given = self._given()
        if self.input_size is not None and self.resize is None:
            given["resize"] = _resize(self.input_size, {**base, **PRESETS.get(self.preset or "", {})})
        return given


def parse_card_options(
    preset: str | None = None,
    mean: str | Sequence[float] | None = None,
    std: str | Sequence[float] | None = None,
    input_size: int | None = None,
    architecture: str | None = None,
    ema: bool = False,
    test_size: bool = False,
    class_names: str | Path | Sequence[str] | None = None,
    templates: str | Path | Sequence[str] | None = None,
    trust_remote_code: bool = False,
) -> CardOptions:
    """Read the options of the command line or of Python; ``mean`` and ``std`` as text are comma-separated numbers.

    ``class_names`` and ``templates`` are files, which are read, or their lines.

    Raises:
        DataError: If a file cannot be read.
        UsageError: If a value is not allowed.
    """
    return CardOptions(
        preset, _numbers("--mean", mean), _numbers("--std", std), input_size=input_size, architecture=architecture,
        ema=ema, test_size=test_size, trust_remote_code=trust_remote_code,
        class_names=None if class_names is None else prompt_classes(class_names),
        templates=None if templates is None else prompt_templates(templates),
    )  # fmt: skip


def _joined(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _numbers(option: str, given: str | Sequence[float] | None) -> tuple[float, ...] | None:
    if given is None:
        return None
    try:
        return tuple(float(part) for part in (given.split(",") if isinstance(given, str) else given))
    except (TypeError, ValueError):
        raise UsageError(f"{option} {given} is not allowed", f"Give numbers separated by commas: {_EXAMPLE}.") from None


def _check_channels(
    option: str, values: tuple[float, ...] | None, allows: Callable[[float], bool], allowed: str
) -> None:
    if values is None:
        return
    if len(values) not in (1, 3) or not all(map(allows, values)):
        raise UsageError(
            f"{option} {_joined(values)} is not allowed",
            f"Give 3 numbers (1 for a grey network), each {allowed}: {_EXAMPLE}.",
        )


def _resize(input_size: int, base: Mapping[str, Any]) -> int | None:
    """Return the resize for a new input size, which keeps the crop's share of the image.

    Without a known share it is the usual 224 of 256, or no resize for inputs of up to 64 px, whose datasets have the
    size that the network takes.
    """
    if "input_size" not in base:
        return round(input_size * 256 / 224) if input_size > 64 else None
    resize = base.get("resize")
    return None if resize is None else round(input_size * resize / base["input_size"])


def _valid_card(what: str, values: Mapping[str, Any]) -> Card:
    try:
        return Card(**values)
    except ValidationError as error:
        raise UsageError(
            f"the card of {what} is not valid: {first_fault(error)}", f"Give values such as {_EXAMPLE}."
        ) from error
