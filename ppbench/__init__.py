"""ppbench: how robust is an image classifier to corrupted images?

Nothing is imported until it is used: ``import ppbench`` costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ppbench.notebooks import offer
from ppbench.versions import __version__

if TYPE_CHECKING:
    from ppbench import metrics as metrics
    from ppbench.copies.api import corrupt_folder as corrupt_folder
    from ppbench.copies.transform import Corruption as Corruption
    from ppbench.corruptions.apply import corrupt as corrupt
    from ppbench.corruptions.own import corruption as corruption
    from ppbench.corruptions.sequences.apply import perturb as perturb
    from ppbench.errors import DataError as DataError
    from ppbench.errors import NotComparableError as NotComparableError
    from ppbench.errors import PpbenchError as PpbenchError
    from ppbench.errors import UsageError as UsageError
    from ppbench.evaluation.api import evaluate as evaluate
    from ppbench.figures.notebook import plot as plot
    from ppbench.models.blur import with_blur_after as with_blur_after
    from ppbench.models.blur import with_blur_pool as with_blur_pool
    from ppbench.models.card import Card as Card
    from ppbench.models.checkpoint import load_checkpoint as load_checkpoint
    from ppbench.models.checkpoint import save_checkpoint as save_checkpoint
    from ppbench.models.push_pull_2020 import PushPull2020Conv2d as PushPull2020Conv2d
    from ppbench.models.push_pull_2020 import with_push_pull_2020 as with_push_pull_2020
    from ppbench.models.pushpull import PushPullConv2d as PushPullConv2d
    from ppbench.models.pushpull import with_push_pull as with_push_pull
    from ppbench.models.resnet import create_model as create_model
    from ppbench.run import read_run as load_run  # noqa: F401
    from ppbench.streams.opening import ccc as ccc

_PUBLIC = {
    "Card": "ppbench.models.card:Card",
    "Corruption": "ppbench.copies.transform:Corruption",
    "DataError": "ppbench.errors:DataError",
    "NotComparableError": "ppbench.errors:NotComparableError",
    "PpbenchError": "ppbench.errors:PpbenchError",
    "PushPull2020Conv2d": "ppbench.models.push_pull_2020:PushPull2020Conv2d",
    "PushPullConv2d": "ppbench.models.pushpull:PushPullConv2d",
    "UsageError": "ppbench.errors:UsageError",
    "ccc": "ppbench.streams.opening:ccc",
    "corrupt": "ppbench.corruptions.apply:corrupt",
    "corrupt_folder": "ppbench.copies.api:corrupt_folder",
    "corruption": "ppbench.corruptions.own:corruption",
    "create_model": "ppbench.models.resnet:create_model",
    "evaluate": "ppbench.evaluation.api:evaluate",
    "load_checkpoint": "ppbench.models.checkpoint:load_checkpoint",
    "load_run": "ppbench.run:read_run",
    "metrics": "ppbench.metrics",
    "perturb": "ppbench.corruptions.sequences.apply:perturb",
    "plot": "ppbench.figures.notebook:plot",
    "save_checkpoint": "ppbench.models.checkpoint:save_checkpoint",
    "with_blur_after": "ppbench.models.blur:with_blur_after",
    "with_blur_pool": "ppbench.models.blur:with_blur_pool",
    "with_push_pull": "ppbench.models.pushpull:with_push_pull",
    "with_push_pull_2020": "ppbench.models.push_pull_2020:with_push_pull_2020",
}

# Layers below figures cannot import them, yet a run draws itself.
offer(plot=_PUBLIC["plot"], table="ppbench.figures.notebook:run_table", line="ppbench.report.line:run_in_words")

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ppbench' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    loaded = import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return sorted(__all__)
