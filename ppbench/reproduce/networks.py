"""Find out which networks a table needs, and which of them exist. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ppbench.errors import UsageError
from ppbench.lookup import counted
from ppbench.models.card import Card
from ppbench.models.read_card import read_card
from ppbench.models.shapes import parse_model_name
from ppbench.reproduce.table import Row, Table
from ppbench.run import conversion
from ppbench.train.recipe import TrainRecipe, differing_settings, make_recipe, read_recipe

Action = Literal["train", "resume", "take"]


class Given(NamedTuple):
    """A checkpoint that the user gave for a row."""

    seed: int
    """The seed of the row in whose place it is used."""
    path: Path
    differences: tuple[str, ...]
    """How it differs from the row: `card_differences`."""

    @property
    def words(self) -> str:
        """``given: net.safetensors; differs: epochs 2 instead of 6``."""
        return f"given: {self.path}" + (f"; differs: {', '.join(self.differences)}" if self.differences else "")


class TrainedRow(NamedTuple):
    """A row trained with a seed."""

    row: Row
    seed: int
    path: Path
    """Its checkpoint, whether it exists or is still to be written."""
    action: Action
    """"take": the checkpoint exists; "resume": its training was begun; "train": there is nothing yet."""
    recipe: TrainRecipe
    given: Given | None = None
    """Set if the user gave the checkpoint, which may then have any recipe."""
    card: Mapping[str, Any] | None = None
    """The card of the checkpoint, if that exists."""

    @property
    def name(self) -> str:
        """The stem of its files, such as ``pp3-0``."""
        return f"{self.row.id}-{self.seed}"


def wanted_recipe(table: Table, row: Row, seed: int) -> TrainRecipe:
    """Return the settings with which a row is trained.

    Raises:
        UsageError: If the recipe is unknown, or a value is not allowed.
    """
    own = {"model": row.model, "dataset": table.training.dataset, "seed": seed}
    added = {} if row.augment is None else {"augment": row.augment, "jsd": row.jsd}
    return make_recipe(
        read_recipe(table.training.recipe), {**table.training.overrides, **added, **row.overrides, **own}
    )


def find_networks(
    table: Table, rows: Sequence[Row], seeds: Sequence[int], work: Path, given: Mapping[str, Sequence[Path]]
) -> list[TrainedRow]:
    """Find the checkpoint of each row and seed, or what has to be done to get it. Nothing is written.

    Args:
        table: The table.
        rows: Rows of the table.
        seeds: Seeds of the trainings.
        work: Folder of the networks trained by ppbench: ``checkpoints/ROW-SEED.safetensors``.
        given: Checkpoints of the user by row, in the order of the seeds.

    Raises:
        UsageError: If a checkpoint has another architecture, or one in ``work`` was trained with another recipe.
        DataError: If a checkpoint cannot be read.
    """
    for name, paths in given.items():
        if len(paths) > len(seeds):
            raise UsageError(
                f"--checkpoint is given {len(paths)} times for {name}, with {counted(len(seeds), 'seed')}",
                f"Name their seeds: `--seeds {','.join(map(str, range(len(paths))))}`.",
            )
    return [
        _given(table, row, seed, given[row.id][place])
        if place < len(given.get(row.id, ()))
        else own_network(table, row, seed, work / "checkpoints")
        for row in rows
        for place, seed in enumerate(seeds)
    ]


def own_network(table: Table, row: Row, seed: int, folder: Path) -> TrainedRow:
    """Look in ``folder`` for a network that ppbench trains.

    Raises:
        UsageError: If its checkpoint has another architecture or recipe.
        DataError: If it cannot be read.
    """
    recipe = wanted_recipe(table, row, seed)
    path = folder / f"{row.id}-{seed}.safetensors"
    if path.is_file():
        card = read_card(path)
        _check_architecture(path, card.architecture, row)
        differing = card_differences(card, recipe)
        if differing:  # its figures would not be those of the row
            raise UsageError(
                f"{path} was trained with another recipe than the row's: {', '.join(differing)}",
                "Give another --work, or move the file away to train the row again. To use it as it is: "
                f"`--checkpoint {row.id}={path}`.",
            )
        return TrainedRow(row, seed, path, "take", recipe, card=_plain(card))
    begun = path.with_name(f"{path.name}.part").exists()
    return TrainedRow(row, seed, path, "resume" if begun else "train", recipe)


def parse_given(table: Table, values: Iterable[str]) -> dict[str, list[Path]]:
    """Read ``ROW=FILE`` options.

    Raises:
        UsageError: If one does not have that form, or its row is unknown.
    """
    found: dict[str, list[Path]] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or not path:
            raise UsageError(
                f"--checkpoint {value} is not ROW=FILE", "For example `--checkpoint plain=net.safetensors`."
            )
        found.setdefault(table.row(name).id, []).append(Path(path))
    return found


def _given(table: Table, row: Row, seed: int, path: Path) -> TrainedRow:
    card = read_card(path)
    _check_architecture(path, card.architecture, row)
    recipe = wanted_recipe(table, row, seed)
    given = Given(seed, path, tuple(card_differences(card, recipe)))
    return TrainedRow(row, seed, path, "take", recipe, given, _plain(card))


def _plain(card: Card) -> dict[str, Any]:
    """The card in the form that run files have."""
    return card.model_dump(mode="json", exclude_none=True)


def _check_architecture(path: Path, architecture: str, row: Row) -> None:
    try:
        same = parse_model_name(architecture) == parse_model_name(row.model)
    except UsageError:  # a network from elsewhere, such as timm's
        same = False
    if not same:
        raise UsageError(
            f"{path} holds a {architecture}; the row {row.id} is a {row.model}", "Give the checkpoint of this row."
        )


def card_differences(card: Card, wanted: TrainRecipe) -> list[str]:
    """List how a network differs from what the recipe makes: ``["epochs 2 instead of 6", "push not rectified"]``."""
    if card.recipe is None:
        found = ["its card has no recipe"]
    else:  # the name of a recipe does not count as a difference
        differing = differing_settings(card.recipe, wanted)
        found = [f"{name} {_word(there)} instead of {_word(here)}" for name, there, here in differing]
    if card.recipe is None and card.trained_on not in (None, wanted.dataset):
        found.append(f"trained on {card.trained_on} instead of {wanted.dataset}")
    if (words := conversion(_plain(card))) is not None:
        found.append(words)
    return found


def _word(value: object) -> str:
    """The value as a recipe writes it; "none" for what is switched off."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
