"""Checks of an output that exists: a finished training is not repeated, and no other network is overwritten."""

from __future__ import annotations

from pathlib import Path

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.read_card import read_card
from ppbench.train.recipe import TrainRecipe, differing_settings


def card_of_finished(output: Path, recipe: TrainRecipe, initial: str | None) -> Card | None:
    """The card of the network that a recipe makes, if it is there; None if nothing is.

    Args:
        output: Where it would be written. A device or a pipe counts as nothing.
        recipe: The settings.
        initial: Hash of the weights that the training begins with; None: random ones.

    Raises:
        UsageError: If there is something else.
    """
    if not output.is_file():
        return None
    card = card_there(output)
    check_trained(output, card, recipe)
    if (card.origin or {}).get("initial_weights") != initial:
        raise refusal(output, "trained from other weights")
    return card


def card_there(output: Path) -> Card:
    """The card of a checkpoint that is there.

    Raises:
        UsageError: If the file is something else.
    """
    try:
        return read_card(output)
    except (DataError, UsageError):
        raise refusal(output, "and is no checkpoint with a card") from None


def check_trained(output: Path, card: Card, recipe: TrainRecipe) -> None:
    """Raise `UsageError` unless a network was trained with a recipe, to its end."""
    if card.recipe is None or card.clean_accuracy is None:
        raise refusal(output, "not trained by `ppbench train`")
    if differing := differing_settings(card.recipe, recipe):
        raise refusal(output, f"trained with another recipe ({', '.join(setting.name for setting in differing)})")


def refusal(output: Path, what: str) -> UsageError:
    """The error for an output that exists and is something else."""
    return UsageError(f"{output} exists, {what}", "Give another `--output`, or replace it: `--overwrite`.")
