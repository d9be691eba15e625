"""The card of a model: all that is needed to use its weights rightly. Free of torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class Card(BaseModel):
    """What a checkpoint says of itself; stored in its metadata and, with the weights' hash, in run files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    """Name for `ppbench.create_model`."""
    num_classes: int = Field(ge=1)
    in_channels: Literal[1, 3] = 3
    input_size: int = Field(ge=8)
    """Side of the square images that go into the network, in pixels."""
    resize: int | None = None
    """Shorter side to which larger images are resized before the centre crop, in pixels; None: no resize."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[FiniteFloat, ...]
    """Per channel, of values in [0, 1]."""
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]
    """Per channel, of values in [0, 1]."""
    stem_bias: bool = False
    inhibition: FiniteFloat = 1.0
    """Strength of the pull response, if not trainable."""
    trainable_inhibition: bool = False
    trained_on: str | None = None
    """Dataset of the training images."""
    class_names: tuple[str, ...] | None = None
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

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Card:
        if not len(self.mean) == len(self.std) == self.in_channels:
            raise ValueError(f"mean and std need {self.in_channels} values each, one per channel")
        return self

    def preprocessing(self, resizes: bool = True) -> str:
        """One line for people: size, resize, normalisation.

        Args:
            resizes: Whether the images are resized as the card says; corrupted sets that were published are not.
        """
        cut = resizes and self.resize
        resize = f"resize {self.resize}, crop {self.input_size}" if cut else f"{self.input_size} px as is"
        grey = ", grey" if self.in_channels == 1 else ""
        mean, std = ("/".join(f"{v:.4g}" for v in values) for values in (self.mean, self.std))
        return f"{resize}{grey}, mean {mean}, std {std}"
