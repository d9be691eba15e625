"""Load what ``--model`` names: a known name, a file or the user's own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import nn

from ppbench.errors import DataError, UsageError
from ppbench.lookup import unknown_name
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.download import OnDownload
from ppbench.models.embedded import EMBEDDED_MODELS, embedded_path
from ppbench.models.from_clip import load_clip
from ppbench.models.from_code import load_from_code
from ppbench.models.from_hf import load_hf
from ppbench.models.from_onnx import load_onnx, names_onnx
from ppbench.models.from_timm import load_timm
from ppbench.models.loaded import Checkpoint
from ppbench.models.other_kinds import error_of_kind
from ppbench.models.shapes import Architecture, model_names, parse_model_name
from ppbench.models.statedict import names_file
from ppbench.own_code import names_factory

_ABOUT_TEST_SIZE = "It is the size at which timm validates its networks (`--model timm:NAME`). Give `--input-size N`."
_AUTHORS = "https://github.com/bgswaroop/pushpull-conv"


class LoadedModel(NamedTuple):
    """A network with its weights and its card."""

    name: str
    """Name for people; also usable in a file name."""
    model: nn.Module
    card: Card


def resolve_model(spec: str, options: CardOptions | None = None, on_download: OnDownload | None = None) -> LoadedModel:
    """Load the model that ``spec`` names.

    Args:
        spec: An embedded checkpoint's name; ``torchvision:NAME``, ``torchvision:NAME@WEIGHTS`` or
            ``torchvision:NAME@FILE``; ``timm:NAME`` or ``timm:NAME@FILE``; ``hf:ORG/NAME`` or ``hf:DIR``;
            ``clip:NAME@TAG``, ``clip:NAME@FILE`` or ``clip:DIR``; ``FILE.onnx`` or ``onnx:FILE``, both also with
            ``@OUTPUT``; another file; or ``pkg.mod:factory``, the user's own code, which is run.
        options: Values that replace those of the model's card, or make a card for a model without one.
        on_download: Called with the bytes received, and the bytes expected (0: not known).

    Raises:
        DataError: If the weights cannot be used or fetched, or ``spec`` names a network without weights.
        UsageError: If ``spec`` is none of these (the message has the nearest names), or there is no card and
            ``options`` do not make one.
    """
    options = options or CardOptions()
    kind, _, reference = spec.partition(":")
    _check_fits_source(spec, kind, options)
    if is_code(spec):
        return _named(*load_from_code(spec, options))
    if spec in EMBEDDED_MODELS:
        return LoadedModel(spec, *load_checkpoint(embedded_path(spec), options=options))
    if kind in MODEL_SOURCES and reference:
        return _named(*MODEL_SOURCES[kind](reference, options, on_download))
    if names_onnx(spec):
        return _named(*load_onnx(spec, options))
    if spec and Path(spec).is_dir() and (error := error_of_kind(Path(spec))):
        raise error
    if names_file(spec):
        return LoadedModel(Path(spec).stem, *load_checkpoint(spec, options=options))
    if spec in model_names():
        raise DataError(f"--model {spec} is a network without weights", f"weights: {_how_to_get_weights(spec)}")
    from ppbench.models.from_torchvision import torchvision_networks

    if spec in torchvision_networks():
        raise UsageError(f"unknown model {spec!r}", f"did you mean 'torchvision:{spec}'?")
    raise unknown_name("model", spec, [*EMBEDDED_MODELS, *model_names()], "ppbench list models")


def _check_fits_source(spec: str, kind: str, options: CardOptions) -> None:
    """Raise `UsageError` for options that only another source of models has."""
    texts = "It is for zero-shot models, whose classes are texts (`--model clip:NAME`)."
    for option, given, sources, hint in (
        ("--test-size", options.test_size, ("timm",), _ABOUT_TEST_SIZE),
        ("--class-names", options.class_names, ("clip", "hf"), texts),
        ("--templates", options.templates, ("clip", "hf"), texts),
        ("--trust-remote-code", options.trust_remote_code, ("hf",), "It is for `--model hf:ORG/NAME`. Leave it out."),
    ):
        if given and kind not in sources:
            raise UsageError(f"{option} cannot be used with --model {spec}", hint)


def is_code(spec: str) -> bool:
    """Whether ``spec`` is the user's own code, ``pkg.mod:factory``; sources and existing files take precedence."""
    kind = spec.partition(":")[0]
    return names_factory(spec) and kind not in MODEL_SOURCES and not names_file(spec)


def _from_torchvision(reference: str, options: CardOptions, on_download: OnDownload | None) -> tuple[str, Checkpoint]:
    # Lazy: importing torchvision takes longer than importing torch.
    from ppbench.models.from_torchvision import load_torchvision

    return load_torchvision(reference, options, on_download)


ModelSource = Callable[[str, CardOptions, OnDownload | None], tuple[str, Checkpoint]]
"""Loads a model: takes what follows the prefix, the card's options and a progress callback; returns a short name, and
the network with its card."""

MODEL_SOURCES: dict[str, ModelSource] = {
    "torchvision": _from_torchvision,
    "timm": lambda reference, options, on_download: load_timm(reference, options),
    "hf": load_hf,
    "clip": load_clip,
    "onnx": lambda reference, options, on_download: load_onnx(reference, options),
}
"""Sources by prefix: ``--model PREFIX:NAME``."""


def _named(name: str, checkpoint: Checkpoint) -> LoadedModel:
    return LoadedModel(name, *checkpoint)


def _how_to_get_weights(name: str) -> str:
    architecture = parse_model_name(name)
    if architecture.avg_kernel_size is not None and architecture.stem == "imagenet":
        return f"none are published; `{_authors_training(architecture)}`, then `--model logs/…/last.ckpt`"
    if architecture.stem == "imagenet" and architecture.variant is not None:
        return f"none are published; `ppbench train --model {name} --dataset imagenet --data DIR` makes them"
    if architecture.stem == "imagenet":
        import torchvision

        url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
        return f"`--model torchvision:{name}` downloads them; or `wget {url}`, then `--model {url.rsplit('/', 1)[-1]}`"
    data = "--dataset fashion-mnist --data DIR"
    return f"`ppbench train --model {name} {data}`, then `--model {name}-fashion-mnist.safetensors`"


def _authors_training(architecture: Architecture) -> str:
    """Return the command that trains a push-pull network with the authors' code, whose checkpoints ppbench reads."""
    return (
        f"git clone {_AUTHORS} && cd pushpull-conv/project && python train_flow.py --task classification "
        f"--model {architecture.network} --dataset_name imagenet --dataset_dir IMAGENET --logs_dir logs "
        f"--avg_kernel_size {architecture.avg_kernel_size} --no-trainable_pull_inhibition"
    )
