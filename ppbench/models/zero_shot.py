"""Zero-shot classifiers: networks that compare an image with texts, such as CLIP, and their classes given in words."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ppbench.devices import computing
from ppbench.errors import DataError, UsageError, in_one_line
from ppbench.models.card import Card
from ppbench.models.prompts import PromptClass, prompts_of
from ppbench.models.settings_text import SettingsText
from ppbench.models.trial import check_runs

_TEXTS_AT_ONCE = 256


class Towers(nn.Module, ABC):
    """The two networks of a zero-shot model, one for images and one for texts, as a library gives them."""

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return what `encode_texts` takes, by name; each of shape ``(n, length)``, on the CPU."""

    @abstractmethod
    def encode_texts(self, tokens: dict[str, Tensor]) -> Tensor:
        """Return the features ``(n, d)`` of texts, of any length."""

    @abstractmethod
    def encode_images(self, images: Tensor) -> Tensor:
        """Return the features ``(n, d)`` of normalised images ``(n, 3, H, W)``, of any length."""

    @abstractmethod
    def scale_and_bias(self) -> tuple[Tensor, Tensor | float]:
        """Return what cosines are multiplied with (the exponential of ``logit_scale``), and what is added."""


class WantedTexts(NamedTuple):
    """The texts that the user chose."""

    classes: tuple[PromptClass, ...] | None
    """None: those of the images."""
    templates: tuple[str, ...]


class ZeroShot(nn.Module):
    """A classifier whose weights of a class are the features of prompts.

    The feature of a class is the mean over its prompts of their features, each of length 1, brought to length 1 again
    (Radford et al., ICML 2021, section 3.1.4). Logits are cosines times the model's own scale.

    It has no classes until `name_classes` gives it some. The prompts and their tokens are then part of its state dict,
    as text, and with it of its weights' hash: another prompt is another classifier. The features, which are computed
    from them and depend on the device by rounding, are not.
    """

    def __init__(self, what: str, towers: Towers, texts: WantedTexts, settings: str = "") -> None:
        """Take the networks.

        Args:
            what: Name for messages, such as ``clip:ViT-B-32``.
            towers: The networks.
            texts: What the user chose.
            settings: What else decides the outputs, such as the configuration of the networks.
        """
        super().__init__()
        self.what, self.towers, self.texts = what, towers, texts
        self.settings, self.prompts = SettingsText(settings), SettingsText("")
        self.features: Tensor | None
        self.register_buffer("features", None, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(n, classes)`` of normalised images ``(n, 3, H, W)``, as float32.

        Raises:
            UsageError: If it has no classes yet.
        """
        if self.features is None:
            raise UsageError(f"{self.what} has no classes without images to classify", "Use it with `ppbench eval`.")
        encoded = self.towers.encode_images(images)
        # The scale is 100 for CLIP's networks: cosines of half precision would be too coarse.
        with torch.autocast(images.device.type, enabled=False):
            scale, bias = self.towers.scale_and_bias()
            return scale.float() * (F.normalize(encoded.float(), dim=-1) @ self.features.T) + bias

    def set_classes(self, classes: Sequence[PromptClass], device: torch.device) -> None:
        """Compute the features of ``classes`` on ``device``, in float32.

        Raises:
            DataError: If the network for texts fails.
        """
        templates = self.texts.templates
        texts = [prompt for one in classes for prompt in prompts_of(one.text, templates)]
        encoded, digest = [], hashlib.sha256()
        self.towers.to(device)
        try:
            with torch.inference_mode(), computing("fp32", device):
                for begin in range(0, len(texts), _TEXTS_AT_ONCE):
                    tokens = self.towers.tokens(texts[begin : begin + _TEXTS_AT_ONCE])
                    for name in sorted(tokens):
                        digest.update(f"{name} {tuple(tokens[name].shape)} {tokens[name].tolist()}\n".encode())
                    moved = {name: held.to(device) for name, held in tokens.items()}
                    encoded.append(F.normalize(self.towers.encode_texts(moved).float(), dim=-1).cpu())
        except Exception as error:  # tokenizers and networks of the libraries can raise anything
            raise DataError(
                f"{self.what} cannot encode its prompts: {in_one_line(error)[:200]}", "Try shorter prompts."
            ) from error
        finally:
            self.towers.cpu()
        mean = torch.cat(encoded).view(len(classes), len(templates), -1).mean(1)
        # Made again outside of inference mode, because a module with such tensors cannot be compiled.
        self.features = F.normalize(mean, dim=-1).clone()
        said = {"classes": [one.text for one in classes], "templates": list(templates), "tokens": digest.hexdigest()}
        self.prompts = SettingsText(json.dumps(said, sort_keys=True))


def name_classes(model: ZeroShot, card: Card, classes: Sequence[PromptClass], device: torch.device) -> Card:
    """Give a zero-shot model its classes.

    Args:
        model: The model, which is changed. It is on the CPU again afterwards.
        card: Its card.
        classes: The classes, unless the user chose some.
        device: Device that encodes the prompts.

    Returns:
        The card with the classes and the texts.

    Raises:
        DataError: If the prompts cannot be encoded, or the model does not run.
    """
    classes = model.texts.classes or classes
    model.set_classes(classes, device)
    named = card.model_copy(
        update={
            "num_classes": len(classes),
            "class_names": tuple(one.name for one in classes),
            "prompts": {"classes": tuple(one.text for one in classes), "templates": model.texts.templates},
        }
    )
    check_runs(model.what, model, named)
    return named
