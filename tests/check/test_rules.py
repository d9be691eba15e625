import numpy as np
import pytest
import torch

from ppbench.check.config import read_config
from ppbench.check.rules import parse_points, parse_rules, resolve
from ppbench.errors import UsageError
from ppbench.vocabulary import C15, C19, SEVERITIES
from tests.builders import make_run

PROTOCOL = make_run(corruptions=(*C19, "my_blur")).protocol


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("clean", {("clean", 0)}),
        ("mean", {(c, s) for c in C15 for s in SEVERITIES}),
        ("noise", {(c, s) for c in C15[:3] for s in SEVERITIES}),
        ("other", {("my_blur", s) for s in SEVERITIES}),
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


def test_the_table_of_a_file(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[tool.ppbench.check]\nbaseline = "base.json"\nconfidence = 0.9\non-inconclusive = "fail"\n'
        'allow = ["precision"]\n'
        '[tool.ppbench.check.max-drop]\nmean = 0.5\n"fog/3" = 2\n'
    )
    config = read_config(path)
    assert config.rules == {"mean": 0.5, "fog/3": 2.0}
    assert (config.baseline, config.confidence) == (tmp_path / "base.json", 0.9)
    assert (config.on_inconclusive, config.allow) == ("fail", ("precision",))
    path.write_text('[tool.ppbench.check]\nfail-on = "perhaps"\non-powerless = "fail"\n')
    config = read_config(path)
    assert (config.fail_on, config.on_powerless, config.on_inconclusive) == ("perhaps", "fail", None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tool = 3", "tool"),
        ("[tool]\nppbench = 3", "tool.ppbench"),
        ('[tool]\nppbench = "x"', "tool.ppbench"),
        ("[[tool.ppbench]]\ncheck = 1", "tool.ppbench"),
        ("[tool.ppbench]\ncheck = 3", "tool.ppbench.check"),
    ],
)
def test_what_should_be_a_table_and_is_none(tmp_path, text, name):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=f"pyproject.toml: {name} is not a table"):
        read_config(tmp_path / "pyproject.toml")


def test_the_file_of_the_working_directory_is_found_and_may_say_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_config(None).rules == {}
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_config(None).rules == {}
    (tmp_path / "pyproject.toml").write_text("[tool.ppbench.check.max-drop]\nnoise = 1\n")
    assert read_config(None).rules == {"noise": 1.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        ("[tool", "is not TOML"),
        ("[tool.ppbench]\ncheck = 1", "is not a table"),
        ("[tool.ppbench.check]\nmax_drop = {}", "did you mean 'max-drop'"),
        ("[tool.ppbench.check]\nmax-drop = 1", "max-drop = 1"),
        ("[tool.ppbench.check]\nconfidence = true", "confidence = True"),
        ("[tool.ppbench.check.max-drop]\nmean = true", "a maximal drop of True"),
    ],
)
def test_a_file_that_will_not_do(tmp_path, content, message):
    path = tmp_path / "ppbench.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=message):
        read_config(path)
