"""``ppbench list``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page


class What(StrEnum):
    """What can be listed."""

    MODELS = "models"
    DATASETS = "datasets"
    CORRUPTIONS = "corruptions"
    RECIPES = "recipes"
    TRAINING_RECIPES = "training-recipes"


@page(examples=("ppbench list models", "ppbench list corruptions --names"))
def list_names(
    what: Annotated[What, typer.Argument(help="What to list.")],
    names: Annotated[
        bool, typer.Option("--names", help="Names only, one a line, for scripts; of corruptions those ppbench makes.")
    ] = False,
) -> None:
    """List models, datasets, corruptions, their recipes, or recipes of training."""
    title, columns, rows = {
        What.MODELS: _models,
        What.DATASETS: _datasets,
        What.CORRUPTIONS: _corruptions,
        What.RECIPES: _recipes,
        What.TRAINING_RECIPES: _training_recipes,
    }[what]()
    if names:
        from ppbench.vocabulary import C19

        output.data("\n".join(C19 if what is What.CORRUPTIONS else (row[0] for row in rows)))
        return
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    output.render(table)
    if what is What.DATASETS:
        output.data("\n".join(_ways_to_get_datasets()))


_Rows = list[tuple[str, ...]]
_Listing = tuple[str, tuple[str, ...], _Rows]


def _models() -> _Listing:
    from ppbench.models.embedded import EMBEDDED_MODELS
    from ppbench.models.shapes import model_names, parse_model_name

    rows: _Rows = [
        (name, "checkpoint", "28 px, grey", "trained on Fashion-MNIST; comes with ppbench") for name in EMBEDDED_MODELS
    ]
    for name in model_names():
        a = parse_model_name(name)
        rows.append((name, "network", f"{a.input_size} px", a.description))
    return (
        "Models (networks need a checkpoint to be evaluated)",
        ("name", "kind", "made for", "what it is"),
        rows,
    )


def _datasets() -> _Listing:
    from ppbench.data.catalog import DATASETS
    from ppbench.vocabulary import set_label

    rows: _Rows = []
    for name in DATASETS:
        d = DATASETS[name]
        rows.append((name, d.description, d.classes, d.size, set_label(d.corruptions), d.normalizer))
    return "Datasets", ("name", "what it is", "classes", "px", "corruptions", "normaliser"), rows


def _ways_to_get_datasets() -> list[str]:
    """Below the table and never wrapped, so that the commands can be copied."""
    from ppbench.data.catalog import DATASETS

    ways = [(name, DATASETS[name].how_to_get) for name in DATASETS]
    return ["", "How to get them", *(f"  {name}: {way}" for name, way in ways if way)]


def _corruptions() -> _Listing:
    from ppbench.vocabulary import FAMILY_OF, KNOWN, SETS, family_of

    rows: _Rows = [
        (
            name,
            family_of(name),
            ", ".join(label for label, members in SETS.items() if name in members),
            "yes" if name in FAMILY_OF else "no, published only",
        )
        for name in KNOWN
    ]
    return "Corruptions, each at severities 1 to 5", ("name", "family", "sets", "made by ppbench"), rows


def _recipes() -> _Listing:
    from ppbench.corruptions.recipes import RECIPES

    rows: _Rows = [(r.name, r.description, r.size, r.source) for r in RECIPES.values()]
    return "Recipes, each for images of any size from 8 px", ("name", "what it is", "px", "source"), rows


def _training_recipes() -> _Listing:
    from ppbench.train.recipe import read_recipe, recipe_names

    rows: _Rows = []
    for recipe in map(read_recipe, recipe_names()):
        values = recipe.values
        learning = f"{values['schedule']}, {values['lr']:g}"
        rows.append((recipe.name, recipe.description, str(values["epochs"]), str(values["batch_size"]), learning))
    columns = ("name", "what it is", "epochs", "batch", "learning rate")
    return "Recipes of training, for `ppbench train --recipe`", columns, rows
