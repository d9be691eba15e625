import numpy as np
import pytest
import torch

from ppbench.check.rules import parse_points, parse_rules, resolve
from ppbench.errors import UsageError
from ppbench.vocabulary import C15, C19, SEVERITIES
from tests.builders import make_run
from tests.trial_runs import sequence_run

PROTOCOL = make_run(corruptions=(*C19, "my_blur")).protocol


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("clean", {("clean", 0)}),
        ("mean", {(c, s) for c in C15 for s in SEVERITIES}),
        ("noise", {(c, s) for c in C15[:3] for s in SEVERITIES}),
        ("own", {("my_blur", s) for s in SEVERITIES}),
        ("other", {("my_blur", s) for s in SEVERITIES}),  # what the family was called before
        ("fog", {("fog", s) for s in SEVERITIES}),
        ("fog/3", {("fog", 3)}),
    ],
)
def test_what_a_name_stands_for(name, cells):
    (rule,) = resolve({name: 1.0}, PROTOCOL)
    assert set(rule.cells) == cells
    assert len(rule.cells) == len(cells)


@pytest.mark.parametrize(
    ("name", "message"), [("fogg", "did you mean 'fog'"), ("fog/6", "severity '6'"), ("fgo/3", "did you mean 'fog/3'")]
)
def test_a_name_that_is_none(name, message):
    with pytest.raises(UsageError, match=message):
        resolve({name: 1.0}, PROTOCOL)


@pytest.mark.parametrize("name", ["fogg", "fog3", "fog-3", "noise/3", "fgo/3"])
def test_it_is_told_how_a_cell_is_written(name):
    with pytest.raises(UsageError, match="unknown rule") as caught:
        resolve({name: 1.0}, PROTOCOL)
    assert caught.value.hint.endswith("\nA single cell is written CORRUPTION/SEVERITY, such as fog/3.")


def test_of_sequences_a_cell_has_their_words():
    protocol = sequence_run(n=1, perturbations=["tilt"]).run.protocol
    with pytest.raises(UsageError, match="unknown rule") as caught:
        resolve({"fog": 1.0}, protocol)
    assert caught.value.hint.endswith("\nA single cell is written PERTURBATION/DIFFICULTY, such as tilt/1.")


def test_parsing():
    assert parse_rules(["mean=0.5", " fog/3 = 2"]) == {"mean": 0.5, "fog/3": 2.0}


@pytest.mark.parametrize(
    "text",
    [
        "mean",
        "=1",
        "mean=",
        "mean=-1",
        "mean=nan",
        "mean=inf",
        "mean=101",
        "mean=much",
        "mean=1_0",
        "fog=٣",
        "fog=1e1",
        "fog=+1",
        "fog=.",
    ],
)
def test_texts_that_are_no_rules(text):
    with pytest.raises(UsageError, match=r"maximal drop|of the form"):
        parse_rules([text])


@pytest.mark.parametrize(("value", "points"), [(".5", 0.5), ("2.", 2), (0, 0), (1e-05, 1e-05), ("100", 100)])
def test_plain_decimals_and_numbers_of_any_size_are_points(value, points):
    assert parse_points("mean", value) == points


@pytest.mark.parametrize(
    "value",
    [np.float32(0.5), np.float64(0.5), np.array(0.5), torch.tensor(0.5), np.float16(0.5), torch.tensor(0.5).half()],
)
def test_numbers_of_numpy_and_torch_are_numbers(value):
    assert parse_points("mean", value) == 0.5
    assert parse_points("mean", np.int64(2)) == parse_points("mean", torch.tensor(2)) == 2.0


@pytest.mark.parametrize(
    "value", [np.bool_(True), torch.tensor(True), np.array([0.5]), np.float32("nan"), np.complex64(1)]
)
def test_what_is_no_number_in_numpy_and_torch(value):
    with pytest.raises(UsageError, match="maximal drop"):
        parse_points("mean", value)


@pytest.mark.parametrize("value", [True, None, [1], {"3": 1}, 10**400, float("nan")])
def test_what_a_file_may_have_and_is_no_number_of_points(value):
    with pytest.raises(UsageError, match="maximal drop"):
        parse_points("mean", value)


def test_a_rule_given_twice():
    with pytest.raises(UsageError, match="given twice"):
        parse_rules(["mean=1", "mean=2"])
