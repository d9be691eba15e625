"""Corruptions as graphs: their functions, run without a compiler, give the definitions' pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.fused import digital_graphs, graphs
from ppbench.corruptions.kernels import disabled
from ppbench.errors import PpbenchError
from ppbench.vocabulary import C19
from tests.trees import photographs

GRAPHED = [name for name in C19 if "noise" not in name]
IDS = ["a", "b"]


@pytest.mark.parametrize(("recipe", "side"), [("imagenet-c", 36), ("imagecorruptions", 31), ("imagenet-c", 68)])
@pytest.mark.parametrize("name", GRAPHED)
def test_graphs_give_the_definitions_pixels(name: str, recipe: str, side: int) -> None:
    """Sums are in another order: a few values in 100,000 may be truncated to the level beside."""
    images = np.stack(list(photographs(side, 2)))[:, :, : side - 3]
    for severity in (1, 5):
        for shown in (images, images[..., :1]) if severity == 5 else (images,):
            with disabled():
                expected = corrupt(shown, name, severity, recipe=recipe, ids=IDS)
            with graphs.enabled("eager"):
                got = corrupt(shown, name, severity, recipe=recipe, ids=IDS)
            difference = np.abs(got.astype(int) - expected)
            assert difference.max() <= 1
            assert (difference > 0).mean() < 5e-4


@pytest.mark.parametrize("name", ["gaussian_blur", "pixelate"])
def test_compiled_graphs_give_the_definitions_pixels(name: str) -> None:
    """Two of them, one with sums of real numbers; the check on a GPU compiles all."""
    images = np.stack(list(photographs(24, 3)))[:, :, :21]
    for severity, number in ((1, 3), (4, 1)):
        with disabled():
            expected = corrupt(images[:number], name, severity, recipe="imagenet-c", ids=list("abc")[:number])
        with graphs.enabled():
            got = corrupt(images[:number], name, severity, recipe="imagenet-c", ids=list("abc")[:number])
        difference = np.abs(got.astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


class InductorError(RuntimeError):
    __module__ = "torch._inductor.exc"  # that of torch takes other arguments in each version


@pytest.fixture
def _without_a_compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*args: Any, **options: Any) -> Any:
        raise InductorError(request.param)

    monkeypatch.setattr(graphs, "_compiled", lambda *args: refuse)
    monkeypatch.setattr(graphs, "_left_out", set())
    yield
    digital_graphs._pixelate._compiled.clear()
    graphs._trial._compiled.clear()
    graphs.why_not.cache_clear()


NO_COMPILER = pytest.mark.parametrize("_without_a_compiler", ["no C++ compiler\nmore about it"], indirect=True)


@NO_COMPILER
@pytest.mark.usefixtures("_without_a_compiler")
def test_what_cannot_be_compiled_is_one_line() -> None:
    images = photographs(20, 1)[0][:, :17]
    with pytest.raises(PpbenchError) as caught, graphs.enabled():
        corrupt(images, "pixelate", 1)
    assert "cannot compile the corruptions here" in caught.value.message
    assert "no C++ compiler" in caught.value.message
    assert "\n" not in caught.value.message
    assert "apt-get install g++" in caught.value.hint


@NO_COMPILER
@pytest.mark.usefixtures("_without_a_compiler")
def test_where_possible_the_definition_takes_the_place_of_a_graph() -> None:
    images = photographs(20, 1)[0][:, :17]
    expected = corrupt(images, "pixelate", 1)
    assert graphs.left_out() == []
    with graphs.enabled("where possible"):
        with pytest.warns(UserWarning, match="no C\\+\\+ compiler.*: pixelated_in_graph is left out"):
            assert np.array_equal(corrupt(images, "pixelate", 1), expected)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it is not tried again
            assert np.array_equal(corrupt(images, "pixelate", 1), expected)
    assert graphs.left_out() == ["pixelated_in_graph"]
    assert graphs.why_not(torch.device("cpu")) == "no C++ compiler"


@pytest.mark.parametrize("_without_a_compiler", ["OutOfMemoryError: CUDA out of memory."], indirect=True)
@pytest.mark.usefixtures("_without_a_compiler")
def test_too_little_memory_is_not_a_graph_that_cannot_be_compiled() -> None:
    """Whoever called tries fewer images."""
    with pytest.raises(InductorError), graphs.enabled("where possible"):
        corrupt(photographs(20, 1)[0][:, :17], "pixelate", 1)
    assert graphs.left_out() == []


@pytest.mark.parametrize("name", ["motion_blur", "snow", "defocus_blur", "pixelate", "frost", "gaussian_blur"])
def test_graphs_take_scaled_lengths(name: str) -> None:
    images = np.stack(list(photographs(40, 2)))
    with disabled():
        expected = corrupt(images, name, 2, recipe="tiny-imagenet-c", ids=IDS, scale=2)
    with graphs.enabled("eager"):
        got = corrupt(images, name, 2, recipe="tiny-imagenet-c", ids=IDS, scale=2)
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_elastic_transform_of_large_images_is_smoothed_by_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppbench.corruptions.fused.digital_graphs._LARGEST", 16)
    test_graphs_give_the_definitions_pixels("elastic_transform", "imagenet-c", 36)
    test_graphs_give_the_definitions_pixels("elastic_transform", "imagecorruptions", 31)
