"""What an inspection is asked for, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ppbench.inspection.api import inspect_model
from ppbench.inspection.images import example_images, load_images
from ppbench.inspection.report import InspectionReport
from ppbench.inspection.selectivity import DRAWS
from ppbench.models.card_options import CardOptions
from ppbench.models.foreign import refuse_foreign
from ppbench.models.load import LoadedModel, resolve_model


@dataclass(frozen=True)
class InspectionRequest:
    """The network to inspect, the images to show it, and how."""

    model: str
    """As `ppbench.models.load.resolve_model` takes it."""
    images: tuple[Path, ...] = ()
    """Image files; none: two of the embedded images, if the network was trained on such."""
    against: str | None = None
    """Another network to compare the selectivity with."""
    corruption: str = "gaussian_noise"
    severity: int = 3
    filters: tuple[int, ...] | None = None
    """Filters whose responses to the images are drawn; None: those whose weights vary most."""
    draws: int = DRAWS
    """Draws of the noise that selectivity is measured against."""
    seed: int = 0
    card_options: CardOptions | None = None
    """They are for both networks."""


def inspect_networks(
    request: InspectionRequest, running: Callable[[], AbstractContextManager[None]] = nullcontext
) -> InspectionReport:
    """Carry out a request.

    Args:
        request: What was asked for.
        running: The context in which code of the networks runs: a user's network may print.

    Raises:
        DataError: If a network or an image cannot be read, or the network does not begin with a convolution.
        UsageError: If a value is not allowed, or a network needs a card.
    """
    with running():
        subject = _resolved(request.model, request)
    shown = load_images(request.images, subject.card) if request.images else example_images(subject.card)
    with running():
        inspection = inspect_model(
            subject.name, subject.model, subject.card, shown, corruption=request.corruption,
            severity=request.severity, filters=request.filters, draws=request.draws, seed=request.seed,
        )  # fmt: skip
        other = None
        if request.against is not None:
            second = _resolved(request.against, request)
            other = inspect_model(second.name, second.model, second.card, draws=request.draws, seed=request.seed)
    return InspectionReport(inspection, other)


def _resolved(model: str, request: InspectionRequest) -> LoadedModel:
    found = resolve_model(model, request.card_options)
    instead = "Inspect the torch network that it was made from."
    refuse_foreign(found.model, "ppbench inspect", "reads the first convolution", instead)
    return found
