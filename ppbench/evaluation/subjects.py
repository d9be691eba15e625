"""From what a user calls a model to a network with weights and a card."""

from __future__ import annotations

from pathlib import Path

from ppbench.errors import DataError
from ppbench.evaluation.loop import Subject
from ppbench.models.catalog import Architecture, model_names, parse_model_name
from ppbench.models.checkpoint import load_checkpoint
from ppbench.models.embedded import EMBEDDED_MODELS, embedded_path
from ppbench.registry import unknown_name

CHECKPOINT_ENDINGS = {".safetensors", ".ckpt", ".pth", ".pt", ".bin"}

_AUTHORS = "https://github.com/bgswaroop/pushpull-conv"


def resolve_model(spec: str) -> Subject:
    """Load the model that ``spec`` names: an embedded checkpoint, or a file.

    Raises:
        DataError: If the file cannot be used, or ``spec`` names a network, which has no weights by itself.
        UsageError: If ``spec`` is neither a file nor a known name; the message has the nearest names.
    """
    if spec in EMBEDDED_MODELS:
        return Subject(spec, *load_checkpoint(embedded_path(spec)))
    path = Path(spec)
    if path.suffix.lower() in CHECKPOINT_ENDINGS or path.is_file() or len(path.parts) > 1:
        return Subject(path.stem, *load_checkpoint(path))
    if spec in model_names():
        raise DataError(f"--model {spec} is a network without weights", f"weights: {_how_to_get_weights(spec)}")
    raise unknown_name("model", spec, [*EMBEDDED_MODELS, *model_names()], "ppbench list models")


def _how_to_get_weights(name: str) -> str:
    architecture = parse_model_name(name)
    if architecture.avg_kernel_size is not None and architecture.stem == "imagenet":
        return f"none are published; `{_authors_training(architecture)}`, then `--model logs/…/last.ckpt`"
    if architecture.stem == "imagenet":
        url = _torchvision_url(name)
        return f"`wget {url}`, then `--model {url.rsplit('/', 1)[-1]}`"
    data = "--dataset fashion-mnist --data DIR"
    return f"`ppbench train --model {name} {data}`, then `--model {name}-fashion-mnist.safetensors`"


def _authors_training(architecture: Architecture) -> str:
    """The command that trains a push-pull network with the authors' code, whose checkpoints ppbench reads."""
    return (
        f"git clone {_AUTHORS} && cd pushpull-conv/project && python train_flow.py --task classification "
        f"--model {architecture.network} --dataset_name imagenet --dataset_dir IMAGENET --logs_dir logs "
        f"--avg_kernel_size {architecture.avg_kernel_size} --no-trainable_pull_inhibition"
    )


def _torchvision_url(name: str) -> str:
    import torchvision

    return str(torchvision.models.get_model_weights(name).IMAGENET1K_V1.url)
