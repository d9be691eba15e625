"""The datasets ppbench evaluates on, by name. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from ppbench.data.source import Source
from ppbench.lookup import NameTable
from ppbench.vocabulary import C15, C19, C_3D, C_BAR, C_BAR_CIFAR, CIFAR_P10, P4, P10, in_order

if TYPE_CHECKING:
    from ppbench.data.own_images import ImagesGiven

EMBEDDED = "fashion-mnist-2k"


@dataclass(frozen=True)
class Dataset:
    """Description of a dataset, known before it is opened."""

    name: str
    description: str
    classes: str
    size: str
    normalizer: Literal["alexnet", "none"]
    """Its customary denominators of CE."""
    how_to_get: str
    """How to get it; empty for the embedded set."""
    corruptions: tuple[str, ...] = C15
    """Its customary corruptions."""
    has: tuple[str, ...] = C19
    """All corruptions it is published with."""
    num_classes: int | None = None
    """None: any number."""
    sides: tuple[int, ...] = ()
    """Sides of its published images, in pixels; empty: any."""
    form: Literal["files", "arrays", "any", "own"] = "any"
    """The form of its published images; "own": the user's code or the hub gives clean images."""
    clean: bool = True
    """Whether corrupted images can be made from its clean ones."""
    jpeg: bool = False
    """Whether its published images were saved as JPEG."""
    sequences: tuple[str, ...] = ()
    """Recipes of its perturbation sequences, the usual one first; empty: it has corruptions, not sequences."""


_ZENODO = "https://zenodo.org/records"

_ENTRIES = (
    Dataset(
        name=EMBEDDED,
        description="2,000 Fashion-MNIST test images, 200 a class; comes with ppbench",
        classes="10",
        size="28 grey",
        normalizer="none",
        how_to_get="",
    ),
    Dataset(
        name="fashion-mnist",
        description="the 10,000 Fashion-MNIST test images",
        classes="10",
        size="28 grey",
        normalizer="none",
        how_to_get="`apt-get install dataset-fashion-mnist`, then `--data /usr/share/datasets/fashion-mnist`",
    ),
    Dataset(
        name="imagenet-c",
        description="ImageNet-C as published, or made on the fly from ImageNet's validation folders",
        classes="1000",
        size="224",
        normalizer="alexnet",
        how_to_get=f"`for f in noise blur weather digital; do wget {_ZENODO}/2235448/files/$f.tar; done`, then "
        "`--data .` (extra.tar has c4)",
        num_classes=1000,
        sides=(224, 299),
        form="files",
        jpeg=True,
    ),
    Dataset(
        name="tiny-imagenet-c",
        description="Tiny-ImageNet-C as published, or made on the fly from Tiny-ImageNet's validation images",
        classes="200",
        size="64",
        normalizer="none",
        how_to_get=f"the corrected archive of {_ZENODO}/8206060, unpacked (frost is wrong in {_ZENODO}/2536630), "
        "then `--data DIR`",
        num_classes=200,
        sides=(64,),
        form="files",
        jpeg=True,
    ),
    Dataset(
        name="cifar10-c",
        description="CIFAR-10-C as published, or made on the fly from CIFAR-10's test images",
        classes="10",
        size="32",
        normalizer="none",
        how_to_get=f"`wget {_ZENODO}/2535967/files/CIFAR-10-C.tar`, then `--data CIFAR-10-C.tar`",
        num_classes=10,
        sides=(32,),
        form="arrays",
    ),
    Dataset(
        name="cifar100-c",
        description="CIFAR-100-C as published, or made on the fly from CIFAR-100's test images",
        classes="100",
        size="32",
        normalizer="none",
        how_to_get=f"`wget {_ZENODO}/3555552/files/CIFAR-100-C.tar`, then `--data CIFAR-100-C.tar`",
        num_classes=100,
        sides=(32,),
        form="arrays",
    ),
    Dataset(
        name="imagenet-c-bar",
        description="ImageNet-C-bar as published, or made on the fly: ten corruptions unlike ImageNet-C's",
        classes="1000",
        size="224",
        normalizer="none",
        how_to_get="`wget https://dl.fbaipublicfiles.com/inc_bar/imagenet_c_bar.tar.gz && gunzip "
        "imagenet_c_bar.tar.gz`, then `--data imagenet_c_bar.tar`",
        corruptions=C_BAR,
        has=C_BAR,
        num_classes=1000,
        sides=(224,),
        form="files",
        jpeg=True,
    ),
    Dataset(
        name="cifar10-c-bar",
        description="CIFAR-10-C-bar as published, or made on the fly from CIFAR-10's test images",
        classes="10",
        size="32",
        normalizer="none",
        how_to_get="the archive that https://github.com/facebookresearch/augmentation-corruption links, unpacked, then "
        "`--data DIR`",
        corruptions=C_BAR_CIFAR,
        has=C_BAR_CIFAR,
        num_classes=10,
        sides=(32,),
        form="arrays",
    ),
    Dataset(
        name="imagenet-3dcc",
        description="ImageNet-3DCC as published: twelve corruptions that know the scene's depth",
        classes="1000",
        size="224",
        normalizer="none",
        how_to_get=f"`for f in {' '.join(C_3D)}; do wget https://datasets.epfl.ch/3dcc/imagenet_3dcc/$f.tar.gz "
        "&& gunzip $f.tar.gz; done`, then `--data .`",
        corruptions=C_3D,
        has=C_3D,
        num_classes=1000,
        sides=(224,),
        form="files",
        clean=False,
    ),
    Dataset(
        name="imagenet-p",
        description="perturbation sequences, as published or made from ImageNet's validation images",
        classes="any",
        size="224",
        normalizer="none",
        how_to_get="`--data val`, ImageNet's validation images in folders or not",
        corruptions=P10,
        has=P10 + P4,
        sides=(224, 299),
        form="files",
        sequences=("imagenet-p", "imagenet-p-299"),
    ),
    Dataset(
        name="tiny-imagenet-p",
        description="perturbation sequences, as published or made from Tiny-ImageNet's validation images",
        classes="any",
        size="64",
        normalizer="none",
        how_to_get="`--data tiny-imagenet-200`, from http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        corruptions=P10,
        has=P10 + P4,
        num_classes=200,
        sides=(64,),
        form="files",
        sequences=("tiny-imagenet-p",),
    ),
    Dataset(
        name="cifar10-p",
        description="perturbation sequences, as published or made from CIFAR-10's test images",
        classes="10",
        size="32",
        normalizer="none",
        how_to_get="`wget https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz`, unpacked, then `--data DIR`",
        corruptions=CIFAR_P10,
        has=P10 + P4,
        num_classes=10,
        sides=(32,),
        form="arrays",
        sequences=("cifar-p",),
    ),
    Dataset(
        name="cifar100-p",
        description="perturbation sequences, as published or made from CIFAR-100's test images",
        classes="100",
        size="32",
        normalizer="none",
        how_to_get="`wget https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz`, unpacked, then `--data DIR`",
        corruptions=CIFAR_P10,
        has=P10 + P4,
        num_classes=100,
        sides=(32,),
        form="arrays",
        sequences=("cifar-p",),
    ),
    Dataset(
        name="fashion-mnist-2k-p",
        description="perturbation sequences made from the 2,000 images that come with ppbench, as CIFAR-10-P",
        classes="10",
        size="28 grey",
        normalizer="none",
        how_to_get="",
        corruptions=P10,
        has=P10 + P4,
        form="arrays",
        sequences=("cifar-p",),
    ),
    Dataset(
        name="imagefolder",
        description="class folders, Parquet or WebDataset shards, corrupted on the fly; or any set laid out as a "
        "published one",
        classes="any",
        size="any",
        normalizer="none",
        how_to_get="`--data DIR`, with one folder of images per class, or Parquet or WebDataset shards",
    ),
)

_OWN = "imagefolder"
"""The dataset that any images are: of any classes and size, cut as the model needs them."""

DATASETS = NameTable({dataset.name: dataset for dataset in _ENTRIES}, "dataset", "ppbench list datasets")


def dataset_of(dataset: str | ImagesGiven) -> Dataset:
    """The description of one of `DATASETS`, or of ``hf:ORG/NAME``, ``pkg.mod:factory`` or images from Python.

    Raises:
        UsageError: If the name is unknown.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    if not isinstance(dataset, str) or ":" in name:
        return replace(DATASETS[_OWN], name=name, how_to_get="", form="own")
    return DATASETS[name]


def default_corruptions(name: str | ImagesGiven, source: Source) -> tuple[str, ...]:
    """The corruptions that are evaluated by default: the dataset's customary set.

    ImageNet-3DCC, which has one archive per corruption, and folders of unknown origin may lack some of the set. Then
    its available corruptions are used or, if there are none, all available corruptions.
    """
    dataset = dataset_of(name)
    if source.kind != "published" or (dataset.num_classes is not None and dataset.name != "imagenet-3dcc"):
        return dataset.corruptions
    return in_order(set(dataset.corruptions) & set(source.corruptions)) or source.corruptions


@cache
def imagenet_words() -> Mapping[str, str]:
    """The names of ImageNet's 1000 classes by WordNet id, as torchvision has them."""
    lines = (files("ppbench") / "assets" / "imagenet-words.txt").read_text("utf-8").splitlines()
    return {wnid: words for wnid, _, words in (line.partition("\t") for line in lines)}
