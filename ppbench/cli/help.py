"""``--help`` of the commands: the most used options first, the others in groups, and two examples.

Typer's own grouped help needs Rich, which takes longer to import than the rest of the command line together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from typer.core import TyperCommand

Function = TypeVar("Function", bound=Callable[..., object])

MOST_USED, OTHER = "Most used", "Other"

GROUPS: dict[str, tuple[str, ...]] = {
    "Model": (
        "--model", "--predictions", "--weights-file", "--preset", "--mean", "--std", "--input-size", "--test-size",
        "--class-names", "--templates", "--trust-remote-code", "--resize", "--logits", "--adapt", "--passes",
        "--architecture",
        "--ema", "--init", "--inhibition", "--trainable-inhibition", "--rectified-push",
        "--push-pull", "--against", "--checkpoint", "--pixels", "--opset",
    ),
    "Images": (
        "--dataset", "--data", "--clean", "--evaluation-data", "--classes", "--labels", "--limit", "--exif", "--images",
        "--size", "--skip-unreadable", "--seed", "--fraction", "--val-fraction",
    ),
    "Corruptions": (
        "--corruptions", "--corruption", "--severities", "--severity", "--perturbation", "--difficulty",
        "--recipe", "--backend", "--jpeg", "--scale", "--stream", "--calibration",
    ),
    "Statistics": ("--baseline", "--normalizer", "--confidence", "--intervals", "--allow", "--draws"),
    "Stopping": ("--until", "--until-metric", "--until-decided", "--max-drop", "--fail-on", "--on-powerless"),
    "Output": (
        "--output", "--format", "--json", "--open", "--formulas", "--cells", "--all-metrics", "--pairs", "--published",
        "--junit", "--github-summary", "--update-baseline", "--overwrite", "--no-predictions", "--figure", "--filters",
        "--log-dir", "--names", "--work",
    ),
    "Computing": (
        "--device", "--devices", "--precision", "--compile", "--batch-size", "--workers", "--fresh", "--force",
        "--dry-run", "--decode", "--profile",
    ),
}  # fmt: skip
"""Options by group, in the order of the help. An option means the same in every command, so one table serves all."""


@dataclass(frozen=True)
class Page:
    """What the help of one command has besides its options.

    Attributes:
        summary: One line for the list of commands, at most 60 characters.
        first: The most used options, listed before all groups.
        examples: Whole command lines.
        groups: Groups that only this command has, and options that it groups differently.
        values: The completion of options that take a few names. They are imported only when the help lists them.
    """

    summary: str = ""
    first: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: dict[str, Callable[[str], list[str]]] = field(default_factory=dict)


def page(
    summary: str,
    first: tuple[str, ...] = (),
    examples: tuple[str, ...] = (),
    groups: dict[str, tuple[str, ...]] | None = None,
    values: dict[str, Callable[[str], list[str]]] | None = None,
) -> Callable[[Function], Function]:
    """Give a command's function its page of help; see `Page`."""

    def give(command: Function) -> Function:
        vars(command)["page"] = Page(summary, first, examples, groups or {}, values or {})
        return command

    return give


_TYPES = {"str": "TEXT", "int": "N", "float": "NUMBER", "path": "PATH", "Path": "PATH"}


class Helpful(TyperCommand):
    """A command whose help has groups and examples."""

    page: Page = Page()

    @classmethod
    def of(cls, command: Callable[..., object]) -> type[Helpful]:
        """This kind of command, with the page that the function was given."""
        return type(cls.__name__, (cls,), {"page": vars(command)["page"]})

    def get_short_help_str(self, limit: int = 45) -> str:
        return self.page.summary

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``SRC [DEST]`` for what Typer writes as ``{src} [dest]``."""
        pieces = super().collect_usage_pieces(ctx)
        return [pieces[0], *(re.sub(r"[{}]|(?<=\[)\[|\](?=\])", "", piece).upper() for piece in pieces[1:])]

    def grouped(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Options and what they do, by group, in the order of the help. A group may be empty."""
        page = self.page
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], MOST_USED: []}
        groups |= {name: [] for name in (*page.groups, *GROUPS, OTHER)}
        order = {option: place for place, option in enumerate(page.first)}
        for parameter in sorted(self.get_params(ctx), key=lambda given: order.get(_longest(given), len(order))):
            if (names := page.values.get(_longest(parameter))) is not None:
                parameter.metavar = "|".join(names(""))
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups[group_of(parameter, page)].append(_plain(record))
        return groups

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for name, records in self.grouped(ctx).items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        super().format_epilog(ctx, formatter)
        if self.page.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in self.page.examples))


def group_of(parameter: Any, page: Page) -> str:
    """The heading under which help lists an argument or option of a command."""
    if parameter.param_type_name == "argument":
        return "Arguments"
    if not {*parameter.opts}.isdisjoint(page.first):
        return MOST_USED
    for groups in (page.groups, GROUPS):
        for name, options in groups.items():
            if not {*parameter.opts}.isdisjoint(options):
                return name
    return OTHER


def _longest(parameter: Any) -> str:
    """The option by which `Page.first` names a parameter; aliases (``--corruptions``) come later in `opts`."""
    return next((option for option in parameter.opts if option.startswith("--")), "")


def _plain(record: tuple[str, str]) -> tuple[str, str]:
    """An option and its help, with types and defaults as people write them."""
    option = re.sub(r"<(?:list\[)?(str|int|float|path|Path)\]?>", lambda found: _TYPES[found[1]], record[0])
    option = re.sub(r"<([^<>]*\|[^<>]*)>", r"\1", option)
    return option, re.sub(r"\[default: \((.*)\)\]", r"[default: \1]", record[1])
