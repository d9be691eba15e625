"""How a model's outputs stand for the classes of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import nn

from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.subject import choose_head, fit, imagenet_classes, parse_classes
from ppbench.models.card import Card
from ppbench.models.load import LoadedModel
from tests.trees import write_class_folders


class Classes(Source):
    """A source that has nothing but classes."""

    dataset = "some-set"

    def __init__(self, *names: str) -> None:
        self._set([f"{name}/x" for name in names], np.arange(len(names)), names)

    def fingerprint(self) -> str:
        raise NotImplementedError

    load = check = stamps = mean_bytes = fingerprint  # type: ignore[assignment]


def card(classes: int, names: tuple[str, ...] | None = None) -> Card:
    return Card(architecture="x", num_classes=classes, input_size=224, mean=(0, 0, 0), std=(1, 1, 1), class_names=names)


def test_another_size_names_the_recipe_of_that_size() -> None:
    source = Classes(*imagenet_classes())
    source.size, source.channels = 299, 3
    with pytest.raises(DataError, match="net takes images of 224 px, but some-set has 299 px") as caught:
        fit(LoadedModel("net", nn.Identity(), card(1000)), source)
    assert "`--resize 224`" in caught.value.hint
    source.recipe_of_size = {224: "small", 299: "large"}
    with pytest.raises(DataError, match="takes images of 224 px") as caught:
        fit(LoadedModel("net", nn.Identity(), card(1000)), source)
    assert caught.value.hint == "Its images are made in 224 px too: `--recipe small`."


def test_imagenets_classes_are_known() -> None:
    names = imagenet_classes()
    assert len(set(names)) == 1000
    assert list(names) == sorted(names)
    # ILSVRC 2012: tench first, toilet tissue last; 207 is the golden retriever, 281 the tabby.
    assert (names[0], names[999], names[207], names[281]) == ("n01440764", "n15075141", "n02099601", "n02123045")


def test_all_of_imagenet_needs_no_mapping() -> None:
    head = choose_head("net", card(1000), Classes(*imagenet_classes()))
    assert head[:2] == (None, "own")
    assert head.subset is None


def test_some_of_imagenet_is_found_by_wnid_and_masked_unless_told() -> None:
    source = Classes("n01443537", "n02099601", "n15075141")
    head = choose_head("net", card(1000), source)
    assert head.columns is not None
    assert (head.columns.tolist(), head.logits) == ([1, 207, 999], "masked")
    assert head.describe(3, 1000) == "3 of 1000 classes, the other outputs masked"
    assert head.class_numbers() is None
    every = choose_head("net", card(1000), source, "all")
    assert every.logits == "all"
    numbers = every.class_numbers()
    assert numbers is not None
    assert [int(numbers[output]) for output in (1, 207, 999, 0, 998)] == [0, 1, 2, 3, 3 + 998]
    subset = head.subset
    assert subset is not None
    assert (subset.n, subset.outputs, subset.logits) == (3, 1000, "masked")


def test_a_model_of_just_these_classes_keeps_its_own_head() -> None:
    source = Classes("n01443537", "n02099601")
    head = choose_head("net", card(2), source, chosen=True)
    assert head[:2] == (None, "own")
    subset = head.subset
    assert subset is not None
    assert subset.logits == "own"


def test_the_cards_names_tell_the_order() -> None:
    head = choose_head("net", card(3, ("dog", "cat", "bird")), Classes("bird", "cat", "dog"))
    assert head.columns is not None
    assert (head.columns.tolist(), head.logits) == ([2, 1, 0], "own")
    part = choose_head("net", card(3, ("dog", "cat", "bird")), Classes("bird", "dog"))
    assert part.columns is not None
    assert (part.columns.tolist(), part.logits) == ([2, 0], "masked")


def test_images_without_names_of_their_own_take_outputs_of_equal_names() -> None:
    """ImageNet has two cranes, and many models call both so."""
    names = ("crane", "dog", "crane")
    assert choose_head("net", card(3, names), Classes(*names))[:2] == (None, "own")
    with pytest.raises(DataError, match="the model has 2 classes called 'crane'"):
        choose_head("net", card(3, names), Classes("crane", "dog"))
    with pytest.raises(DataError, match="2 classes of the images are called 'a b', so that"):
        choose_head("net", card(3, ("a b", "dog", "cat")), Classes("a_b", "a b", "dog"))
    with pytest.raises(DataError, match="the card of x has 2 class names for 3 outputs"):
        choose_head("net", card(3, ("a", "b")), Classes("a", "b"))


@pytest.mark.parametrize(
    ("classes", "mend"), [(2, "--classes FILE"), (10, "numbers of outputs as labels"), (1000, "WordNet")]
)
def test_a_model_of_other_classes_is_refused(classes: int, mend: str) -> None:
    with pytest.raises(DataError, match=rf"net has {classes} outputs, but some-set has 3 classes here") as caught:
        choose_head("net", card(classes), Classes("a", "b", "c"))
    assert mend in caught.value.hint


def test_empty_class_folders_are_told_where_classes_do_not_fit(tmp_path: Path) -> None:
    folder = write_class_folders(tmp_path, size=16)
    (folder / "empty").mkdir()
    source = open_source("imagefolder", folder, Geometry(16, None), recipe="cifar-c")
    with pytest.raises(DataError, match="net has 2 outputs, but imagefolder has 3 classes here") as caught:
        choose_head("net", card(2), source)
    assert caught.value.hint.endswith(" It has 1 class folder without images, which count as classes: empty.")


def test_an_unknown_way_to_take_logits() -> None:
    with pytest.raises(UsageError, match="unknown value of --logits 'mask'") as caught:
        choose_head("net", card(3), Classes("a", "b", "c"), "mask")
    assert "masked" in caught.value.hint


def test_class_files() -> None:
    text = "# Of ImageNet-100\nn02099601 golden retriever\n\n  n01443537\n"
    assert parse_classes(text, "c.txt") == ["n02099601", "n01443537"]
    with pytest.raises(UsageError, match=r"c\.txt has no class names"):
        parse_classes("\n# nothing\n", "c.txt")
    with pytest.raises(UsageError, match="has the class a twice"):
        parse_classes("a\nb\na\n", "c.txt")


def test_choosing_classes_numbers_them_anew() -> None:
    source = Classes("a", "b", "c", "d")
    source.keep_classes(["d", "b"])
    assert (source.class_names, source.labels.tolist(), source.ids, source.total) == (
        ("b", "d"), [0, 1], ["b/x", "d/x"], 2,
    )  # fmt: skip
    with pytest.raises(UsageError, match="class 'x' is not in some-set"):
        source.keep_classes(["x"])
