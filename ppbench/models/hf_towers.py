"""The networks for images and texts of transformers' zero-shot models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ppbench.errors import DataError, in_one_line
from ppbench.models.zero_shot import Towers

ZERO_SHOT_KINDS = ("clip", "siglip")
"""Values of ``model_type`` whose networks compare an image with texts by a scaled cosine."""


class TransformersTowers(Towers):
    """A zero-shot network of transformers with its tokenizer."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        super().__init__()
        self.network, self.tokenizer = network, tokenizer
        self._longest = int(network.config.text_config.max_position_embeddings)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        # Always of full length, as SigLIP was trained.
        made = self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._longest, return_tensors="pt"
        )
        return {name: made[name] for name in ("input_ids", "attention_mask") if name in made}

    def encode_texts(self, tokens: dict[str, Tensor]) -> Tensor:
        return _pooled(self.network.get_text_features(**tokens))

    def encode_images(self, images: Tensor) -> Tensor:
        return _pooled(self.network.get_image_features(pixel_values=images))

    def scale_and_bias(self) -> tuple[Tensor, Tensor | float]:
        bias = getattr(self.network, "logit_bias", None)
        return self.network.logit_scale.exp(), 0.0 if bias is None else bias


def load_tokenizer(transformers: Any, folder: Path, what: str) -> Any:
    """Load the tokenizer of a folder; no code of the folder is run.

    Raises:
        DataError: If there is none that can be used.
    """
    try:
        return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers and tokenizers each raise their own classes
        raise DataError(
            f"transformers cannot load the tokenizer of {what}: {in_one_line(error)[:200]}",
            "A zero-shot model needs tokenizer.json or vocab.json with merges.txt beside its weights.",
        ) from error


def _pooled(features: Any) -> Tensor:
    """Return the features from what a version of transformers returns: these, or an output that has them."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found
