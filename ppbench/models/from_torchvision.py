"""Load torchvision's classification networks, with its weights or the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn

from ppbench.errors import UsageError
from ppbench.lookup import check_name, unknown_name
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.download import OnDownload, fetch, hash_in, sha256_of, verify
from ppbench.models.loaded import Checkpoint
from ppbench.models.statedict import load_state, names_file, read_state_file, why_no_weights
from ppbench.models.states import without_wrappers
from ppbench.models.trial import check_runs
from ppbench.models.undrawn import WithoutDrawing

USUAL = "IMAGENET1K_V1"
"""The weights to which published figures refer."""

LISTING = 'python -c "import torchvision.models as m; print(*m.list_models(m))"'
"""The command that lists the networks of the installed torchvision."""

_ONLY_FOR_TRAINING = ("AuxLogits.", "aux1.", "aux2.")
"""Auxiliary heads of the Inception networks, which do nothing in eval mode."""

_HEAD = re.compile(r"(fc|head|heads\.head|classifier)(\.(?P<place>\d+))?\.weight")
"""The layer that gives the logits; in a ``Sequential``, the one with the highest index."""


def load_torchvision(
    reference: str, options: CardOptions, on_download: OnDownload | None = None
) -> tuple[str, Checkpoint]:
    """Load the network of ``NAME``, ``NAME@WEIGHTS`` or ``NAME@FILE``.

    ``NAME`` alone means the weights `USUAL`, or torchvision's default if the network has no weights of that name.
    torchvision's weights are downloaded into its own cache. A file that equals one of torchvision's byte for byte gets
    the card of those weights. Any other file with their number of classes gets the card of the usual weights.

    Args:
        reference: As above; ``WEIGHTS`` is a name in torchvision's enum.
        options: Values that replace the card's.
        on_download: Called with the bytes received, and the bytes expected.

    Returns:
        A short name (``resnet50``, ``resnet50@IMAGENET1K_V2``, the file's stem), and the network with its card.

    Raises:
        DataError: If the weights cannot be fetched, are damaged or do not fit.
        UsageError: If the network or the weights do not exist, or if the options do not fit them or do not make the
            card that they lack.
    """
    name, at, choice = reference.partition("@")
    check_name("torchvision network", name, torchvision_networks(), LISTING)
    if options.architecture is not None:
        raise UsageError(
            f"--architecture cannot be used with torchvision:{name}", "Leave it out: the name already says it."
        )
    published = torchvision.models.get_model_weights(name)
    if at and choice not in published.__members__ and names_file(choice):
        path = Path(choice)
        return path.stem, _load(name, path, _recognise(name, published, path), options)
    weights = _choose(name, published, choice)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    size = weights.meta.get("_file_size")
    path = fetch(weights.url, folder, megabytes=size, on_download=on_download, why_wrong=why_no_weights)
    return name if weights.name == USUAL else f"{name}@{weights.name}", _load(name, path, weights, options)


def torchvision_networks() -> list[str]:
    """Return the names of torchvision's classification networks."""
    return cast(list[str], torchvision.models.list_models(module=torchvision.models))


def _usual(published: Any) -> Any:
    return published[USUAL if USUAL in published.__members__ else "DEFAULT"]


def _choose(name: str, published: Any, choice: str) -> Any:
    """The member of the enum ``published``."""
    if not choice:
        return _usual(published)
    if choice not in published.__members__:
        known = [weights.name for weights in published]
        see = f"python -c \"import torchvision.models as m; print(*m.get_model_weights('{name}'))\""
        raise unknown_name(f"weights or file for torchvision:{name}", choice, known, see)
    _check_classifies(name, published[choice])
    return published[choice]


def _check_classifies(name: str, weights: Any) -> None:
    """Raise `UsageError` for weights without a classifier: torchvision also has backbones for detection."""
    if weights.meta["categories"] is None:
        raise UsageError(
            f"the weights {weights.name} of torchvision's {name} are not of a classifier", "Choose other weights."
        )


def _recognise(name: str, published: Any, path: Path) -> Any | None:
    """Return the weights of torchvision that ``path`` holds, or None if it holds others.

    Raises:
        DataError: If it has the name of one of torchvision's files but another content.
        UsageError: If the weights are not of a classifier.
    """
    digest = sha256_of(path)
    for weights in published:
        if path.name == weights.url.rsplit("/", 1)[-1]:
            verify(path, weights.url)
        if hash_in(weights.url) and digest.startswith(hash_in(weights.url)):
            _check_classifies(name, weights)
            return weights
    return None


def _load(name: str, path: Path, weights: Any | None, options: CardOptions) -> Checkpoint:
    """Load the file of ``weights``, or a user's own (None)."""
    what = f"torchvision:{name}" if weights is not None else f"torchvision:{name}@{path}"
    file = read_state_file(path, ema=options.ema)
    state = _names_of_today(without_wrappers(file.tensors, ema=options.ema))
    classes = _count_classes(state)
    card = _card(name, weights or _usual(torchvision.models.get_model_weights(name)), is_own=weights is None)
    if classes in (0, card.num_classes):  # 0: the layer is missing, which load_state reports
        card = options.override(card, what)
    else:
        card = options.make(what, architecture=card.architecture, num_classes=classes, in_channels=3)
    with WithoutDrawing():
        model = build_network(name, card, is_own=weights is None)
    load_state(path, model, state)
    check_runs(what, model, card)
    return Checkpoint(model.eval(), card.model_copy(update={"weights": file.choice}))


def _card(name: str, weights: Any, *, is_own: bool) -> Card:
    preset = weights.transforms()
    return Card(
        architecture=f"torchvision:{name}",
        num_classes=len(weights.meta["categories"]),
        input_size=preset.crop_size[0],
        resize=preset.resize_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        trained_on=None if is_own else "imagenet",
        source=None if is_own else weights.url,
    )


def _count_classes(state: Mapping[str, Tensor]) -> int:
    """Return the number of outputs of the last layer in ``state``, or 0 if no name is one of torchvision's for it."""
    heads = [name for name in state if _HEAD.fullmatch(name) and state[name].dim() >= 2]
    last = max(heads, key=lambda name: int(_HEAD.fullmatch(name)["place"] or 0), default=None)  # type: ignore[index]
    return len(state[last]) if last is not None else 0


def build_network(name: str, card: Card, *, is_own: bool) -> nn.Module:
    """Build a network of torchvision with random weights, with the settings for torchvision's own or for other weights.

    torchvision's own weights of the Inception networks expect inputs that the network rescales itself.
    """
    special: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        special = {"transform_input": not is_own, "aux_logits": False, "init_weights": False}
    elif name.startswith("vit_"):
        special = {"image_size": card.input_size}
    with torch.random.fork_rng(devices=[]):
        return cast(nn.Module, torchvision.models.get_model(name, num_classes=card.num_classes, **special))


def _names_of_today(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename what torchvision has renamed since it published the weights, and drop what only training needs."""
    renamed = {}
    for name, tensor in state.items():
        if not name.startswith(_ONLY_FOR_TRAINING):
            # The renamings that torchvision itself does when it loads such weights: in DenseNets and in vision
            # transformers.
            name = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)
            name = re.sub(r"\.mlp\.linear_1\.", ".mlp.0.", name)
            name = re.sub(r"\.mlp\.linear_2\.", ".mlp.3.", name)
            renamed[name] = tensor
    return renamed
