"""The classes of the images in words, for zero-shot models."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ppbench.data.source import Source
from ppbench.errors import UsageError
from ppbench.evaluation.subject import imagenet_classes
from ppbench.extras import import_extra
from ppbench.models.load import LoadedModel
from ppbench.models.prompts import PromptClass, in_words
from ppbench.models.zero_shot import ZeroShot, name_classes


def with_classes(model: LoadedModel, source: Source, device: torch.device) -> LoadedModel:
    """Give a zero-shot model its classes: those that the user chose, or those of the images.

    Other models are returned as they are.

    Args:
        model: The model.
        source: The images.
        device: Device that encodes the prompts.

    Raises:
        DataError: If the prompts cannot be encoded, or the model does not run.
        UsageError: If the images have no classes, or these are no words.
    """
    network = model.model
    if not isinstance(network, ZeroShot):
        return model
    if not network.texts.classes and not source.class_names:
        raise UsageError(
            f"{model.name} compares images with words, and images without labels have no names of classes",
            "Give the words: `--class-names FILE`, one class a line.",
        )
    classes = network.texts.classes or classes_in_words(source.class_names)
    return model._replace(card=name_classes(network, model.card, classes, device))


def classes_in_words(names: Sequence[str]) -> list[PromptClass]:
    """Return the classes with their texts: ImageNet's WordNet ids get open_clip's names for them.

    Raises:
        UsageError: If names are only numbers, two have one text, or open_clip, which has ImageNet's names, is not
            installed.
    """
    number = {wnid: place for place, wnid in enumerate(imagenet_classes())}
    if all(name in number for name in names):
        words = import_extra("open_clip", "clip", "naming the classes of ImageNet").IMAGENET_CLASSNAMES
        return [PromptClass(name, words[number[name]]) for name in names]
    nameless = next((name for name in names if not any(letter.isalpha() for letter in name.lstrip("n"))), None)
    if nameless is not None:
        raise UsageError(
            f"the class {nameless!r} of the images is no word that a zero-shot model could understand",
            "Give the words: `--class-names FILE`, one class a line in the order of the folders; or folder, tab, text.",
        )
    classes = [in_words(name) for name in names]
    first: dict[str, str] = {}
    for one in classes:
        if first.setdefault(one.text, one.name) != one.name:
            raise UsageError(
                f"the classes {first[one.text]!r} and {one.name!r} of the images have the same text, {one.text!r}",
                "Give each its own: `--class-names FILE`, one class a line: folder, tab, text.",
            )
    return classes
