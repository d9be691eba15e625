"""Tiny networks for evaluation tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ppbench.data.source import Source
from ppbench.evaluation import loop
from ppbench.evaluation.identity import identify
from ppbench.evaluation.plan import EvalPlan
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.run_files import results
from ppbench.evaluation.settings import Settings
from ppbench.evaluation.stopping import StoppingRule
from ppbench.evaluation.subject import ClassHead, Subject, fit
from ppbench.models.build import build
from ppbench.models.card import Card
from ppbench.models.checkpoint import save_checkpoint
from ppbench.models.load import LoadedModel
from ppbench.run import MeasuredRun
from ppbench.vocabulary import C15, SEVERITIES


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


def tiny_subject(name: str = "tiny", seed: int = 0, **card: int | str) -> LoadedModel:
    """A network with random weights that gives different answers to different images."""
    torch.manual_seed(seed)
    described = tiny_card(**card)  # type: ignore[arg-type]
    model = build(described)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
    return LoadedModel(name, model.eval(), described)


def tiny_checkpoint(path: Path, seed: int = 0, **card: int | str) -> Path:
    """The same as a checkpoint file."""
    _, model, described = tiny_subject(seed=seed, **card)
    save_checkpoint(path, model, described)
    return path


def with_own_head(model: LoadedModel, head: ClassHead = ClassHead(None, "own")) -> Subject:  # noqa: B008
    """A model whose outputs are the classes of the images."""
    return Subject(*model, head)


def make_settings(
    corruptions: Sequence[str] = C15, severities: Sequence[int] = SEVERITIES, *, workers: int = 0, **request: Any
) -> Settings:
    """Settings of a request that says no more than this."""
    return Settings(EvalRequest(**request), corruptions, severities, workers=workers)


def planned(
    models: Sequence[LoadedModel], source: Source, settings: Settings, rule: StoppingRule | None = None
) -> EvalPlan:
    """A plan without a dataset's name and files of models."""
    request = settings.request
    chosen = request.classes is not None
    subjects = [fit(model, source, logits=request.logits, chosen=chosen, resize=request.resize) for model in models]
    return EvalPlan(subjects, source, settings, rule)


def measured(
    models: Sequence[LoadedModel], source: Source, settings: Settings, *more: Any
) -> tuple[list[MeasuredRun], BaseException | None]:
    """The runs of an evaluation, and what ended it early."""
    plan = planned(models, source, settings)
    scored = loop.run(plan, *more)
    identities = [identify(subject, source, settings) for subject in plan.subjects]
    return results(identities, scored, source, settings, datetime.now(UTC), 1), scored.stopped_by
