"""Image classifiers of transformers, from folders and from the hub's cache; without a network."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ppbench
from ppbench.data.decode import cut_image
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions
from ppbench.models.from_hf import class_names_of, load_hf
from ppbench.models.image_processor import processor_fields
from ppbench.models.load import resolve_model
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.models.prompts import in_words
from ppbench.models.weights import identify_weights
from ppbench.models.zero_shot import ZeroShot, name_classes
from tests.models.hugging_face import photograph, save_resnet, save_vit, save_zero_shot

pytestmark = pytest.mark.usefixtures("_offline", "_small_forwards")

NOTHING = CardOptions()


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def saved(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Folders with their networks, by name."""
    folder = tmp_path_factory.mktemp("hf")
    names = {0: "cat", 1: "golden retriever", 2: "T-shirt"}
    resnet = save_resnet(folder / "resnet", transformers, id2label=names)
    return {"resnet": (folder / "resnet", resnet), "vit": (folder / "vit", save_vit(folder / "vit", transformers))}


@pytest.fixture
def resnet(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> Path:
    """A copy of the ResNet's folder."""
    return Path(shutil.copytree(saved["resnet"][0], tmp_path / "resnet"))


def entering(image: Image.Image, card: Card) -> torch.Tensor:
    """An image as ppbench gives it to a network."""
    cut = torch.from_numpy(np.array(cut_image(image, "image", Geometry.of(card)))).permute(2, 0, 1)[None]
    return normalise(cut, *mean_and_std(card))


def edited(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_logits_are_the_librarys(saved: dict[str, tuple[Path, Any]], transformers: Any, name: str) -> None:
    """Equal where no image is resized; within 3 % of their spread where both resize, each with its own filter."""
    folder, theirs = saved[name]
    label, (model, card) = load_hf(str(folder), NOTHING)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    assert (label, card.input_size, card.interpolation, card.source) == (name, 32, "bicubic", None)
    assert (card.resize, card.crop_mode) == ((36, "center") if name == "resnet" else (32, "squash"))
    assert card.architecture == f"hf:{type(theirs).__name__}"
    for size, tolerance in (((card.resize,) * 2, 1e-5), ((88, 60), 0.03)):
        image = photograph(*size)
        with torch.inference_mode():
            expected = theirs(**processor(images=image, return_tensors="pt")).logits
            found = model(entering(image, card))
        assert (found - expected).abs().max() < tolerance * expected.std()


def test_labels(saved: dict[str, tuple[Path, Any]]) -> None:
    cards = {name: load_hf(str(folder), NOTHING)[1].card for name, (folder, _) in saved.items()}
    assert cards["resnet"].class_names == ("cat", "golden retriever", "T-shirt")
    assert cards["vit"].class_names is None  # LABEL_0 is no name
    assert class_names_of({"1": "b", "0": " a\n"}) == ("a", "b")
    assert class_names_of({0: "0", 1: "1"}) is None


def test_evaluation_matches_folders_by_name(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    """The folders are named as the classes but for case and underscores, and sorted otherwise than the outputs."""
    folder = saved["resnet"][0]
    model, card = load_hf(str(folder), NOTHING)[1]
    images = [photograph(40, 36, seed) for seed in range(6)]
    with torch.inference_mode():
        predicted = [int(model(entering(image, card)).argmax()) for image in images]
    named = ["Cat", "golden_retriever", "T-Shirt"]
    for name in named:
        (tmp_path / "photos" / name).mkdir(parents=True)
    for number, (image, place) in enumerate(zip(images, predicted, strict=True)):
        image.save(tmp_path / "photos" / named[place] / f"{number}.png")
    run = ppbench.evaluate(
        f"hf:{folder}", "imagefolder", data=tmp_path / "photos", corruptions="fog", severities=1, force=True
    )
    assert run.cells[0].top1 == 6
    assert run.provenance.versions["transformers"]
    assert run.model.weights_sha256 is not None
    assert list(run.model.card["class_names"]) == ["cat", "golden retriever", "T-shirt"]


def test_the_configuration_is_part_of_the_weights_hash(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    """Two networks with the same tensors may have other outputs: another activation, another number of heads."""
    folder = saved["vit"][0]
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    same = identify_weights(load_hf(str(other), NOTHING)[1].model)
    edited(other / "config.json", num_attention_heads=4)
    first, second = (identify_weights(load_hf(str(place), NOTHING)[1].model) for place in (folder, other))
    assert first.unknown is None
    assert first == same
    assert first.sha256 != second.sha256


def test_a_repository_in_the_cache_of_the_hub(resnet: Path, tmp_path: Path) -> None:
    """Without a network, the repository's files at its last known commit are used."""
    commit = "0123456789" * 4
    repository = tmp_path / "hub" / "models--org--net"
    shutil.copytree(resnet, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    label, (_, card) = load_hf("org/net", NOTHING)
    assert (label, card.source) == ("org-net", f"https://huggingface.co/org/net/tree/{commit}")


# What is wrong with a folder, and what is said of it.


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edited(folder / "config.json", **changes)


def processor(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edited(folder / "preprocessor_config.json", **changes)


@pytest.mark.parametrize(
    ("spoil", "message", "hint"),
    [
        (without("config.json"), "has no config.json", "save_pretrained"),
        (without("model.safetensors"), "has no weights", "model.safetensors"),
        (without("preprocessor_config.json"), "has no preprocessor_config.json", "--preset imagenet"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot read", "save_pretrained"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "transformers cannot load", "Fetch it"),
        (config(hidden_sizes=[8, 24]), "has another shape, as have", "copy or fetch both together"),
        (config(depths=[1, 2]), r"they lack resnet\.encoder", "copy or fetch both together"),
        (config(model_type="unheard-of"), "'unheard-of', which transformers .* does not have", "newer version"),
        (config(model_type="bert", architectures=["BertModel"]), r"a bert network \(BertModel\)", "clip:NAME"),
        (processor(resample=0), "resizes with the nearest filter", "--preset imagenet"),
        (processor(size={"height": 32, "width": 24}), "it resizes images to", "--preset imagenet"),
        (processor(do_resize=False), "neither resizes nor crops", "--preset imagenet"),
        (processor(crop_pct=0), "its settings are not as they must be", "--preset imagenet"),
        (processor(size={"shortest_edge": "all"}), "its settings are not as they must be", "--preset imagenet"),
        (processor(image_std=[0, 0, 0]), "its std.0: Input should be greater than 0", "--preset imagenet"),
        (processor(crop_pct=1e-9), "it resizes images to [0-9]+ pixels, and cuts 32", "--preset imagenet"),
        (config(model_type=["resnet"]), r"\['resnet'\], which transformers .* does not have", "newer version"),
        (
            config(model_type=None, architecture="resnet10t", pretrained_cfg={"tag": "c3_in1k"}),
            "is a network of timm's",
            "`--model timm:resnet10t.c3_in1k`",
        ),
        (
            config(model_type="timm_wrapper", architecture="resnet10t", pretrained_cfg={}),
            "is a network of timm's",
            "`--model timm:resnet10t`",
        ),
        (config(id2label={}), "has no classes: its id2label is empty|has another shape", ""),
    ],
)
def test_bad_folders(resnet: Path, spoil: Callable[[Path], Any], message: str, hint: str) -> None:
    spoil(resnet)
    with pytest.raises(DataError, match=message) as caught:
        load_hf(str(resnet), NOTHING)
    assert "\n" not in caught.value.message
    assert hint in caught.value.hint


def test_a_network_without_a_head(transformers: Any, resnet: Path) -> None:
    network = transformers.ResNetForImageClassification.from_pretrained(resnet)
    network.resnet.save_pretrained(resnet)
    with pytest.raises(DataError, match="has no classifier head: classifier"):
        load_hf(str(resnet), NOTHING)


@pytest.mark.parametrize("spoil", [without("preprocessor_config.json"), processor(resample=0)])
def test_options_replace_a_processor(resnet: Path, spoil: Callable[[Path], Any]) -> None:
    spoil(resnet)
    card = load_hf(str(resnet), CardOptions(preset="cifar10"))[1].card
    assert (card.input_size, card.resize, card.num_classes) == (32, None, 3)


def test_a_processor_that_does_something_else(transformers: Any) -> None:
    """Its settings are those of a plain one; what it does to an image is not."""

    class Swaps(transformers.ViTImageProcessor):  # type: ignore[misc, name-defined]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            made = super().__call__(*args, **kwargs)
            made["pixel_values"] = made["pixel_values"].flip(1)
            return made

    with pytest.raises(DataError, match="changes the values of pixels"):
        processor_fields(Swaps(size={"height": 32, "width": 32}))
    rescaled = processor_fields(
        transformers.ViTImageProcessor(size={"height": 32, "width": 32}, rescale_factor=1 / 127.5, image_mean=[1.0] * 3)
    )
    assert rescaled["mean"] == pytest.approx((0.5, 0.5, 0.5))
    assert rescaled["std"] == pytest.approx((0.25, 0.25, 0.25))


def test_unknown_names() -> None:
    with pytest.raises(
        DataError, match=r"cannot fetch org/none@v1 from huggingface\.co.*it is not reachable"
    ) as caught:
        load_hf("org/none@v1", NOTHING)
    assert "`hf download org/none --revision v1 --local-dir none`" in caught.value.hint
    with pytest.raises(DataError, match="neither a folder here nor the name of a repository"):
        load_hf("no-such-folder", NOTHING)


CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

class TinyConfig(PretrainedConfig):
    model_type = "tiny-of-its-own"

class Tiny(PreTrainedModel):
    config_class = TinyConfig
    base_model_prefix = "body"

    def __init__(self, config):
        super().__init__(config)
        self.head = torch.nn.Linear(3, config.num_labels)
        self.post_init()

    def forward(self, pixel_values):
        return ImageClassifierOutput(logits=self.head(pixel_values.mean((2, 3))))
"""


def test_code_of_a_repository_runs_only_if_it_is_trusted(
    transformers: Any, resnet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import safetensors.torch
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    (resnet / "tiny.py").write_text(CODE)
    own = {"AutoConfig": "tiny.TinyConfig", "AutoModelForImageClassification": "tiny.Tiny"}
    (resnet / "config.json").write_text(json.dumps({"model_type": "tiny-of-its-own", "auto_map": own, "num_labels": 3}))
    weights = {"head.weight": torch.eye(3), "head.bias": torch.zeros(3)}
    safetensors.torch.save_file(weights, resnet / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match="needs Python code of its own repository") as caught:
        load_hf(str(resnet), NOTHING)
    assert "--trust-remote-code" in caught.value.hint
    assert "transformers_modules" not in sys.modules
    model, card = load_hf(str(resnet), CardOptions(trust_remote_code=True))[1]
    assert model(torch.ones(1, 3, 32, 32)).tolist() == [[1, 1, 1]]
    assert card.remote_code is not None
    assert list(card.remote_code) == ["tiny.py"]


def test_code_of_a_repository_that_ends_the_process(
    transformers: Any, resnet: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    (resnet / "leaves.py").write_text("raise SystemExit(0)")
    edited(resnet / "config.json", model_type="leaves", auto_map={"AutoConfig": "leaves.Config"})
    with pytest.raises(DataError, match=r"transformers cannot load hf:.*: SystemExit: 0"):
        load_hf(str(resnet), CardOptions(trust_remote_code=True))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_zero_shot_networks(transformers: Any, tmp_path: Path, kind: str) -> None:
    """Logits are those of the network called with image and texts together, as its documentation does."""
    theirs = save_zero_shot(tmp_path / kind, transformers, kind)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / kind)
    texts = ["a photo of a red fox.", "a photo of a cat."]
    model, card = load_hf(str(tmp_path / kind), NOTHING)[1]
    assert isinstance(model, ZeroShot)
    card = name_classes(model, card, [in_words("red_fox"), in_words("cat")], torch.device("cpu"))
    image = entering(photograph(32, 32), card)
    tokens = tokenizer(texts, padding="max_length", max_length=64, return_tensors="pt")
    assert not torch.equal(*tokens["input_ids"])
    with torch.inference_mode():
        expected = theirs(pixel_values=image, **tokens).logits_per_image
        torch.testing.assert_close(model(image), expected, rtol=1e-5, atol=1e-5)
    assert (card.architecture, card.num_classes) == (f"hf:{type(theirs).__name__}", 2)
    assert identify_weights(model).unknown is None
    (tmp_path / kind / "vocab.json").unlink()
    with pytest.raises(DataError, match="transformers cannot load the tokenizer"):
        load_hf(str(tmp_path / kind), NOTHING)


def test_prompts_for_a_classifier(resnet: Path) -> None:
    with pytest.raises(UsageError, match="has classes of its own, and no prompts"):
        load_hf(str(resnet), CardOptions(templates=("a {}",)))


@pytest.mark.parametrize("options", [{"trust_remote_code": True}, {"templates": ["a {}"]}, {"class_names": ["a", "b"]}])
def test_options_of_other_sources(options: dict[str, Any]) -> None:
    given = CardOptions(**options)
    with pytest.raises(UsageError, match=r"--[a-z-]+ cannot be used with --model torchvision:resnet18"):
        resolve_model("torchvision:resnet18", given)


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match="hf:org/net needs transformers, which is not installed") as caught:
        load_hf("org/net", NOTHING)
    assert "--extra hf" in caught.value.hint


@pytest.mark.parametrize(
    ("setting", "value"), [("depths", [1, 200_000]), ("hidden_sizes", [8, 1_000_000]), ("embedding_size", 300_000_000)]
)
def test_settings_that_ask_for_more_than_the_weights_are_refused_at_once(
    resnet: Path, setting: str, value: Any
) -> None:
    """A network of so many layers would take hours to build, and one of such layers terabytes."""
    path = resnet / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {setting: value}))
    with pytest.raises(DataError, match="a network of many times the size of its weights"):
        load_hf(str(resnet), CardOptions())
