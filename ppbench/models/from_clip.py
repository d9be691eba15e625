"""Load zero-shot classifiers of open_clip, an optional extra: by name, from a file, a folder or the hub."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from pydantic import ValidationError
from torch import Tensor

from ppbench.errors import DataError, PpbenchError, UsageError, in_one_line
from ppbench.extras import import_extra
from ppbench.hub import quiet_hub
from ppbench.lookup import unknown_name
from ppbench.models.card import Card, Interpolation, first_fault
from ppbench.models.card_options import CardOptions
from ppbench.models.download import OnDownload
from ppbench.models.growth import no_larger_than
from ppbench.models.loaded import Checkpoint
from ppbench.models.prompts import USUAL_TEMPLATES
from ppbench.models.repository import fetch_repository
from ppbench.models.statedict import load_state, names_file, read_state_file
from ppbench.models.states import without_wrappers
from ppbench.models.undrawn import WithoutDrawing
from ppbench.models.zero_shot import Towers, WantedTexts, ZeroShot
from ppbench.vocabulary import CropMode

_LIST = 'python -c "import open_clip; print(*open_clip.list_pretrained())"'

_RESIZES: dict[str, CropMode] = {"shortest": "center", "squash": "squash"}
"""open_clip's words for how images are resized."""

_CONFIG = "open_clip_config.json"


class OpenClipTowers(Towers):
    """A model of open_clip with its tokenizer."""

    def __init__(self, network: Any, tokenizer: Any) -> None:
        super().__init__()
        self.network, self.tokenizer = network, tokenizer

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        return {"text": self.tokenizer(list(texts))}

    def encode_texts(self, tokens: dict[str, Tensor]) -> Tensor:
        features: Tensor = self.network.encode_text(tokens["text"])
        return features

    def encode_images(self, images: Tensor) -> Tensor:
        features: Tensor = self.network.encode_image(images)
        return features

    def scale_and_bias(self) -> tuple[Tensor, Tensor | float]:
        bias = getattr(self.network, "logit_bias", None)
        return self.network.logit_scale.exp(), 0.0 if bias is None else bias


class _Loaded(NamedTuple):
    """What open_clip gave."""

    network: Any
    tokenizer: Any
    settings: Mapping[str, Any]
    """Configuration of the networks."""
    name: str
    source: str | None = None
    choice: str | None = None
    """Which weights of a file that has several."""


def load_clip(reference: str, options: CardOptions, on_download: OnDownload | None = None) -> tuple[str, Checkpoint]:
    """Load a zero-shot classifier. It has no classes yet: `name_classes` gives it those of the images.

    Args:
        reference: ``ARCH@TAG`` with one of open_clip's tags of weights; ``ARCH`` alone for OpenAI's weights, or its
            only ones; ``ARCH@FILE``; a folder with ``open_clip_config.json`` and weights; or ``ORG/NAME``, a repository
            of the hub with these files.
        options: Values that replace the card's, and the texts: ``class_names`` and ``templates``.
        on_download: Called with the bytes received, and the bytes expected.

    Returns:
        A short name (``ViT-B-32@openai``, the file's stem), and the network with its card; the card's ``num_classes``
        is 1 until the classes are known.

    Raises:
        DataError: If the weights cannot be fetched, are damaged or do not fit, or ppbench cannot prepare images as the
            network needs them.
        UsageError: If open_clip is not installed or has no such network or weights, or the options do not fit.
    """
    open_clip = import_extra("open_clip", "clip", f"--model clip:{reference}")
    what = f"clip:{reference}"
    if options.architecture is not None:
        raise UsageError(f"--architecture cannot be used with {what}", "Leave it out: the name already says it.")
    with _quiet():
        loaded = _load(open_clip, reference, options, on_download)
    # open_clip's own, which a folder's configuration, a tag or the architecture sets.
    given = open_clip.get_model_preprocess_cfg(loaded.network)
    known: dict[str, Any] = {
        "architecture": f"clip:{loaded.settings.get('name', type(loaded.network).__name__)}",
        "num_classes": 1,
        "source": loaded.source,
        "weights": loaded.choice,
    }
    try:
        card = options.override(Card(**known, **_card_fields(given, what)), what)
    except (ValidationError, TypeError, ValueError) as error:  # a folder's settings may be of any type
        fault = first_fault(error) if isinstance(error, ValidationError) else in_one_line(error)
        raise DataError(
            f"{what} says in {_CONFIG} how images are prepared, but not as it must ({fault})",
            "Fetch the folder again: open_clip_model.safetensors and its settings belong together.",
        ) from error
    texts = WantedTexts(options.class_names, options.templates or USUAL_TEMPLATES)
    settings = json.dumps(loaded.settings, sort_keys=True, default=str)
    model = ZeroShot(what, OpenClipTowers(loaded.network, loaded.tokenizer), texts, settings)
    return loaded.name, Checkpoint(model.eval(), card)


def _load(open_clip: Any, reference: str, options: CardOptions, on_download: OnDownload | None) -> _Loaded:
    if Path(reference).is_dir():
        return _load_folder(open_clip, Path(reference), f"clip:{reference}")._replace(
            name=Path(reference).resolve().name
        )
    architecture, at, choice = reference.partition("@")
    architecture = architecture.replace("ViT-B/", "ViT-B-").replace("ViT-L/", "ViT-L-")  # OpenAI's spelling
    if "/" in architecture:
        found = fetch_repository(reference, door="clip", on_download=on_download)
        loaded = _load_folder(open_clip, found.folder, f"clip:{reference}")
        return loaded._replace(name=reference.replace("/", "-"), source=found.source)
    if architecture not in open_clip.list_models():
        raise unknown_name("open_clip network", architecture, open_clip.list_models(), _LIST)
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if at and choice not in tags and names_file(choice):
        return _load_file(open_clip, architecture, Path(choice), options)
    tag = choice if at else _usual_tag(architecture, tags)
    if tag not in tags:
        raise unknown_name(f"weights or file for clip:{architecture}", tag, tags, _LIST)
    return _load_tag(open_clip, architecture, tag, on_download)


def _usual_tag(architecture: str, tags: Sequence[str]) -> str:
    """Return the weights that a name alone means: OpenAI's, which the literature calls CLIP, or the only ones."""
    if "openai" in tags or len(tags) == 1:
        return "openai" if "openai" in tags else tags[0]
    if not tags:
        raise DataError(
            f"open_clip has no weights for {architecture}", f"Give your own: `--model clip:{architecture}@FILE`."
        )
    raise UsageError(
        f"open_clip has several weights for {architecture}: {', '.join(tags)}",
        f"Choose: `--model clip:{architecture}@{tags[0]}`.",
    )


def _load_tag(open_clip: Any, architecture: str, tag: str, on_download: OnDownload | None) -> _Loaded:
    published = open_clip.get_pretrained_cfg(architecture, tag)
    repository, _, file = published.get("hf_hub", "").rpartition("/")
    source = f"https://huggingface.co/{repository}" if repository else published.get("url")
    try:
        if repository and not file:  # otherwise open_clip fetches a file of its own naming, without progress
            fetch_repository(repository, door="clip", on_download=on_download)
        network = open_clip.create_model(
            architecture, pretrained=tag, require_pretrained=True, precision="fp32",
            # OpenAI's networks have another activation, which the name alone does not ask for.
            force_quick_gelu=bool(published.get("quick_gelu")),
        )  # fmt: skip
        tokenizer = open_clip.get_tokenizer(architecture)
    except PpbenchError:
        raise
    except Exception as error:
        raise DataError(
            f"open_clip cannot load {architecture}@{tag}: {in_one_line(error)}",
            f"Without a network connection, fetch {source} on another machine, copy the file of weights here, then "
            f"give `--model clip:{architecture}@FILE`.",
        ) from error
    settings = {"name": architecture, "quick_gelu": bool(published.get("quick_gelu"))}
    return _Loaded(network, tokenizer, settings, f"{architecture}@{tag}", source)


def _load_file(open_clip: Any, architecture: str, path: Path, options: CardOptions) -> _Loaded:
    file = read_state_file(path, ema=options.ema)
    try:
        with torch.random.fork_rng(devices=[]), WithoutDrawing():
            network = open_clip.create_model(
                architecture, load_weights=False, pretrained_image=False, pretrained_text=False, precision="fp32"
            )
        tokenizer = open_clip.get_tokenizer(architecture)
    except Exception as error:  # text networks and tokenizers of transformers come from the hub
        raise DataError(
            f"open_clip cannot build {architecture}: {in_one_line(error)}", "Give a folder: `--model clip:DIR`."
        ) from error
    load_state(path, network, without_wrappers(file.tensors, ema=options.ema))
    return _Loaded(network, tokenizer, {"name": architecture}, path.stem, choice=file.choice)


def _load_folder(open_clip: Any, folder: Path, what: str) -> _Loaded:
    path = folder / _CONFIG
    hint = f"A model of open_clip is a folder with {_CONFIG} and open_clip_model.safetensors."
    if not path.is_file():
        if (folder / "config.json").is_file():
            hint += f" For one of transformers give `--model hf:{what.partition(':')[2]}`."
        raise DataError(f"{what} has no {_CONFIG}", hint)
    try:
        settings = json.loads(path.read_bytes())["model_cfg"]
        text = json.dumps(settings)  # create_model takes entries out
        with torch.random.fork_rng(devices=[]), no_larger_than(path for path in folder.iterdir() if path.is_file()):
            network = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True, precision="fp32")
        tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    except Exception as error:  # open_clip, safetensors and json each raise their own classes
        reason = "it has no weights" if "Required pretrained" in str(error) else in_one_line(error)
        raise DataError(f"open_clip cannot load {what}: {reason}", hint) from error
    return _Loaded(network, tokenizer, json.loads(text), folder.name)


def _card_fields(given: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the fields of a card for open_clip's preparation of images.

    Raises:
        DataError: If a card cannot say it.
    """
    size = given["size"] if isinstance(given["size"], int) else tuple(given["size"])
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    interpolation = "bicubic" if given["interpolation"] == "random" else given["interpolation"]  # in training only
    if height != width or given["resize_mode"] not in _RESIZES or interpolation not in get_args(Interpolation):
        raise DataError(
            f"{what} needs {interpolation} images of {height} x {width} pixels, resize mode {given['resize_mode']}",
            "ppbench supports square images, bilinear or bicubic interpolation, and the modes shortest and squash.",
        )
    mean, std = (tuple(given[name]) for name in ("mean", "std"))
    return {
        "input_size": height,
        "resize": height,
        "crop_mode": _RESIZES[given["resize_mode"]],
        "interpolation": interpolation,
        "mean": mean,
        "std": std,
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence open_clip's log, which goes to the root logger, and its warnings; what matters is an error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), quiet_hub():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
