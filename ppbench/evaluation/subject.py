"""From a model's outputs to the classes of the images. Free of torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.source import Source
from ppbench.errors import DataError, UsageError
from ppbench.lookup import unknown_name
from ppbench.models.card import Card
from ppbench.run import ClassSubset

Logits = Literal["own", "masked", "all"]
CHOICES = ("masked", "all")


class Head(NamedTuple):
    """How a model's outputs stand for the classes of the images."""

    columns: NDArray[np.int64] | None
    """``(classes,)``: the output of each class; None: they are the same."""
    logits: Logits
    """Whether the model has no other outputs ("own"), or has, which do not compete ("masked") or do ("all")."""

    def describe(self, classes: int, outputs: int) -> str:
        """For people, on one line."""
        if self.logits == "own":
            return f"{classes} classes"
        rule = "the other outputs masked" if self.logits == "masked" else "all outputs compete"
        return f"{classes} of {outputs} classes, {rule}"


def choose_head(name: str, card: Card, source: Source, wanted: str | None = None) -> Head:
    """Find the outputs that stand for the source's classes.

    Classes are matched by name: the card's, or ImageNet's 1000 WordNet ids for a model of 1000 classes. Where no names
    are known, as many outputs as classes are taken in the sorted order of the classes.

    Args:
        name: Of the model, for messages.
        card: Of the model.
        source: The images.
        wanted: "masked" or "all", where the model has more outputs than the images have classes; None: "masked".

    Raises:
        UsageError: If ``wanted`` is neither.
        DataError: If the model cannot tell these classes apart.
    """
    if wanted is not None and wanted not in CHOICES:
        raise unknown_name("value of --logits", wanted, list(CHOICES), "ppbench eval --help")
    columns = _by_name(card, source.class_names)
    if columns is None:
        if card.num_classes != source.num_classes:
            raise DataError(_differ(name, card, source), _mend(card, source))
        return Head(None, "own")
    same = np.array_equal(columns, np.arange(card.num_classes))
    if len(columns) == card.num_classes:
        return Head(None if same else columns, "own")
    return Head(columns, "all" if wanted == "all" else "masked")


def class_subset(head: Head, card: Card, source: Source, *, chosen: bool) -> ClassSubset | None:
    """What the run file says of the classes; None where they are the dataset's and the model's.

    Args:
        head: Of the model.
        card: Of the model.
        source: The images.
        chosen: Whether the user chose some of the dataset's classes.
    """
    if head.logits == "own" and not chosen:
        return None
    names = hashlib.sha256("\n".join(source.class_names).encode()).hexdigest()
    return ClassSubset(n=source.num_classes, outputs=card.num_classes, names_sha256=names, logits=head.logits)


def competing_outputs(head: Head, card: Card, source: Source) -> int:
    """Outputs that an image's prediction is chosen from."""
    return source.num_classes if head.logits == "masked" else card.num_classes


def read_classes(text: str, path: str) -> list[str]:
    """The class names of a file: the first word of each line, such as a WordNet id; ``#`` begins a comment.

    Raises:
        UsageError: If there is none, or one stands twice.
    """
    names = [line.split()[0] for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not names:
        raise UsageError(f"{path} has no class names", "One a line, such as n01440764.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"{path} has the class {twice} twice", "Remove one of the lines.")
    return names


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The WordNet ids of ImageNet's 1000 classes (ILSVRC 2012), sorted, which is the order of all networks' outputs."""
    return tuple((files("ppbench") / "assets" / "imagenet-classes.txt").read_text().split())


def _by_name(card: Card, classes: Sequence[str]) -> NDArray[np.int64] | None:
    """The outputs of the classes, by their names; None if the names do not tell."""
    for known in (card.class_names, imagenet_classes() if card.num_classes == 1000 else None):
        if known is None or set(known).isdisjoint(classes):
            continue
        odd = [name for name in classes if name not in set(known)]
        if odd:
            raise DataError(
                f"the class {odd[0]!r} is none of the model's, as {len(odd) - 1} others; {len(classes) - len(odd)} are",
                "Rename or remove these folders, or choose classes: `--classes FILE`.",
            )
        number = {name: place for place, name in enumerate(known)}
        return np.array([number[name] for name in classes], np.int64)
    return None


def _differ(name: str, card: Card, source: Source) -> str:
    return f"{name} tells {card.num_classes} classes apart, {source.dataset} has {source.num_classes} here"


def _mend(card: Card, source: Source) -> str:
    if card.num_classes < source.num_classes:
        return (
            f"Take a model trained for this dataset, or choose the {card.num_classes} classes it was trained for: "
            "`--classes FILE`, one name a line."
        )
    return (
        "Take a model trained for this dataset, or a dataset with the model's classes; class folders named by WordNet "
        "ids (n01440764) are found among ImageNet's 1000."
    )
