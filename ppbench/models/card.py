"""The card of a model: everything needed to use its weights correctly. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from ppbench.errors import DataError, UsageError
from ppbench.models.shapes import canonical_name
from ppbench.run.fields import Text
from ppbench.vocabulary import LARGEST_SIDE, CropMode

Interpolation = Literal["bilinear", "bicubic"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)

PRESETS: dict[str, dict[str, Any]] = {
    "imagenet": {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, "input_size": 224, "resize": 256},
    "cifar10": {"mean": CIFAR_MEAN, "std": CIFAR_STD, "input_size": 32, "resize": None},
    "cifar100": {
        "mean": (0.5071, 0.4867, 0.4408),
        "std": (0.2675, 0.2565, 0.2761),
        "input_size": 32,
        "resize": None,
    },
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    "unit": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
}
"""Common preprocessing by name: ``half`` gives values in [-1, 1], ``unit`` leaves them in [0, 1]."""

METADATA_KEY = "ppbench_card"
"""Key of the card, as JSON, in the metadata of a safetensors file."""


class Card(BaseModel):
    """What a checkpoint says of itself; stored in its metadata and, with the weights' hash, in run files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    """Name for `ppbench.create_model`; of a network from elsewhere, what `resolve_model` calls it."""
    num_classes: int = Field(ge=1)
    in_channels: Literal[1, 3] = 3
    input_size: int = Field(ge=8, le=LARGEST_SIDE)
    """Side of the square images that go into the network, in pixels."""
    resize: int | None = Field(default=None, ge=1, le=LARGEST_SIDE)
    """Side to which images are resized before the centre crop, in pixels; None: no resize. Below the input size: what
    is missing is black."""
    crop_mode: CropMode = "center"
    """What is resized, as timm calls it: the shorter side ("center"), both sides, whatever the shape was ("squash"), or
    the longer side, with a border of the mean colour around it ("border")."""
    interpolation: Interpolation = "bilinear"
    mean: tuple[FiniteFloat, ...]
    """Per channel, of values in [0, 1]."""
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]
    """Per channel, of values in [0, 1]."""
    stem_bias: bool = False
    inhibition: FiniteFloat = 1.0
    """Strength of the pull response, if not trainable."""
    trainable_inhibition: bool = False
    rectified_push: bool = True
    """Whether the push response is rectified, as in the push-pull paper; `ppbench convert` makes networks without."""
    stem: str | None = None
    """What the stem of a network of torchvision's or timm's was changed into, such as ``pp3``; names of ppbench's own
    networks say it themselves."""
    trained_on: str | None = None
    """Dataset of the training images."""
    trained_on_corruptions: tuple[str, ...] | None = None
    """Corruptions that an augmentation of the training is of the same kind as; None: not known."""
    class_names: tuple[Text, ...] | None = None
    clean_accuracy: float | None = Field(default=None, ge=0, le=1)
    """Top-1 accuracy on the clean test images, as measured at the end of training."""
    seed: int | None = None
    recipe: dict[str, Any] | None = None
    """Settings of the training run."""
    versions: dict[str, str] | None = None
    """Versions of the libraries that trained it."""
    command: str | None = None
    """The command that trained it."""
    source: str | None = None
    """Where weights that ppbench did not train come from."""
    weights: str | None = None
    """Which weights of a file that has several: ``state_dict, not state_dict_ema``."""
    prompts: dict[str, tuple[Text, ...]] | None = None
    """Of a zero-shot model: ``classes``, the text of each class, and ``templates``, the sentences around it."""
    remote_code: dict[str, str] | None = None
    """Python files of a model's repository that were run because they were trusted, each with its SHA-256."""
    origin: dict[str, Any] | None = None
    """Of a converted network: what it was made from (``name``, ``architecture``, ``weights``: SHA-256), and how. Of one
    whose training began with given weights: ``initial_weights``, their SHA-256."""

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Card:
        if not len(self.mean) == len(self.std) == self.in_channels:
            raise ValueError(f"mean and std need {self.in_channels} values each, one per channel")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out fields that most cards do not set: such cards stay equal to cards from before the field existed."""
        values: dict[str, Any] = serialize(self)
        if values.get("crop_mode") == "center":
            del values["crop_mode"]
        for name in ("weights", "prompts", "remote_code"):
            if values.get(name) is None:
                values.pop(name, None)  # already absent with exclude_none
        return values

    @classmethod
    def imagenet(cls, architecture: str = "custom", num_classes: int = 1000, **fields: Any) -> Card:
        """Make a card with ImageNet's usual preprocessing: resize to 256, crop 224 px, bilinear, usual mean and std.

        Args:
            architecture: Name of the network in run files.
            num_classes: Number of outputs.
            fields: Other fields, which replace the usual ones: ``interpolation="bicubic"``.

        Raises:
            pydantic.ValidationError: If a field does not exist or its value is not allowed.
        """
        return cls._usual("imagenet", architecture, num_classes, fields)

    @classmethod
    def cifar10(cls, architecture: str = "custom", num_classes: int = 10, **fields: Any) -> Card:
        """Make a card for CIFAR-10: 32 px without resizing, CIFAR-10's mean and std. See `imagenet`."""
        return cls._usual("cifar10", architecture, num_classes, fields)

    @classmethod
    def cifar100(cls, architecture: str = "custom", num_classes: int = 100, **fields: Any) -> Card:
        """Make a card for CIFAR-100: 32 px without resizing, CIFAR-100's mean and std. See `imagenet`."""
        return cls._usual("cifar100", architecture, num_classes, fields)

    @classmethod
    def _usual(cls, preset: str, architecture: str, num_classes: int, fields: dict[str, Any]) -> Card:
        known = {"architecture": architecture, "num_classes": num_classes}
        return cls(**{**PRESETS[preset], **known, **fields})

    def normalization(self) -> str:
        """Describe for people how pixels enter the network: ``, mean 0.485/0.456/0.406, std 0.229/0.224/0.225``."""
        grey = ", grey" if self.in_channels == 1 else ""
        mean, std = ("/".join(f"{v:.4g}" for v in values) for values in (self.mean, self.std))
        which = f", weights: {self.weights}" if self.weights else ""
        return f"{grey}, mean {mean}, std {std}{which}"


def stored_card(path: Path, metadata: Mapping[str, str]) -> Card | None:
    """Return the card in the metadata of a safetensors file, or None if there is none.

    Raises:
        DataError: If it is not valid.
    """
    if METADATA_KEY not in metadata:
        return None
    try:
        card = Card.model_validate_json(metadata[METADATA_KEY])
        canonical_name(card.architecture)
    except (ValidationError, UsageError) as error:
        reason = error.message if isinstance(error, UsageError) else first_fault(error)
        raise DataError(
            f"the card in {path} is not valid: {reason}",
            "It may have been written by a newer version of ppbench.",
        ) from error
    return card


def first_fault(error: ValidationError) -> str:
    """Return pydantic's first finding, in one line."""
    first = error.errors()[0]
    where, reason = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    return f"{where}: {reason}" if where else reason
