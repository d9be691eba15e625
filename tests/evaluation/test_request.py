"""What is asked, from Python and from the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from ppbench.cli import eval as command
from ppbench.errors import UsageError
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.request import REQUEST_FIELDS, EvalRequest

OF_REQUEST = {"models", "card_options", "command"}

WITH_IMAGES = {"ids", "label_names"}
"""What belongs to images that are given as arrays or as a Dataset."""


def parameters(function: object) -> dict[str, object]:
    return {name: p.default for name, p in inspect.signature(function).parameters.items()}  # type: ignore[arg-type]


def test_python_reaches_all_that_the_command_line_does() -> None:
    python, line = set(parameters(evaluate)), set(parameters(command.eval_command))
    of_the_command = {"normalizer", "baseline", "format", "dry_run"}
    called_otherwise = {"output_path": "output", "weights_file": "weights_files", "no_predictions": "keep_predictions"}
    assert {called_otherwise.get(name, name) for name in line} - of_the_command == python - {"card", *WITH_IMAGES}


def test_python_has_an_argument_for_each_field() -> None:
    assert set(parameters(evaluate)) - {"model", "card", *WITH_IMAGES} == REQUEST_FIELDS - {
        "models",
        "card_options",
        "command",
    }


def test_defaults_are_the_same_everywhere() -> None:
    request = EvalRequest.of()
    for name, value in parameters(evaluate).items():
        if name in {field.name for field in fields(request)}:
            assert getattr(EvalRequest.of(**{name: value}), name) == getattr(request, name), name


def test_one_value_or_several_and_texts_for_paths() -> None:
    one = EvalRequest.of(models="net", data="a", corruptions="fog", severities=3, weights_files="w", output="o.json")
    several = EvalRequest.of(
        models=["net"], data=Path("a"), corruptions=["fog"], severities=["3"], weights_files=[Path("w")],
        output=Path("o.json"),
    )  # fmt: skip
    assert one == several
    assert (one.data, one.corruptions, one.severities) == (Path("a"), ("fog",), ("3",))


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array, torch.tensor], ids=lambda kind: kind.__name__)
def test_numbers_of_numpy_and_torch_are_numbers(kind: Callable[[int], object]) -> None:
    whole = dict.fromkeys(("seed", "limit", "resize", "passes", "batch_size", "workers"), 9)
    given = EvalRequest.of(**{name: kind(9) for name in whole}, until=kind(2), max_drop=kind(1))
    assert given == EvalRequest.of(**whole, until=2, max_drop=1)
    assert all(type(getattr(given, name)) is int for name in whole)


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.array, torch.tensor], ids=lambda kind: kind.__name__)
def test_fractions_of_numpy_and_torch_are_numbers(kind: Callable[[float], object]) -> None:
    given = EvalRequest.of(until=kind(0.5), mean=[kind(0.5)] * 3, std=np.array([0.25, 0.5, 1]), input_size=np.int8(32))
    assert type(given.until) is float
    assert given == EvalRequest.of(until=0.5, mean="0.5,0.5,0.5", std=[0.25, 0.5, 1], input_size=32)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [("limit", 2.5, "an integer"), ("limit", True, "an integer"), ("seed", "1", "an integer"),
     ("workers", np.float32(1), "an integer"), ("until", "2", "a number"), ("until", np.bool_(True), "a number"),
     ("max_drop", np.array([1, 2]), "a number")],
)  # fmt: skip
def test_what_is_no_number_is_named(name: str, value: object, what: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} .* is not allowed\nIt is {what}"):
        EvalRequest.of(**{name: value})


def test_options_of_the_card_are_texts_or_numbers() -> None:
    given = EvalRequest.of(mean=(0.5, 0.25, 0.125), std="1,2,3", input_size=32)
    assert given.card_options is not None
    assert (given.card_options.mean, given.card_options.std) == ((0.5, 0.25, 0.125), (1.0, 2.0, 3.0))
    assert EvalRequest.of(preset=None, ema=False).card_options is None
    with pytest.raises(UsageError, match="unknown preset"):
        EvalRequest.of(preset="no-such")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"until": 1.0, "until_decided": "run.json"}, "--until and --until-decided are given"),
        ({"max_drop": 1.0}, "--max-drop is only for --until-decided"),
        ({"until_metric": "mCE"}, "--until-metric needs --until or --until-decided"),
        ({"resize": 7}, "--resize 7 is not allowed"),
        ({"passes": 0}, "--passes 0 is not allowed"),
        ({"passes": 256}, "--passes 256 is not allowed"),
        ({"passes": 2, "predictions": ["a.npz"]}, "--passes is given with --predictions"),
        ({"passes": 2, "compiled": True}, "--passes is given with --compile"),
        ({"passes": 2, "adapt": "batchnorm"}, "--passes is given with --adapt"),
        ({"passes": 2, "stream": "ccc"}, "--passes is given with --stream"),
        ({"passes": 2, "dataset": "imagenet-p"}, "--passes 2 is not for imagenet-p"),
        ({"passes": 2, "labels": "predicted"}, "--passes is given with --labels predicted"),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvalRequest.of(**given).check()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classes": ["cat", "dog"]}, "classes is of type list, not a path"),
        ({"weights_files": 3}, "weights_files is of type int, not a path"),
        ({"corruptions": test_defaults_are_the_same_everywhere}, "corruptions has .*, not a name"),
        ({"corruptions": ["fog", 3]}, "corruptions has 3, not a name"),
    ],
)
def test_values_of_another_kind_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvalRequest.of(**given)
