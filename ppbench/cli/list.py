"""``ppbench list``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.options import FormatOption
from ppbench.cli.output import Format
from ppbench.lookup import counted
from ppbench.tables.report import Rows
from ppbench.tables.sheet import MISSING, Line, Sheet

_Rows = list[tuple[str, ...]]


class What(StrEnum):
    """The lists."""

    MODELS = "models"
    DATASETS = "datasets"
    CORRUPTIONS = "corruptions"
    RECIPES = "recipes"
    TRAINING_RECIPES = "training-recipes"
    PUBLISHED = "published"


@dataclass(frozen=True)
class ListReport:
    """The report of a list."""

    what: str
    title: str
    columns: tuple[str, ...]
    entries: _Rows

    def sheets(self) -> list[Sheet]:
        """One table of words."""
        lines = tuple(map(Line, self.entries))
        return [Sheet(self.title, self.columns, lines, tuple(range(len(self.columns))))]

    def as_dict(self) -> dict[str, Any]:
        """An object for each entry."""
        return {self.what: [dict(zip(self.columns, entry, strict=True)) for entry in self.entries]}

    def rows(self) -> Rows:
        """A row for each entry."""
        return Rows(self.columns, self.entries)


class ModelMatrix(ListReport):
    """The models. In a terminal they are networks by stems, since they are too many for a row each."""

    def terminal_sheets(self) -> list[Sheet]:
        """The checkpoints, then a row for each network."""
        from ppbench.models.shapes import STEMS, parse_model_name

        checkpoints = tuple(Line((name, *rest)) for name, kind, *rest in self.entries if kind == "checkpoint")
        names = [name for name, kind, *_ in self.entries if kind == "network"]
        models = [parse_model_name(name) for name in names]
        bases = {model.base: str(model.input_size) for model in models}
        lines = tuple(
            Line((base, size, "•", *("•" if f"{base}-{stem}" in names else MISSING for stem in STEMS)))
            for base, size in bases.items()
        )
        notes = (
            "•: a model, named by network and stem, such as resnet50-pp3. It needs a checkpoint to be evaluated.",
            "Not listed: files (ONNX: for `ppbench eval` only), torchvision:NAME, timm:NAME, your own code.",
            *(f"{stem}: {words}." for stem, words in STEMS.items()),
        )
        return [
            Sheet(counted(len(checkpoints), "checkpoint"), ("name", "made for", "what it is"), checkpoints, (0, 1, 2)),
            Sheet(f"{counted(len(names), 'network')}, by stem", ("network", "px", "plain", *STEMS), lines, notes=notes),
        ]


class DatasetList(ListReport):
    """The datasets. In a terminal the commands that download them stand below the table."""

    def terminal_sheets(self) -> list[Sheet]:
        """The table without normalisers, which almost all datasets lack, so that the descriptions have room."""
        header = ("name", "what it is", "classes", "px", "set")
        customary = [f"{name}: {normalizer}" for name, *_, normalizer in self.entries if normalizer != "none"]
        notes = (
            "Set: the corruptions that are evaluated by default (`ppbench list corruptions`).",
            f"Normaliser: none, except for {', '.join(customary)}.",
        )
        lines = tuple(Line(entry[: len(header)]) for entry in self.entries)
        return [Sheet(self.title, header, lines, tuple(range(len(header))), notes)]

    def text_below(self) -> str:
        """How to get each dataset."""
        from ppbench.data.catalog import DATASETS

        ways = [f"  {name}: {way}" for name, *_ in self.entries if (way := DATASETS[name].how_to_get)]
        return "\n".join(["", "How to get them", *map(_broken, ways)])


def _broken(way: str, width: int = 80) -> str:
    """Break a line with commands in backticks; a break in a command gets the backslash with which a shell reads on."""
    lines, line, ticks = [], "", 0
    for piece in re.findall(r"\s*(?:`?(?:wget|gunzip|--data) \S+|\S+)", way):
        if line.strip() and len(line + piece) > width - len(" \\"):
            lines.append(line + (" \\" if ticks % 2 else ""))
            line, piece = "    ", piece.lstrip()
        line, ticks = line + piece, ticks + piece.count("`")
    return "\n".join([*lines, line])


@page(
    "List models, datasets, corruptions, recipes, results.",
    examples=("ppbench list models", "ppbench list corruptions --names"),
)
def list_names(
    what: Annotated[What, typer.Argument(help="What to list.")],
    names: Annotated[
        bool,
        typer.Option(
            "--names", help="Print names only, one per line, for scripts; of corruptions, those ppbench can make."
        ),
    ] = False,
    format: FormatOption = Format.RICH,
) -> None:
    """List models, datasets, corruptions, corruption recipes, training recipes or published results."""
    if what is What.PUBLISHED:
        _show_published(names, format)
        return
    title, columns, entries = {
        What.MODELS: _models,
        What.DATASETS: _datasets,
        What.CORRUPTIONS: _corruptions,
        What.RECIPES: _recipes,
        What.TRAINING_RECIPES: _training_recipes,
    }[what]()
    if names:
        made = [entry[0] for entry in entries if what is not What.CORRUPTIONS or entry[-1].startswith("yes")]
        output.data("\n".join(made))
        return
    kind = {What.MODELS: ModelMatrix, What.DATASETS: DatasetList}.get(what, ListReport)
    output.show(kind(what, title, columns, entries), format)


def _show_published(names: bool, format: Format) -> None:
    from ppbench.compare.published import all_published

    report = all_published()
    if names:
        output.data("\n".join(part.name for part in report.parts))
    else:
        output.show(report, format)


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


def _corruptions() -> _Listing:
    from ppbench.corruptions.own import installed
    from ppbench.vocabulary import FAMILY_OF, KNOWN, OWN, SETS, family_of

    rows: _Rows = [
        (
            name,
            family_of(name),
            ", ".join(label for label, members in SETS.items() if name in members),
            "yes" if name in FAMILY_OF else "no, published only",
        )
        for name in KNOWN
    ]
    for name, point in installed().items():
        rows.append((name, OWN, "", f"yes, by {point.dist.name}" if point.dist else "yes"))
    return "Corruptions, each at severities 1 to 5", ("name", "family", "sets", "made by ppbench"), rows


def _recipes() -> _Listing:
    from ppbench.corruptions.recipes import KNOWN_RECIPES
    from ppbench.corruptions.sequences.recipes import SEQUENCE_RECIPES

    rows: _Rows = [(r.name, r.description, r.size, r.source) for r in KNOWN_RECIPES.values()]
    source = KNOWN_RECIPES["imagenet-c"].source  # of the same paper
    for recipe in SEQUENCE_RECIPES.values():
        rows.append((recipe.name, recipe.description.partition(";")[0], str(recipe.side or "32, any"), source))
    return "Recipes, each for images of any size from 8 px", ("name", "what it is", "px", "source"), rows


def _training_recipes() -> _Listing:
    from ppbench.train.recipe import read_recipe, recipe_names

    rows: _Rows = []
    for recipe in map(read_recipe, recipe_names()):
        values = recipe.values
        learning = f"{values['schedule']}, {values['lr']:g}"
        rows.append((recipe.name, recipe.description, str(values["epochs"]), str(values["batch_size"]), learning))
    columns = ("name", "what it is", "epochs", "batch", "learning rate")
    return "Training recipes, for `ppbench train --recipe`", columns, rows
