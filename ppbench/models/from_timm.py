"""Load networks of timm, an optional extra, with timm's weights or the user's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from ppbench.errors import DataError, UsageError, in_one_line
from ppbench.extras import import_extra
from ppbench.hub import TIMEOUT, quiet_hub
from ppbench.lookup import unknown_name
from ppbench.models.card import Card, Interpolation
from ppbench.models.card_options import CardOptions
from ppbench.models.loaded import Checkpoint
from ppbench.models.statedict import load_state, read_state_file
from ppbench.models.states import without_wrappers
from ppbench.models.trial import check_runs
from ppbench.models.undrawn import WithoutDrawing
from ppbench.vocabulary import CropMode

_LIST = 'python -c "import timm; print(*timm.list_models())"'


def load_timm(reference: str, options: CardOptions) -> tuple[str, Checkpoint]:
    """Load ``NAME`` or ``NAME@FILE``; ``NAME`` may have a tag (``resnet50.a1_in1k``).

    Without a file, timm fetches the weights through huggingface_hub and its cache. The preprocessing is timm's own for
    the name: as in training, or with ``options.test_size`` as in timm's validation.

    Returns:
        A short name (``timm-resnet50.a1_in1k``, the file's stem), and the network with its card.

    Raises:
        DataError: If the weights cannot be fetched, are damaged or do not fit.
        UsageError: If timm is not installed or has no such network, or if the options do not fit it or do not make its
            card.
    """
    timm = import_extra("timm", "timm", "a model of timm")
    name, at, file = reference.partition("@")
    _check_name(timm, name)
    if options.architecture is not None:
        raise UsageError(f"--architecture cannot be used with timm:{name}", "Leave it out: the name already says it.")
    if at:
        return Path(file).stem, _load_file(timm, name, Path(file), options)
    model = _load_pretrained(timm, name)
    card = card_of(timm, model.pretrained_cfg, model.num_classes, test_size=options.test_size)
    card = options.override(card, f"timm:{name}")
    check_runs(f"timm:{name}", model, card)
    return card.architecture.replace(":", "-"), Checkpoint(model.eval(), card)


def _check_name(timm: Any, name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise unknown_name("timm network", name, timm.list_models(), _LIST)
    tagged = [known for known in timm.list_pretrained(f"{architecture}.*") if known.startswith(f"{architecture}.")]
    if tag and name not in tagged:
        raise unknown_name("weights of timm", name, tagged, 'python -c "import timm; print(*timm.list_pretrained())"')


def _load_pretrained(timm: Any, name: str) -> Any:
    source = timm.get_pretrained_cfg(name)
    if not (source.hf_hub_id or source.url):
        raise DataError(f"timm has no weights for {name}", f"Give your own: `--model timm:{name}@FILE`.")
    if source.num_classes == 0:
        raise UsageError(f"timm:{name} is not a classifier: it outputs features", "Choose a model with a classifier.")
    try:
        with quiet_hub():
            if source.hf_hub_id:
                _reach_hub(source)
            return timm.create_model(name, pretrained=True)
    except Exception as error:  # huggingface_hub, its HTTP client and timm each raise their own classes
        raise DataError(
            f"timm cannot load the weights of {name}: {in_one_line(error)}", _by_hand(name, source)
        ) from error


def _reach_hub(source: Any) -> None:
    """Fail quickly if the hub is unreachable and its cache has no weights: its own retries take a minute."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    repository, _, revision = source.hf_hub_id.partition("@")
    names = [name for name in (source.hf_hub_filename, "model.safetensors", "pytorch_model.bin") if name]
    cached = [try_to_load_from_cache(repository, name, revision=revision or None) for name in names]
    if constants.HF_HUB_OFFLINE or any(isinstance(path, str) for path in cached):
        return
    # Any response shows that the hub is reachable; timm reports errors of HTTP itself when it downloads.
    with suppress(HfHubHTTPError):
        get_hf_file_metadata(hf_hub_url(repository, names[0], revision=revision or None), timeout=TIMEOUT)


def _by_hand(name: str, source: Any) -> str:
    url = (
        f"https://huggingface.co/{source.hf_hub_id}/resolve/main/model.safetensors" if source.hf_hub_id else source.url
    )
    file = url.rsplit("/", 1)[-1]
    return (
        f"On a machine with internet access, run `wget {url}`; copy the file here, then give "
        f"`--model timm:{name}@{file}`."
    )


def _load_file(timm: Any, name: str, path: Path, options: CardOptions) -> Checkpoint:
    file = read_state_file(path, ema=options.ema)
    state = without_wrappers(file.tensors, ema=options.ema)
    what, source = f"timm:{name}@{path}", timm.get_pretrained_cfg(name)
    classes = _count_classes(source, state)
    with torch.random.fork_rng(devices=[]), WithoutDrawing():
        model = timm.create_model(name, pretrained=False, num_classes=classes)
    load_state(path, model, state)
    card = card_of(timm, model.pretrained_cfg, classes, test_size=options.test_size)
    card = card.model_copy(update={"source": None, "trained_on": None})
    # With other classes, the weights are not timm's, and their preprocessing is not known.
    if classes == source.num_classes:
        card = options.override(card, what)
    else:
        channels = card.in_channels
        card = options.make(what, architecture=card.architecture, num_classes=classes, in_channels=channels)
    check_runs(what, model, card)
    return Checkpoint(model.eval(), card.model_copy(update={"weights": file.choice}))


def _count_classes(source: Any, state: Mapping[str, Tensor]) -> int:
    """Return the number of outputs of the classifier in ``state``, or timm's own number if it is missing."""
    classifier = source.classifier if isinstance(source.classifier, str) else (source.classifier or ("",))[0]
    weight = state.get(f"{classifier}.weight")
    return len(weight) if weight is not None and weight.dim() else int(source.num_classes)


def card_of(timm: Any, source: Mapping[str, Any], num_classes: int, *, test_size: bool = False) -> Card:
    """Make the card that one of timm's configurations of pretrained weights describes.

    Args:
        timm: The package.
        source: The configuration.
        num_classes: Outputs of the network.
        test_size: Whether to use the size and crop that timm validates with, if the configuration has them.

    Raises:
        DataError: If ppbench cannot preprocess images in this way.
    """
    data = timm.data.resolve_data_config(pretrained_cfg=source, use_test_size=test_size)
    channels, height, width = data["input_size"]
    name = f"{source['architecture']}.{source['tag']}" if source.get("tag") else source["architecture"]
    known = data["interpolation"] in get_args(Interpolation) and data["crop_mode"] in get_args(CropMode)
    if height != width or channels not in (1, 3) or not known:
        raise DataError(
            f"timm:{name} needs {data['interpolation']} images of {channels} x {height} x {width} values, crop mode "
            f"{data['crop_mode']}",
            "ppbench supports square images of 1 or 3 channels, bilinear or bicubic interpolation, "
            "and the crop modes center, squash and border.",
        )
    is_imagenet = str(source.get("tag")).endswith("in1k") and num_classes == 1000
    return Card(
        architecture=f"timm:{name}",
        num_classes=num_classes,
        in_channels=channels,
        input_size=height,
        # Rounded down, as in timm.
        resize=math.floor(height / data["crop_pct"]),
        crop_mode=data["crop_mode"],
        interpolation=data["interpolation"],
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        trained_on="imagenet" if is_imagenet else None,
        source=f"https://huggingface.co/{source['hf_hub_id']}" if source.get("hf_hub_id") else source.get("url"),
    )
