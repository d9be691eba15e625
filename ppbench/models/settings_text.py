"""Text that decides a network's outputs beside its weights, kept in its state dict so that the weights' hash has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SettingsText(nn.Module):
    """A text as a buffer of bytes.

    Args:
        text: What decides the outputs, such as a configuration or the prompts of a zero-shot model.
    """

    text: Tensor
    """uint8, UTF-8."""

    def __init__(self, text: str) -> None:
        super().__init__()
        # Never empty: the hash of a network without it has to differ.
        self.register_buffer("text", torch.tensor(list(f"{text}\n".encode()), dtype=torch.uint8))
