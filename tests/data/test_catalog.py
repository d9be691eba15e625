"""What is known of the datasets by name."""

from __future__ import annotations

from pathlib import Path

from ppbench.data.catalog import default_corruptions, imagenet_words
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry
from ppbench.evaluation.subject import imagenet_classes
from ppbench.vocabulary import C15, C_3D, C_BAR
from tests.trees import write_3dcc, write_c_bar, write_class_folders, write_imagenet_c

GEOMETRY = Geometry(32, None)


def test_the_customary_corruptions(tmp_path: Path) -> None:
    clean = open_source("imagefolder", write_class_folders(tmp_path / "clean"), GEOMETRY)
    assert default_corruptions("imagefolder", clean) == C15
    fog = write_imagenet_c(tmp_path / "c", ("fog", "spatter"), (1,))
    assert default_corruptions("imagenet-c", open_source("imagenet-c", fog, GEOMETRY)) == C15
    assert default_corruptions("imagefolder", open_source("imagefolder", fog, GEOMETRY)) == ("fog",)
    extra = write_imagenet_c(tmp_path / "x", ("spatter",), (1,))
    assert default_corruptions("imagefolder", open_source("imagefolder", extra, GEOMETRY)) == ("spatter",)
    bar = write_c_bar(tmp_path / "b", C_BAR[:2], (1, 2, 3, 4, 5))
    assert default_corruptions("imagenet-c-bar", open_source("imagenet-c-bar", bar, GEOMETRY)) == C_BAR
    deep = write_3dcc(tmp_path / "d", C_3D[:11], (1,))
    assert default_corruptions("imagenet-3dcc", open_source("imagenet-3dcc", deep, GEOMETRY)) == C_3D[:11]


def test_imagenets_words_are_torchvisions_in_its_order() -> None:
    from torchvision.models import ResNet50_Weights

    words = imagenet_words()
    assert tuple(words) == imagenet_classes()
    assert list(words.values()) == ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
