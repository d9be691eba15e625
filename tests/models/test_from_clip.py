"""Zero-shot classifiers of open_clip, from folders and files; without a network."""

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

import ppbench
from ppbench.data.decode import cut_image
from ppbench.data.source import Geometry
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.zero_shot_classes import classes_in_words
from ppbench.models.card_options import CardOptions, parse_card_options
from ppbench.models.from_clip import load_clip
from ppbench.models.normalise import mean_and_std, normalise
from ppbench.models.prompts import PromptClass, in_words
from ppbench.models.weights import identify_weights
from ppbench.models.zero_shot import WantedTexts, ZeroShot, name_classes
from ppbench.run import Prompts
from tests.models.hugging_face import CLIP, photograph, save_clip

pytestmark = pytest.mark.usefixtures("_offline", "_small_forwards")

NOTHING, CPU = CardOptions(), torch.device("cpu")
TEMPLATES = ("a photo of a {}.", "a blurry {}", "{}, seen from afar")


@pytest.fixture(scope="module")
def open_clip() -> Any:
    return pytest.importorskip("open_clip")


@pytest.fixture(scope="module")
def saved(open_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("clip") / "tiny"
    return folder, save_clip(folder, open_clip)


@pytest.fixture
def folder(saved: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy of the folder."""
    return Path(shutil.copytree(saved[0], tmp_path / "tiny"))


def named(reference: str, classes: list[str], options: CardOptions = NOTHING) -> tuple[ZeroShot, Any]:
    model, card = load_clip(reference, options)[1]
    assert isinstance(model, ZeroShot)
    return model, name_classes(model, card, [in_words(name) for name in classes], CPU)


@pytest.mark.parametrize("size", [(32, 32), (75, 50)])
def test_logits_are_the_librarys(saved: tuple[Path, Any], open_clip: Any, size: tuple[int, int]) -> None:
    """From its own transform, classifier of prompts and scale; both resize with Pillow, so that pixels are equal."""
    folder, theirs = saved
    names = ["golden_retriever", "t-shirt", "cat"]
    model, card = named(str(folder), names, CardOptions(templates=TEMPLATES))
    texts = ["golden retriever", "t-shirt", "cat"]
    config = json.loads((folder / "open_clip_config.json").read_text())["preprocess_cfg"]
    transform = open_clip.image_transform(32, is_train=False, **config)
    image = photograph(*size)
    with torch.inference_mode():
        weights = open_clip.build_zero_shot_classifier(theirs, open_clip.get_tokenizer("ViT-B-32", context_length=16),
                                                       texts, list(TEMPLATES))  # fmt: skip
        features = theirs.encode_image(transform(image)[None], normalize=True)
        expected = theirs.logit_scale.exp() * features @ weights
        cut = np.array(cut_image(image, "image", Geometry.of(card)))
        found = model(normalise(torch.from_numpy(cut).permute(2, 0, 1)[None], *mean_and_std(card)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert card.class_names == tuple(names)
    assert card.prompts == {"classes": tuple(texts), "templates": TEMPLATES}
    assert (card.num_classes, card.architecture, card.resize, card.interpolation) == (3, "clip:CLIP", 32, "bicubic")


def test_other_prompts_are_another_model(saved: tuple[Path, Any]) -> None:
    """The texts are in the weights' hash, and nothing else is: neither the device's rounding nor the folder."""
    model, card = load_clip(str(saved[0]), NOTHING)[1]
    assert isinstance(model, ZeroShot)
    hashes = []
    for classes, templates in (
        (["cat", "dog"], model.texts.templates),
        (["cat", "dog"], ("a photo of a {}.",)),
        (["cat", "dog"], ("a {}",)),
        (["cat", "wolf"], model.texts.templates),
        (["dog", "cat"], model.texts.templates),
    ):
        model.texts = WantedTexts(None, templates)
        name_classes(model, card, [in_words(name) for name in classes], CPU)
        hashes.append(identify_weights(model).sha256)
    assert hashes[0] is not None
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 4


def test_a_file_of_weights(saved: tuple[Path, Any], open_clip: Any, tmp_path: Path) -> None:
    """With an architecture that open_clip was told of."""
    (tmp_path / "tiny-for-tests.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(tmp_path / "tiny-for-tests.json")
    torch.save({"state_dict": saved[1].state_dict()}, tmp_path / "mine.pt")
    reference = f"tiny-for-tests@{tmp_path / 'mine.pt'}"
    assert load_clip(reference, NOTHING)[0] == "mine"
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = [named(place, ["cat", "dog"])[0](x) for place in (reference, str(saved[0]))]
    assert torch.equal(*logits)
    torch.save({"text_projection": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="do not fit the network"):
        load_clip(f"tiny-for-tests@{tmp_path / 'other.pt'}", NOTHING)
    with pytest.raises(DataError, match="open_clip has no weights for tiny-for-tests"):
        load_clip("tiny-for-tests", NOTHING)


def test_evaluation(saved: tuple[Path, Any], tmp_path: Path) -> None:
    """Classes come from the folders' names, or from a file that says what each folder is."""
    for number in range(8):
        name = ("red_car", "n02")[number % 2]
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        photograph(40, 36, number).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "names.txt").write_text("# folder, what it shows\nred_car\ta red car\nn02\tan elk\nother\ta boat\n")
    settings = {"data": tmp_path / "photos", "corruptions": "fog", "severities": 1, "force": True}
    with pytest.raises(UsageError, match="the class 'n02' of the images is no word") as caught:
        ppbench.evaluate(f"clip:{saved[0]}", "imagefolder", **settings)
    assert "--class-names FILE" in caught.value.hint
    with pytest.raises(UsageError, match="images without labels have no names of classes") as caught:
        ppbench.evaluate(f"clip:{saved[0]}", "imagefolder", labels="predicted", **settings)
    assert "--class-names FILE" in caught.value.hint
    run = ppbench.evaluate(
        f"clip:{saved[0]}", "imagefolder", class_names=tmp_path / "names.txt", templates=["a {}"], **settings
    )
    assert run.model.card["prompts"] == {"classes": ["a red car", "an elk", "a boat"], "templates": ["a {}"]}
    assert run.protocol.prompts == Prompts.of_card(run.model.card["prompts"])
    assert run.protocol.classes is not None
    assert (run.protocol.classes.n, run.protocol.classes.outputs) == (2, 3)
    assert run.provenance.versions["open-clip-torch"]


def test_classes_of_imagenet_get_their_names(open_clip: Any) -> None:
    assert classes_in_words(["n01440764", "n01443537"]) == [
        PromptClass("n01440764", open_clip.IMAGENET_CLASSNAMES[0]),
        PromptClass("n01443537", "goldfish"),
    ]
    assert classes_in_words(["ankle_boot"]) == [PromptClass("ankle_boot", "ankle boot")]
    with pytest.raises(UsageError, match="'a_b' and 'a b' of the images have the same text, 'a b'"):
        classes_in_words(["a_b", "a b"])


def prepared(**given: Any) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        path = folder / "open_clip_config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "preprocess_cfg": {**config.get("preprocess_cfg", {}), **given}}))

    return spoil


def without(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("open_clip_config.json"), "has no open_clip_config.json"),
        (without("open_clip_model.safetensors"), "open_clip cannot load clip:.*: it has no weights"),
        (lambda folder: (folder / "open_clip_model.safetensors").write_bytes(b"x"), "open_clip cannot load clip:"),
        (lambda folder: (folder / "open_clip_config.json").write_text("{}"), "open_clip cannot load clip:"),
        (prepared(mean=[1]), r"but not as it must \(mean and std need 3 values"),
        (prepared(std=[0, 0, 0]), r"but not as it must \(std\.0: "),
        (prepared(mean="abc"), r"but not as it must \(mean\.0: "),
    ],
)
def test_bad_folders(folder: Path, spoil: Callable[[Path], Any], message: str) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        load_clip(str(folder), NOTHING)
    assert "\n" not in caught.value.message
    assert "open_clip_model.safetensors" in caught.value.hint


@pytest.mark.parametrize(
    ("reference", "kind", "message"),
    [
        ("ViT-B-33", UsageError, "unknown open_clip network 'ViT-B-33'"),
        ("ViT-B-32@laion2b", UsageError, "unknown weights or file for clip:ViT-B-32 'laion2b'"),
        ("ViT-H-14", UsageError, "open_clip has several weights for ViT-H-14|open_clip cannot load ViT-H-14"),
        ("ViT-B-32@laion2b_s34b_b79k", DataError, r"cannot fetch .*it is not reachable"),
        ("org/none", DataError, "cannot fetch org/none .*it is not reachable"),
    ],
)
def test_unknown_names(reference: str, kind: type[Exception], message: str) -> None:
    with pytest.raises((kind, DataError), match=message):
        load_clip(reference, NOTHING)


def test_a_model_without_images_has_no_classes(saved: tuple[Path, Any]) -> None:
    with pytest.raises(UsageError, match="has no classes without images"):
        load_clip(str(saved[0]), NOTHING)[1].model(torch.zeros(1, 3, 32, 32))


def test_options_of_the_texts(tmp_path: Path) -> None:
    (tmp_path / "templates.txt").write_text("# as CLIP's\na photo of a {}.\n\n a {} {0}\n")
    given = parse_card_options(class_names=["cat", "n1\tbig dog"], templates=tmp_path / "templates.txt")
    assert given.class_names == (PromptClass("cat", "cat"), PromptClass("n1", "big dog"))
    assert given.templates == ("a photo of a {}.", "a {} {0}")


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UsageError, match="clip:ViT-B-32 needs open_clip, which is not installed") as caught:
        load_clip("ViT-B-32", NOTHING)
    assert "--extra clip" in caught.value.hint
