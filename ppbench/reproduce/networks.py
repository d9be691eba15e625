"""Which networks a table needs, and which of them are there. Free of torch where none is there yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from ppbench.errors import UsageError
from ppbench.models.card import Card
from ppbench.models.catalog import parse_model_name
from ppbench.reproduce.tables import Row, Table
from ppbench.train.recipe import TrainRecipe, make_recipe, read_recipe

Action = Literal["train", "resume", "take"]


class Network(NamedTuple):
    """A row trained with a seed."""

    row: Row
    seed: int
    path: Path
    """Its checkpoint, there or yet to be written."""
    action: Action
    """"take": it is there; "resume": its training was begun; "train": nothing is there."""
    recipe: TrainRecipe
    given: bool = False
    """Whether the user gave the checkpoint, so that its recipe may be any."""
    card: Mapping[str, Any] | None = None
    """Of the checkpoint, if it is there."""

    @property
    def name(self) -> str:
        """``pp3-0``: what its files are called."""
        return f"{self.row.id}-{self.seed}"


def wanted_recipe(table: Table, row: Row, seed: int) -> TrainRecipe:
    """The settings with which a row is trained.

    Raises:
        UsageError: If the recipe is not known, or has no such values.
    """
    own = {"model": row.model, "dataset": table.training.dataset, "seed": seed}
    added = {} if row.augment is None else {"augment": row.augment, "jsd": row.jsd}
    return make_recipe(
        read_recipe(table.training.recipe), {**table.training.overrides, **added, **row.overrides, **own}
    )


def find_networks(
    table: Table, rows: Sequence[Row], seeds: Sequence[int], work: Path, given: Mapping[str, Sequence[Path]]
) -> list[Network]:
    """Say of each row and seed where its checkpoint is, or what is to be done for it; nothing is written.

    Args:
        table: Whose rows these are.
        rows: Which.
        seeds: Which.
        work: Folder of the networks trained by ppbench: ``checkpoints/ROW-SEED.safetensors``.
        given: Checkpoints of the user by row, in the order of the seeds.

    Raises:
        UsageError: If a checkpoint is of another architecture, or one in ``work`` was trained with another recipe.
        DataError: If a checkpoint cannot be read.
    """
    for name, paths in given.items():
        if len(paths) > len(seeds):
            raise UsageError(
                f"--checkpoint is given {len(paths)} times for {name}, with {len(seeds)} seed(s)",
                f"Say of which seeds they are: `--seeds {','.join(map(str, range(len(paths))))}`.",
            )
    return [
        _given(table, row, seed, given[row.id][place])
        if place < len(given.get(row.id, ()))
        else own_network(table, row, seed, work / "checkpoints")
        for row in rows
        for place, seed in enumerate(seeds)
    ]


def own_network(table: Table, row: Row, seed: int, folder: Path) -> Network:
    """What there is in ``folder`` of a network that ppbench trains.

    Raises:
        UsageError: If its checkpoint is of another architecture or recipe.
        DataError: If it cannot be read.
    """
    recipe = wanted_recipe(table, row, seed)
    path = folder / f"{row.id}-{seed}.safetensors"
    if path.is_file():
        from ppbench.models.checkpoint import load_checkpoint

        card = load_checkpoint(path).card
        _check_architecture(path, card.architecture, row)
        _check_recipe(path, card.recipe, recipe, row)
        return Network(row, seed, path, "take", recipe, card=_plain(card))
    begun = path.with_name(f"{path.name}.part").exists()
    return Network(row, seed, path, "resume" if begun else "train", recipe)


def parse_given(table: Table, values: Iterable[str]) -> dict[str, list[Path]]:
    """Read ``ROW=FILE`` options.

    Raises:
        UsageError: If one is not of that form, or its row is not known.
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


def _given(table: Table, row: Row, seed: int, path: Path) -> Network:
    from ppbench.models.checkpoint import load_checkpoint

    card = load_checkpoint(path).card
    _check_architecture(path, card.architecture, row)
    return Network(row, seed, path, "take", wanted_recipe(table, row, seed), given=True, card=_plain(card))


def _plain(card: Card) -> dict[str, Any]:
    """As run files have it."""
    return card.model_dump(mode="json", exclude_none=True)


def _check_architecture(path: Path, architecture: str, row: Row) -> None:
    """Names of networks from elsewhere, such as timm's, are none of ppbench's: they differ."""
    try:
        same = parse_model_name(architecture) == parse_model_name(row.model)
    except UsageError:
        same = False
    if not same:
        raise UsageError(
            f"{path} holds a {architecture}; the row {row.id} is a {row.model}", "Give the checkpoint of this row."
        )


def _check_recipe(path: Path, stored: Mapping[str, object] | None, wanted: TrainRecipe, row: Row) -> None:
    """Raise `UsageError` if a network was trained otherwise than its row is: its figures would be of something else."""
    differing = different_settings(stored, wanted)
    if differing:
        raise UsageError(
            f"{path} was trained with another recipe: {', '.join(differing)}",
            f"Give another --work, or move it away to train anew; to take it as it is: `--checkpoint {row.id}={path}`.",
        )


def different_settings(stored: Mapping[str, object] | None, wanted: TrainRecipe) -> list[str]:
    """``["epochs 20, here 6"]``: in what a card's recipe differs from another; its name alone is no difference."""
    if stored is None:
        return ["the card has none"]
    try:
        there = TrainRecipe.model_validate(dict(stored)).model_dump(exclude={"name"})
    except ValidationError:
        there = dict(stored)
    here = wanted.model_dump(exclude={"name"})
    names = [name for name in {**here, **there} if name != "name" and here.get(name) != there.get(name)]
    return [f"{name} {there.get(name)}, here {here.get(name)}" for name in names]
