"""The record of a model in a run file: which weights were measured, and what is known of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from ppbench.run.fields import Count, Many, Record, Text, first_problem

_HASH_OF_NOTHING = hashlib.sha256().hexdigest()


def conversion(card: Mapping[str, Any]) -> str | None:
    """Describe how a model was made from a plain one; None if it was not.

    For example: ``push not rectified (ppbench convert of resnet50)``.

    Args:
        card: The model's card, as a dict.
    """
    origin = card.get("origin") or {}
    converted = bool(origin.keys() - {"initial_weights"})  # the start of a training alone is not a conversion
    made = f"ppbench convert of {origin.get('name', 'another network')}" if converted else None
    if card.get("rectified_push", True):
        return made
    return "push not rectified" + (f" ({made})" if made else "")


class _Origin(BaseModel):
    """What the right half reads of where a model came from; more may stand there."""

    model_config = ConfigDict(extra="allow")

    name: Text | None = None


class CardNotes(BaseModel):
    """What the right half reads of a card; more may stand in it, for people and for later versions."""

    model_config = ConfigDict(extra="allow")

    origin: _Origin | None = None
    trained_on: Text | None = None
    trained_on_corruptions: Many[Text] | None = None
    rectified_push: bool | None = None
    clean_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None


class ModelRecord(Record):
    """Which weights were measured, and how they were used."""

    name: Text
    """The name given on the command line: that of an embedded model, or a file name."""
    weights_sha256: str | None = None
    """Of all parameters and buffers, independent of the file format (`ppbench.models.weights.weights_hash`), and of
    what else the weights are in (`ppbench.models.weights`); None: which weights it has is not known."""
    parameters: Count
    card: dict[str, Any]
    runtime: Text | None = None
    """What ran a network that torch does not run: ``onnxruntime 1.32.0, CPUExecutionProvider``."""
    shared_draws: Literal[True] | None = None
    """True: all images of a pass share random numbers, such as noise on weights; None, and not written: they do not,
    or there were no passes (`Protocol.passes`)."""

    @model_validator(mode="after")
    def _has_a_card(self) -> ModelRecord:
        try:
            CardNotes.model_validate(self.card)
        except ValidationError as error:
            raise ValueError(f"card.{first_problem(error)}") from error
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later fields where they say nothing: such files stay as they were before the fields existed."""
        values: dict[str, Any] = serialize(self)
        for name in ("runtime", "shared_draws"):
            if values.get(name) is None:
                values.pop(name, None)  # already absent with exclude_none
        return values

    @field_validator("weights_sha256")
    @classmethod
    def _no_hash_of_nothing(cls, value: str | None) -> str | None:
        """Earlier versions gave networks whose weights they did not see the hash of nothing."""
        return None if value == _HASH_OF_NOTHING else value

    def has_weights_of(self, sha256: str | None) -> bool:
        """Whether its weights are known to have this hash; unknown weights are no other model's."""
        return self.weights_sha256 is not None and self.weights_sha256 == sha256

    @property
    def trained_on_corruptions(self) -> tuple[str, ...]:
        """Corruptions that an augmentation of its training is of the same kind as, by its card; empty if not known."""
        return tuple(self.card.get("trained_on_corruptions") or ())

    @property
    def conversion(self) -> str | None:
        """How it was made of a plain network; None if it was not (`conversion`)."""
        return conversion(self.card)
