"""Check an output that exists: a finished training is not repeated, and no other network is overwritten."""

from __future__ import annotations

from pathlib import Path

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.read_card import read_card
from ppbench.train.recipe import TrainRecipe, differing_settings


def card_of_finished(output: Path, recipe: TrainRecipe, initial: str | None) -> Card | None:
    """Return the card of the finished network at ``output``, or None if there is no file.

    Args:
        output: The file to write. A device or a pipe counts as no file.
        recipe: The settings.
        initial: Hash of the weights that the training begins with; None: random weights.

    Raises:
        UsageError: If the file is anything else than the network that this training makes.
    """
    if not output.is_file():
        return None
    card = card_there(output)
    check_trained(output, card, recipe)
    if (card.origin or {}).get("initial_weights") != initial:
        raise refusal(output, "was trained from other weights")
    return card


def card_there(output: Path) -> Card:
    """Return the card of an existing checkpoint.

    Raises:
        UsageError: If the file is something else.
    """
    try:
        return read_card(output)
    except (DataError, UsageError):
        raise refusal(output, "is not a checkpoint with a card") from None


def check_trained(output: Path, card: Card, recipe: TrainRecipe) -> None:
    """Raise `UsageError` unless the network was trained with the recipe, to its end."""
    if card.recipe is None or card.clean_accuracy is None:
        raise refusal(output, "was not trained by `ppbench train`")
    if differing := differing_settings(card.recipe, recipe):
        raise refusal(output, f"was trained with another recipe ({', '.join(setting.name for setting in differing)})")


def refusal(output: Path, what: str) -> UsageError:
    """Return the error for an output that exists and is something else."""
    return UsageError(f"{output} exists and {what}", "Give another `--output`, or replace it: `--overwrite`.")
