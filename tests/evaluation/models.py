"""Tiny networks for evaluation tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ppbench.data.source import Source
from ppbench.evaluation.loop import Settings, evaluate_all
from ppbench.evaluation.record import identify, results
from ppbench.models.build import build
from ppbench.models.card import Card
from ppbench.models.checkpoint import save_checkpoint
from ppbench.models.load import Subject
from ppbench.run import MeasuredRun


def tiny_card(size: int = 28, channels: int = 1, classes: int = 10, architecture: str = "resnet8") -> Card:
    """A card for images of ``size`` px."""
    return Card(
        architecture=architecture,
        num_classes=classes,
        in_channels=channels,  # type: ignore[arg-type]
        input_size=size,
        mean=(0.4,) * channels,
        std=(0.3,) * channels,
    )


def tiny_subject(name: str = "tiny", seed: int = 0, **card: int | str) -> Subject:
    """A network with random weights that gives different answers to different images."""
    torch.manual_seed(seed)
    described = tiny_card(**card)  # type: ignore[arg-type]
    model = build(described)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
    return Subject(name, model.eval(), described)


def tiny_checkpoint(path: Path, seed: int = 0, **card: int | str) -> Path:
    """The same as a checkpoint file."""
    _, model, described = tiny_subject(seed=seed, **card)
    save_checkpoint(path, model, described)
    return path


def measured(
    subjects: Sequence[Subject], source: Source, settings: Settings, *more: Any
) -> tuple[list[MeasuredRun], BaseException | None]:
    """The runs of an evaluation, and what ended it early."""
    outcome = evaluate_all(subjects, source, settings, *more)
    identities = [identify(subject, source, settings) for subject in subjects]
    return results(identities, outcome, source, settings, datetime.now(UTC), 1), outcome.stopped_by
