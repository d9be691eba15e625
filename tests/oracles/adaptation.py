"""Batch-norm adaptation as a plain loop in two passes: every input of every batch norm is kept, and then averaged."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


def groups_plainly(ids: Sequence[str], seed: int, most: int) -> list[list[int]]:
    """Places of the images in each group: as equal as possible, in the order of a hash of the ids."""
    order = sorted(range(len(ids)), key=lambda place: hashlib.sha256(f"subset/{seed}/{ids[place]}".encode()).digest())
    count = int(np.ceil(len(ids) / most))
    sizes = [len(ids) // count + (number < len(ids) % count) for number in range(count)]
    ends = np.cumsum(sizes)
    return [order[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def predict_adapted_plainly(
    model: nn.Module, x: Tensor, groups: Sequence[Sequence[int]], source_images: int = 0
) -> Tensor:
    """Logits of all images ``x`` of a cell, preprocessed.

    Args:
        model: A network in eval mode, whose batch norms are torch's.
        x: ``(n, C, H, W)``.
        groups: Places of the images that are normalised together in the first pass.
        source_images: Images that the network's own statistics count as.
    """
    model = copy.deepcopy(model)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept: dict[nn.Module, list[np.ndarray]] = {norm: [] for norm in norms}

    def mixed(norm: nn.Module, values: np.ndarray) -> tuple[Tensor, Tensor]:
        channels = np.moveaxis(values.astype(np.float64), 1, 0).reshape(values.shape[1], -1)
        here = np.array([channels.mean(1), channels.var(1)])
        if source_images:
            own = np.array([norm.running_mean.numpy(), norm.running_var.numpy()], np.float64)
            here = (source_images * own + len(x) * here) / (source_images + len(x))
        mean, variance = torch.from_numpy(here)
        return mean, variance

    def normalised(norm: nn.Module, inputs: tuple[Tensor], _: Tensor) -> Tensor:
        (values,) = inputs
        kept[norm].append(values.numpy())
        shape = (1, -1, *[1] * (values.dim() - 2))
        mean, variance = (one.float().view(shape) for one in mixed(norm, values.numpy()))
        y = (values - mean) / torch.sqrt(variance + norm.eps)
        return y if norm.weight is None else y * norm.weight.view(shape) + norm.bias.view(shape)

    with torch.no_grad():
        hooks = [norm.register_forward_hook(normalised) for norm in norms]
        for group in groups:
            model(x[list(group)])
        for hook in hooks:
            hook.remove()
        found = {norm: mixed(norm, np.concatenate(values)) for norm, values in kept.items() if values}
        for norm, (mean, variance) in found.items():
            norm.running_mean, norm.running_var = mean.float(), variance.float()
        return model(x)
