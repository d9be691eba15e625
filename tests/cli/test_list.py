"""``ppbench list``."""

from __future__ import annotations

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.corruptions.sequences.recipes import SEQUENCE_RECIPES
from ppbench.corruptions.strengths import STRENGTHS
from ppbench.data.catalog import DATASETS
from ppbench.models.embedded import EMBEDDED_MODELS
from ppbench.models.shapes import model_names
from ppbench.vocabulary import MADE

runner = CliRunner()


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("models", [*EMBEDDED_MODELS, *model_names()]),
        ("datasets", list(DATASETS)),
        ("corruptions", list(MADE)),
        (
            "recipes",
            [
                *("imagenet-c", "imagenet-c-299", "tiny-imagenet-c", "cifar-c", "imagecorruptions"),
                *STRENGTHS,
                *SEQUENCE_RECIPES,
            ],
        ),
    ],
)
def test_names_are_listed_one_a_line_and_in_a_table(what: str, names: list[str]) -> None:
    bare = runner.invoke(app, ["list", what, "--names"])
    assert bare.stdout.split() == names
    table = runner.invoke(app, ["list", what], env={"COLUMNS": "200"})
    assert table.exit_code == 0
    if what == "models":  # networks by stems in the terminal, a row for each model elsewhere
        table = runner.invoke(app, ["list", what, "--format", "csv"])
    assert all(name in table.stdout for name in names)


def test_models_are_networks_by_stems_in_the_terminal() -> None:
    text = runner.invoke(app, ["list", "models"]).stdout
    assert len([line for line in text.splitlines() if line.startswith(" resnet50 ")]) == 1
    assert all(name in text for name in EMBEDDED_MODELS)
    assert text.count("•") == len(model_names()) + 1, "and one in the note"


def test_titles_of_the_models_count_them() -> None:
    text = runner.invoke(app, ["list", "models"]).stdout
    assert f" {len(EMBEDDED_MODELS)} checkpoints " in text
    assert f" {len(model_names())} networks, by stem " in text


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_commands_below_the_datasets_are_broken_so_that_a_shell_reads_them_as_before(columns: str) -> None:
    text = runner.invoke(app, ["list", "datasets"], env={"COLUMNS": columns}).stdout.partition("How to get them\n")[2]
    assert max(map(len, text.splitlines())) <= 80
    joined = " ".join(text.replace("\\\n", " ").split())
    ways = [f"{name}: {dataset.how_to_get}" for name, dataset in DATASETS.items() if dataset.how_to_get]
    assert joined == " ".join(ways)
    inside = text.split("`")[1::2]
    assert [part for part in inside if "\n" in part.replace("\\\n", "")] == []


def test_descriptions_of_datasets_have_room() -> None:
    text = runner.invoke(app, ["list", "datasets"], env={"COLUMNS": "80"}).stdout
    assert "ImageNet-C as published, or" in text
    assert "Normaliser: none, except for imagenet-c: alexnet." in text


@pytest.mark.parametrize("what", ["models", "datasets", "corruptions", "recipes", "training-recipes"])
def test_lists_are_data_in_the_other_formats(what: str) -> None:
    entries = json.loads(runner.invoke(app, ["list", what, "--format", "json"]).stdout)[what]
    rows = list(csv.DictReader(io.StringIO(runner.invoke(app, ["list", what, "--format", "csv"]).stdout)))
    assert [entry["name"] for entry in entries] == [row["name"] for row in rows]
    assert len(entries) == len({entry["name"] for entry in entries}) > 2
