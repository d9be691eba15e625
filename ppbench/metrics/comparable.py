"""Whether the errors of two models may be set against each other: the same dataset, classes and images."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ppbench.metrics.cell_errors import CellErrors
from ppbench.metrics.metric import Unavailable
from ppbench.run import Protocol

SAME_PIXELS = ("dataset", "fingerprint", "ids_sha256", "source", "recipe", "engine", "seed")
"""The protocol fields that a run and its baseline must share: together they fix the pixels that a model is shown."""

HASHES = ("fingerprint", "ids_sha256")
"""The fields among these that are hashes. Messages show their first twelve characters."""


def require_same_pixels(errors: CellErrors, other: CellErrors, corruptions: Sequence[str]) -> None:
    """Check that two runs were shown the same images of one task, in the cells of some corruptions.

    Raises:
        Unavailable: If they were not.
    """
    require_same_task(errors, other, corruptions)
    _require_same(errors, other, SAME_PIXELS)


def require_same_task(errors: CellErrors, other: CellErrors, corruptions: Sequence[str]) -> None:
    """Check that two runs used one dataset and chose each prediction from the same classes.

    Of some corruptions, those of the user's own must be the same functions in both. With fewer competing classes there
    are fewer errors. A CSV has no protocol and passes.

    Raises:
        Unavailable: If they did not.
    """
    _require_same(errors, other, ("dataset",))
    if errors.flips != other.flips:
        there, here = ("flips" if one.flips else "errors" for one in (other, errors))
        raise Unavailable(f"{other.source} has {there}, and {errors.source} has {here}")
    if errors.protocol is None or other.protocol is None:
        return
    if not same_classes(errors.protocol, other.protocol):
        there, here = (one.classes or "all classes" for one in (other, errors))
        differ = "" if there != here else " (not the same ones)"
        raise Unavailable(f"{other.source} was measured on other classes: {there}, here {here}{differ}")
    if not same_frames(errors.protocol, other.protocol, corruptions):
        frames = [str(one.protocol and one.protocol.sequences) for one in (other, errors)]
        raise Unavailable(f"{other.source} was measured on other frames: {frames[0]}, here {frames[1]}")
    if names := [name for name in differing_own(errors.protocol, other.protocol) if name in corruptions]:
        raise Unavailable(f"{other.source} was measured with another version of {', '.join(names)}")


def differing_own(one: Protocol, other: Protocol) -> list[str]:
    """The corruptions of both runs that are not the same function in both, sorted."""
    here, there = one.own_corruptions or {}, other.own_corruptions or {}
    both = set(one.corruptions) & set(other.corruptions)
    return sorted(name for name in both if here.get(name) != there.get(name))


def same_frames(one: Protocol, other: Protocol, perturbations: Collection[str] | None = None) -> bool:
    """Whether two runs have the same sequences, or none: as many frames of the perturbations of both, stored alike.

    Args:
        one: A protocol.
        other: Another one.
        perturbations: Those to look at; None: all that both have.
    """
    here, there = one.sequences, other.sequences
    if here is None or there is None:
        return here is there
    both = set(here.frames) & set(there.frames)
    looked_at = both if perturbations is None else both & set(perturbations)
    return here.encoding == there.encoding and all(here.frames[name] == there.frames[name] for name in looked_at)


def _require_same(errors: CellErrors, other: CellErrors, fields: Sequence[str]) -> None:
    if errors.protocol is None or other.protocol is None:
        return
    for field in fields:
        here, there = getattr(errors.protocol, field), getattr(other.protocol, field)
        if here != there:
            if field in HASHES:
                here, there = here[:12], there[:12]
            raise Unavailable(f"{other.source} was measured on other images: {field} {there}, here {here}")


def same_classes(one: Protocol, other: Protocol) -> bool:
    """Whether outputs of the same classes compete in two runs on one dataset."""
    if one.classes and other.classes:
        first, second = one.classes, other.classes
        return (first.names_sha256, first.competing) == (second.names_sha256, second.competing)
    subset = one.classes or other.classes
    if subset is None:
        return True
    # A subset with all images of the dataset has all its classes: the model merely has outputs for others too.
    whole = (one.fingerprint, one.total) == (other.fingerprint, other.total)
    return whole and subset.competing == subset.n
