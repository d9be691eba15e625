"""Load what the user's own code makes, networks and plain functions: ``pkg.mod:factory``."""

from __future__ import annotations

from torch import nn

from ppbench.errors import UsageError
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.from_callable import as_network
from ppbench.models.loaded import Checkpoint
from ppbench.models.trial import check_runs, count_classes
from ppbench.own_code import find_own, kind_of_thing, not_a_function, run_own, working_directory_first


def load_from_code(spec: str, options: CardOptions) -> tuple[str, Checkpoint]:
    """Import a module, call its factory without arguments, and return the network it makes. The user's code runs.

    Args:
        spec: ``pkg.mod:factory``. The module is also searched in the working directory. The factory returns an
            ``nn.Module``, or a plain function that gets a numpy array and returns logits (`CallableNetwork`); for
            either, ``options`` have to give the card. Or it returns a pair of one of these and a `Card`.
        options: Values of the card, or replacements for them.

    Returns:
        The factory's name, and the network, in eval mode on the CPU, with its card.

    Raises:
        UsageError: If there is no such module or factory, the factory returns something else, or it gives no card and
            the options do not make one.
        DataError: If the code raises, or the network does not fit its card.
    """
    with working_directory_first():
        factory = find_own(spec, "--model")
        if isinstance(factory, nn.Module):
            raise not_a_function(factory, spec)
        made = run_own(factory, spec, f"{spec} raised")
    network, card = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    network = as_network(network, spec)
    if not isinstance(network, nn.Module) or not isinstance(card, Card | None):
        raise UsageError(
            f"{spec} returns {kind_of_thing(made)}",
            "It must return an nn.Module, a function from images to logits, or a pair of one of these and a "
            "ppbench.Card.",
        )
    network = network.cpu().eval()
    card = _make_card(spec, network, options) if card is None else options.override(card, spec)
    if options.architecture is not None:
        card = card.model_copy(update={"architecture": options.architecture})
    check_runs(spec, network, card)
    return spec.partition(":")[2], Checkpoint(network, card)


def _make_card(spec: str, network: nn.Module, options: CardOptions) -> Card:
    """Make the card of a network that came without one: the options give all but the number of classes."""
    blank = options.make(spec, architecture=spec, num_classes=1)
    classes = count_classes(spec, network, blank.in_channels, blank.input_size)
    return options.make(spec, architecture=spec, num_classes=classes)
