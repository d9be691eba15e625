"""Train the missing networks one after the other; if one fails, the others are still trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ppbench.errors import DataError, PpbenchError, UsageError
from ppbench.files import check_writable, locked
from ppbench.reproduce.networks import TrainedRow, own_network
from ppbench.reproduce.table import Table
from ppbench.train.fit import run_training
from ppbench.train.module import TrainingDivergedError
from ppbench.train.recipe import TrainRecipe
from ppbench.train.request import TrainingProgress, TrainRequest

Failures = dict[str, PpbenchError]
"""Errors of the trainings that failed, by network."""


def train_missing(
    table: Table,
    networks: Sequence[TrainedRow],
    data: Path,
    *,
    command: str | None,
    say: Callable[[str], None],
    progress: TrainingProgress,
    device: torch.device,
) -> Failures:
    """Train the networks that do not exist yet, and resume those that were begun.

    Args:
        table: The table of the networks.
        networks: Its networks, including those that exist.
        data: Folder of the training data.
        command: The command line to record in the cards.
        say: Receives messages.
        progress: Shows the progress of a training.
        device: Device to train on.
    """
    failures: Failures = {}
    missing = [network for network in networks if network.action != "take"]
    for number, network in enumerate(missing, 1):
        say(f"training {network.name} ({number} of {len(missing)}): {network.row.label}, seed {network.seed}")
        try:
            _train(table, network, data, command, say, progress, device)
        except TrainingDivergedError as error:
            failures[network.name] = TrainingDivergedError(error.message, _what_to_try(network.recipe))
            say(f"{network.name} failed: {error.message}")
        except (PpbenchError, torch.OutOfMemoryError) as error:
            reason = " ".join(str(error).split())[:160]
            full = DataError(f"the device's memory is full ({reason})", "Use a GPU with more memory.")
            failures[network.name] = error if isinstance(error, PpbenchError) else full
            say(f"{network.name} failed: {failures[network.name].message}")
    return failures


def _train(
    table: Table,
    network: TrainedRow,
    data: Path,
    command: str | None,
    say: Callable[[str], None],
    progress: TrainingProgress,
    device: torch.device,
) -> None:
    """Train one network, unless another process has trained it since the networks were looked up."""
    check_writable(network.path)
    refusal = UsageError(
        f"another process is training {network.name}", "Run the same command again when that one is done."
    )
    with locked(network.path.with_name(f".{network.path.name}.lock"), refusal):
        if own_network(table, network.row, network.seed, network.path.parent).action == "take":
            say(f"{network.name} was trained by another process")
            return
        request = TrainRequest(
            network.recipe, data, network.path, validate_every=0, command=command, device=device
        )  # fmt: skip
        with progress() as callbacks:
            result = run_training(request, say, callbacks)
        assert result is not None  # only further processes of a distributed training return None
        say(f"{network.path}: {result.clean_accuracy:.2%} of the clean test images right")


def _what_to_try(recipe: TrainRecipe) -> str:
    """What helps against divergence, as options of ``ppbench reproduce``."""
    clip = " or `--set grad_clip=1`" if recipe.grad_clip is None else ""
    return (
        f"Try a lower learning rate (`--set lr={recipe.lr / 4:g}`){clip}, in another folder (`--work DIR`), because "
        "settings are for all rows."
    )
