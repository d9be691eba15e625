"""Load image classifiers of transformers, an optional extra: from a folder, or from the Hugging Face hub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ppbench.errors import DataError, PpbenchError, UsageError, in_one_line
from ppbench.extras import import_extra
from ppbench.hub import quiet_hub
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.download import OnDownload, sha256_of
from ppbench.models.growth import no_larger_than
from ppbench.models.hf_towers import ZERO_SHOT_KINDS, TransformersTowers, load_tokenizer
from ppbench.models.image_processor import processor_fields
from ppbench.models.loaded import Checkpoint
from ppbench.models.prompts import USUAL_TEMPLATES
from ppbench.models.repository import Snapshot, fetch_repository
from ppbench.models.settings_text import SettingsText
from ppbench.models.trial import check_runs
from ppbench.models.zero_shot import WantedTexts, ZeroShot

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_SMALL = 16 << 20
"""Largest ``config.json`` that is read, in bytes: one for 21,000 classes has 2 MB."""

_NO_NAME = re.compile(r"(LABEL_)?\d+")
"""What transformers calls a class whose name it was not told."""

_DECIDE_NOTHING = {
    *("_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"),
    *("id2label", "label2id", "_commit_hash", "problem_type"),
}
"""Entries of a configuration on which the outputs do not depend; labels are in the card."""


class HuggingFaceClassifier(nn.Module):
    """An image classifier of transformers that returns its logits as a tensor.

    Args:
        network: The classifier. Its configuration becomes part of the state dict, as text, because it decides the
            outputs as well (the number of heads of attention, for example) and no weight says it.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.settings = SettingsText(_settings_of(network))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(n, classes)`` of normalised images ``(n, C, H, W)``."""
        logits: Tensor = self.network(pixel_values=images).logits
        return logits


def load_hf(reference: str, options: CardOptions, on_download: OnDownload | None = None) -> tuple[str, Checkpoint]:
    """Load the classifier of a folder as ``save_pretrained`` writes it, or of a repository of the hub.

    The card is made from the image processor's settings, and the names of the classes from the configuration. A network
    of CLIP's or SigLIP's kind becomes a zero-shot model, whose classes `name_classes` gives it. Code of the repository
    is run only with ``options.trust_remote_code``; the card then names its files.

    Args:
        reference: A folder, ``ORG/NAME`` or ``ORG/NAME@REVISION``.
        options: Values that replace the card's, or make it if the image processor is missing or does something else.
        on_download: Called with the bytes received, and the bytes expected.

    Returns:
        A short name (``microsoft-resnet-50``, the folder's name), and the network with its card.

    Raises:
        DataError: If there is no such folder or repository, its weights are missing or do not fit, it is no image
            classifier, or ppbench cannot prepare images as its processor does.
        UsageError: If transformers is not installed, the repository needs code of its own, or the options do not fit.
    """
    transformers = import_extra("transformers", "hf", f"--model hf:{reference}")
    what = f"hf:{reference}"
    if options.architecture is not None:
        raise UsageError(f"--architecture cannot be used with {what}", "Leave it out: its config.json already says it.")
    is_folder = Path(reference).is_dir()
    found = (
        Snapshot(Path(reference), None)
        if is_folder
        else fetch_repository(reference, door="hf", code=options.trust_remote_code, on_download=on_download)
    )
    config = _read_config(found.folder, what)
    is_zero_shot = str(config.get("model_type")) in ZERO_SHOT_KINDS and "vision_config" in config
    _check_code(transformers, config, what, options)
    if not is_zero_shot:
        _check_kind(transformers, config, what, options)
    with _quiet(transformers):
        network = _load_network(transformers, found.folder, what, options, is_zero_shot=is_zero_shot)
        fields = _processor_fields(transformers, found.folder, what, options)
        tokenizer = load_tokenizer(transformers, found.folder, what) if is_zero_shot else None
    known: dict[str, Any] = {
        "architecture": f"hf:{type(network).__name__}",
        "num_classes": 1 if is_zero_shot else int(network.config.num_labels),
        "class_names": None if is_zero_shot else class_names_of(network.config.id2label),
        "source": found.source,
        "remote_code": _code_of(found.folder, config) if options.trust_remote_code else None,
    }
    card = options.make(what, **known) if fields is None else options.override(Card(**known, **fields), what)
    name = Path(reference).resolve().name if is_folder else reference.replace("/", "-")
    if is_zero_shot:
        texts = WantedTexts(options.class_names, options.templates or USUAL_TEMPLATES)
        towers = TransformersTowers(network, tokenizer)
        return name, Checkpoint(ZeroShot(what, towers, texts, _settings_of(network)).eval(), card)
    model = HuggingFaceClassifier(network).eval()
    check_runs(what, model, card)
    return name, Checkpoint(model, card)


def _settings_of(network: Any) -> str:
    """Return the entries of a network's configuration that decide its outputs, as text."""
    config = {key: value for key, value in network.config.to_dict().items() if key not in _DECIDE_NOTHING}
    return json.dumps(config, sort_keys=True, default=str)


def class_names_of(labels: Mapping[Any, str]) -> tuple[str, ...] | None:
    """Return the names of the classes in the order of the outputs, or None if some are only numbers (``LABEL_0``).

    Args:
        labels: ``id2label`` of a configuration.
    """
    numbered = {int(number): " ".join(str(name).split()) for number, name in labels.items()}
    names = tuple(numbered[number] for number in sorted(numbered))
    return None if any(not name or _NO_NAME.fullmatch(name) for name in names) else names


def _read_config(folder: Path, what: str) -> dict[str, Any]:
    path = folder / "config.json"
    hint = "A folder that transformers wrote (`save_pretrained`) has config.json, preprocessor_config.json and weights."
    if not path.is_file():
        raise DataError(f"{what} has no config.json", hint)
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size < _SMALL else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read {path}: {in_one_line(error)}", hint) from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is not a configuration of transformers", hint)
    return found


def _check_code(transformers: Any, config: Mapping[str, Any], what: str, options: CardOptions) -> None:
    """Refuse a network that only code of its repository can build, unless that code is trusted."""
    if options.trust_remote_code or str(config.get("model_type")) in transformers.CONFIG_MAPPING:
        return
    if config.get("auto_map"):
        raise UsageError(
            f"{what} needs Python code of its own repository, which ppbench does not run unasked",
            "Read that code. If you trust it, add `--trust-remote-code`; the run file will say so.",
        )


def _check_kind(transformers: Any, config: Mapping[str, Any], what: str, options: CardOptions) -> None:
    """Refuse a network that is not an image classifier, as far as its configuration tells."""
    kind, classes = config.get("model_type"), config.get("architectures") or []
    if options.class_names or options.templates:
        raise UsageError(f"{what} has classes of its own, and no prompts", "Leave --class-names and --templates out.")
    if options.trust_remote_code and config.get("auto_map"):
        return
    if kind in (None, "timm_wrapper") and isinstance(config.get("pretrained_cfg"), dict):
        name = ".".join(str(part) for part in (config.get("architecture"), config["pretrained_cfg"].get("tag")) if part)
        raise DataError(
            f"{what} is a network of timm's, whose preprocessing transformers does not tell",
            f"Let timm load it: `--model timm:{name}`, or with a file of weights `--model timm:{name}@FILE`.",
        )
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        raise DataError(
            f"{what} has the model_type {kind!r}, which transformers {transformers.__version__} does not have",
            "Install a newer version of transformers, or take another model.",
        )
    known = transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    if transformers.CONFIG_MAPPING[kind] not in known:
        network = f" ({', '.join(map(str, classes))})" if classes else ""
        raise DataError(
            f"{what} is a {kind} network{network}, of which transformers has no image classifier",
            "Take a model for image classification; CLIP's networks go through `--model clip:NAME`.",
        )


def _load_network(transformers: Any, folder: Path, what: str, options: CardOptions, *, is_zero_shot: bool) -> Any:
    loader = (
        transformers.AutoModelForZeroShotImageClassification
        if is_zero_shot
        else transformers.AutoModelForImageClassification
    )
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise DataError(f"{what} has no weights", f"It lacks {_WEIGHTS[0]}; copy the whole folder, or fetch it again.")
    try:
        # Random values of missing weights, which are refused below, come from torch's generator.
        with torch.random.fork_rng(devices=[]), no_larger_than(path for path in folder.iterdir() if path.is_file()):
            network, loading = loader.from_pretrained(
                folder, local_files_only=True, trust_remote_code=options.trust_remote_code, dtype=torch.float32,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
    except PpbenchError:
        raise
    except (Exception, SystemExit) as error:  # transformers, safetensors and code of the repository raise their own
        raise DataError(
            f"transformers cannot load {what}: {in_one_line(error)}", "Fetch it again, or take another model."
        ) from error
    _check_loaded(network, loading, what)
    if not is_zero_shot and not network.config.id2label:
        raise DataError(f"{what} has no classes: its id2label is empty", "Fetch it again, or take another model.")
    return network


def _check_loaded(network: Any, loading: Mapping[str, Any], what: str) -> None:
    """Refuse weights that do not fill the network: transformers would use random values in their place."""
    base = f"{network.base_model_prefix}."
    mismatched = sorted(str(one[0] if isinstance(one, tuple) else one) for one in loading["mismatched_keys"])
    if mismatched:
        raise DataError(
            f"the weights of {what} do not fit its config.json: {mismatched[0]} has another shape"
            + (f", as have {len(mismatched) - 1} more" if len(mismatched) > 1 else ""),
            "config.json and the weights are of two models: copy or fetch both together.",
        )
    missing = sorted(loading["missing_keys"])
    if missing and not any(name.startswith(base) for name in missing):
        raise DataError(
            f"{what} has no classifier head: {missing[0]} is not among its weights",
            "Take a model that was trained as a classifier (…ForImageClassification), not a backbone.",
        )
    # Weights that the network does not use, such as another task's head, are harmless; a part of the body is not.
    left = sorted(name for name in loading["unexpected_keys"] if name.startswith(base) and ".pooler." not in name)
    if missing or left:
        fault = f"lack {missing[0]}" if missing else f"have {left[0]}, which the network has no place for"
        raise DataError(
            f"the weights of {what} do not fit its config.json: they {fault}",
            "config.json and the weights are of two models: copy or fetch both together.",
        )


def _processor_fields(transformers: Any, folder: Path, what: str, options: CardOptions) -> dict[str, Any] | None:
    """Return the card's fields from the image processor, or None if the options replace it.

    Raises:
        DataError: If there is none, or a card cannot say what it does, and the options do not replace it.
    """
    try:
        if not any((folder / name).is_file() for name in _PROCESSORS):
            raise DataError(
                f"{what} has no preprocessor_config.json, so that its preparation of images is not known",
                "Copy the file beside config.json; or give `--preset imagenet`, or `--mean … --std … --input-size N`.",
            )
        return processor_fields(_load_processor(transformers, folder, what, options))
    except DataError:
        if options.is_complete:
            return None
        raise


def _load_processor(transformers: Any, folder: Path, what: str, options: CardOptions) -> Any:
    try:
        return transformers.AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=options.trust_remote_code
        )
    except (Exception, SystemExit) as error:  # code of the repository may end the process
        raise DataError(
            f"transformers cannot load the image processor of {what}: {in_one_line(error)}",
            "Give the preparation of images yourself: `--preset imagenet`, or `--mean … --std … --input-size N`.",
        ) from error


def _code_of(folder: Path, config: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the SHA-256 of each Python file of a repository whose configuration names code; None: it names none."""
    if not config.get("auto_map"):
        return None
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*.py"))}


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Silence transformers' warnings and its bars: what matters in them is reported as an error."""
    log = transformers.utils.logging
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with quiet_hub():
            yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()
