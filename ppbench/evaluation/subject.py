"""Models as they are evaluated, with the outputs that stand for the classes of the images. Free of torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ppbench.data.folder import EMPTY
from ppbench.data.source import Source
from ppbench.errors import DataError, UsageError
from ppbench.lookup import check_name, counted
from ppbench.models.card import Card
from ppbench.run import MOST_CLASSES, ClassSubset

if TYPE_CHECKING:
    from torch import nn

    from ppbench.models.load import LoadedModel

Logits = Literal["own", "masked", "all"]
CHOICES = ("masked", "all")


class ClassHead(NamedTuple):
    """The outputs of a model that stand for the classes of the images."""

    columns: NDArray[np.int64] | None
    """``(classes,)``: the output of each class; None: classes and outputs are the same, in the same order."""
    logits: Logits
    """"own": the model has no other outputs; "masked": its other outputs do not compete; "all": they do."""
    competing: int | None = None
    """Outputs that an image's prediction is chosen from; None if that is not known."""
    subset: ClassSubset | None = None
    """The run file's record of the classes; None if they are all classes of the dataset and of the model."""

    def class_numbers(self) -> NDArray[np.int64] | None:
        """Number the competing outputs as `ppbench.run.Predictions` numbers classes.

        Returns:
            ``(competing,)``: an output of one of the images' classes has the place of the class; any other output has
            its own place after all of these. None if the competing outputs are the classes, in order.
        """
        if self.columns is None or self.logits != "all" or self.subset is None:
            return None
        numbers = len(self.columns) + np.arange(self.subset.outputs)
        numbers[self.columns] = np.arange(len(self.columns))
        return numbers

    def describe(self, classes: int, outputs: int) -> str:
        """Describe the classes in one line, for people; 0 classes: the images have no labels."""
        if not classes:
            return f"labels: its clean predictions, of {outputs} outputs"
        if self.logits == "own":
            return f"{classes} classes"
        rule = "the other outputs masked" if self.logits == "masked" else "all outputs compete"
        return f"{classes} of {outputs} classes, {rule}"


class Subject(NamedTuple):
    """A model that fits the images it is evaluated on."""

    name: str
    """Suitable for a file name."""
    model: nn.Module
    card: Card
    head: ClassHead


def fit(
    model: LoadedModel, source: Source, *, logits: str | None = None, chosen: bool = False, resize: int | None = None
) -> Subject:
    """Match the model's outputs with the images' classes, and check that the model takes the images.

    Args:
        model: The model and its card.
        source: The images.
        logits: As for `choose_head`.
        chosen: As for `choose_head`.
        resize: Side in pixels to which images are resized before they are cut to the model's size; None: no resizing.

    Raises:
        UsageError: If ``logits`` is not allowed.
        DataError: If the model cannot be meant for the images: classes, channels or size differ.
    """
    card = model.card
    head = choose_head(model.name, card, source, logits, chosen=chosen)
    if card.in_channels == 1 and source.channels == 3:
        raise DataError(
            f"{model.name} takes grey images, but {source.dataset} has colour images",
            "Give a model for colour images: `--model …`.",
        )
    entering = source.size if resize is None else resize
    pads = resize is not None and card.resize is not None and card.resize < card.input_size
    if (entering < card.input_size and not pads) or (resize is None and entering != card.input_size):
        cut = f"resized to {entering} px" if resize else f"{entering} px"
        recipe = source.recipe_of_size.get(card.input_size)
        hint = (
            f"Corrupted images are not resized unless asked: `--resize {card.resize or card.input_size}`, or take a "
            "model made for their size."
            if recipe is None
            else f"Its images are made in {card.input_size} px too: `--recipe {recipe}`."
        )
        raise DataError(f"{model.name} takes images of {card.input_size} px, but {source.dataset} has {cut}", hint)
    return Subject(*model, head)


def output_names(card: Card) -> tuple[str, ...]:
    """Names of a model's outputs: the card's, ImageNet's WordNet ids for 1000 outputs, else ``output 17``.

    Raises:
        DataError: If the card has other than one name per output.
    """
    if card.class_names is not None and len(card.class_names) != card.num_classes:
        raise DataError(
            f"the card of {card.architecture} has {counted(len(card.class_names), 'class name')} for "
            f"{counted(card.num_classes, 'output')}",
            "Correct `class_names` or `num_classes` of the card.",
        )
    known = card.class_names or (imagenet_classes() if card.num_classes == 1000 else None)
    return known or tuple(f"output {number}" for number in range(card.num_classes))


def choose_head(name: str, card: Card, source: Source, wanted: str | None = None, *, chosen: bool = False) -> ClassHead:
    """Find the outputs that stand for the source's classes.

    Classes are matched by name: the card's names, or ImageNet's 1000 WordNet ids for a model of 1000 classes. If no
    names are known, the model must have one output per class, in the sorted order of the classes.

    Args:
        name: Name of the model, for messages.
        card: Card of the model.
        source: The images.
        wanted: "masked" or "all", if the model has more outputs than the images have classes; None: "masked".
        chosen: Whether the user chose some of the dataset's classes.

    Raises:
        UsageError: If ``wanted`` is neither.
        DataError: If the model does not have these classes.
    """
    if wanted is not None:
        check_name("value of --logits", wanted, CHOICES, "ppbench eval --help")
    if not source.class_names:
        return _own_head(name, card)
    columns = _by_name(card, source)
    logits: Logits = "own"
    if columns is None and card.num_classes != source.num_classes:
        classes = counted(source.num_classes, "class", "classes")
        raise DataError(
            f"{name} has {card.num_classes} outputs, but {source.dataset} has {classes} here",
            _other_classes_hint(card, source),
        )
    if columns is not None and len(columns) != card.num_classes:
        logits = "all" if wanted == "all" else "masked"
    # The same classes in the same order: no output needs to be moved.
    elif columns is not None and np.array_equal(columns, np.arange(card.num_classes)):
        columns = None
    subset = None
    if logits != "own" or chosen:
        names = hashlib.sha256("\n".join(source.class_names).encode()).hexdigest()
        subset = ClassSubset(n=source.num_classes, outputs=card.num_classes, names_sha256=names, logits=logits)
    return ClassHead(columns, logits, source.num_classes if logits == "masked" else card.num_classes, subset)


def _own_head(name: str, card: Card) -> ClassHead:
    """The head of a model whose clean predictions are the labels: all its outputs compete."""
    if not 2 <= card.num_classes <= MOST_CLASSES:
        raise DataError(
            f"{name} has {counted(card.num_classes, 'output')}; without labels it takes 2 to {MOST_CLASSES:,}",
            "Give labels: `--labels FILE.csv`.",
        )
    return ClassHead(None, "own", card.num_classes)


def parse_classes(text: str, path: str) -> list[str]:
    """Read the class names of a file: the first word of each line, such as a WordNet id; ``#`` begins a comment.

    Raises:
        UsageError: If there are none, or one occurs twice.
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
    """WordNet ids of ImageNet's 1000 classes (ILSVRC 2012), sorted, which is the order of all networks' outputs."""
    return tuple((files("ppbench") / "assets" / "imagenet-classes.txt").read_text().split())


def _by_name(card: Card, source: Source) -> NDArray[np.int64] | None:
    """Find the outputs of the classes by name, or by the number that is their name; None if names are unknown."""
    classes = source.class_names
    if source.are_numbered:
        return _by_number(card, classes)
    # Images without names of their own have those of the outputs, of which several may be equal: "crane" and "crane".
    if tuple(classes) == output_names(card):
        return np.arange(card.num_classes)
    for known in (card.class_names, imagenet_classes() if card.num_classes == 1000 else None):
        if known is not None and (found := _matched(known, classes)) is not None:
            return found
    return None


def _by_number(card: Card, classes: Sequence[str]) -> NDArray[np.int64]:
    numbers = np.array([int(name) for name in classes], np.int64)
    if numbers.max() >= card.num_classes:
        raise DataError(
            f"--labels has the class {numbers.max()}, but the model's outputs are 0 to {card.num_classes - 1}",
            "Numbers are places among the model's outputs, from 0.",
        )
    return numbers


def _matched(known: Sequence[str], classes: Sequence[str]) -> NDArray[np.int64] | None:
    """Find ``classes`` among the names of a model's outputs, exactly or but for case, blanks, ``_`` and ``-``.

    Returns:
        The outputs; None if not one class is among them.

    Raises:
        DataError: If only some are, or two outputs have the name of one.
    """
    found: dict[str, list[int]] = {}
    for spelling in (str, _folded):
        found = {}
        for place, name in enumerate(known):
            found.setdefault(spelling(name), []).append(place)
        wanted = [spelling(name) for name in classes]
        if found.keys() >= set(wanted) and len(set(wanted)) == len(wanted):
            twice = next((name for name in wanted if len(found[name]) > 1), None)
            if twice is not None:
                raise DataError(
                    f"the model has {len(found[twice])} classes called {twice!r}",
                    "Which of them this folder is cannot be known: leave it out with `--classes FILE`.",
                )
            return np.array([found[name][0] for name in wanted], np.int64)
    odd = [name for name in classes if _folded(name) not in found]
    if len(odd) == len(classes):
        return None
    if not odd:
        twice, times = Counter(map(_folded, classes)).most_common(1)[0]
        raise DataError(
            f"{times} classes of the images are called {twice!r}, so that their outputs cannot be told apart",
            "Rename them, or choose classes: `--classes FILE`.",
        )
    more = f" and {counted(len(odd) - 1, 'other')}" if len(odd) > 1 else ""
    raise DataError(
        f"the model lacks the class {odd[0]!r}{more} of the {len(classes)} here",
        "Rename or remove these folders, or choose classes: `--classes FILE`.",
    )


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _other_classes_hint(card: Card, source: Source) -> str:
    if card.num_classes < source.num_classes:
        empty = [f" It has {note}." for note in source.notes if EMPTY in note]
        return (
            f"Take a model trained for this dataset, or choose the {card.num_classes} classes it was trained for: "
            f"`--classes FILE`, one name a line.{''.join(empty)}"
        )
    if card.class_names is None and card.num_classes != 1000:
        return (
            "The names of the model's classes are not known, so the images' classes cannot be found among them. Give "
            "numbers of outputs as labels (`--labels FILE.csv`), a card with `class_names`, or images of all classes."
        )
    return (
        "Take a model trained for this dataset, or a dataset with the model's classes; class folders named by WordNet "
        "ids (n01440764) are found among ImageNet's 1000."
    )
