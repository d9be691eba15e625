"""Trains one step in as many processes as torchrun started and writes the averaged gradients (rank 0).

Run as ``python gradients.py DATA FOLDER``. The network has its batch norm in evaluation mode, for in training each
process would normalise by its own half of the batch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from ppbench.train.fit import train
from ppbench.train.recipe import TrainRecipe


class Frozen(Callback):
    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()


class Gradients(Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        if trainer.global_step == 0 and trainer.is_global_zero:
            torch.save({n: p.grad.clone() for n, p in module.network.named_parameters()}, self.path)


def main(data: Path, folder: Path) -> None:
    recipe = TrainRecipe(
        model="resnet8-pp", dataset="fashion-mnist", epochs=2, batch_size=48, lr=0.01, augment="trivialaugment"
    )
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    trained = train(
        recipe, data, folder / "net.safetensors", devices=devices, workers=0, log_dir=folder / "log",
        callbacks=(Frozen(), Gradients(folder / "gradients.pt")),
    )  # fmt: skip
    assert (trained is None) == (os.environ.get("RANK", "0") != "0")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
