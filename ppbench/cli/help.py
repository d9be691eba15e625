"""``--help`` of the commands: the most used options first, the others in groups, and two examples.

Typer's own grouped help needs Rich, which takes longer to import than the rest of the command line together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from typer.core import TyperCommand

MOST_USED, OTHER = "Most used", "Other"

GROUPS: dict[str, tuple[str, ...]] = {
    "Model": (
        "--model", "--predictions", "--weights-file", "--preset", "--mean", "--std", "--input-size", "--test-size",
        "--resize", "--logits", "--architecture", "--ema", "--init", "--inhibition", "--trainable-inhibition",
        "--rectified-push", "--push-pull", "--against", "--checkpoint",
    ),
    "Images": (
        "--dataset", "--data", "--clean", "--evaluation-data", "--classes", "--limit", "--exif", "--images", "--size",
        "--skip-unreadable", "--seed", "--fraction", "--val-fraction",
    ),
    "Corruptions": (
        "--corruptions", "--corruption", "--severities", "--severity", "--recipe", "--backend", "--jpeg", "--scale",
    ),
    "Statistics": ("--baseline", "--normalizer", "--confidence", "--intervals", "--allow", "--draws"),
    "Stopping": ("--until", "--until-metric", "--until-decided", "--max-drop", "--fail-on", "--on-powerless"),
    "Output": (
        "--output", "--format", "--json", "--formulas", "--cells", "--all-metrics", "--pairs", "--published", "--junit",
        "--github-summary", "--update-baseline", "--overwrite", "--figure", "--filters", "--log-dir", "--names",
        "--work",
    ),
    "Computing": (
        "--device", "--devices", "--precision", "--compile", "--batch-size", "--workers", "--fresh", "--force",
        "--dry-run",
    ),
}  # fmt: skip
"""Options by group, in the order of the help. An option means the same in every command, so one table serves all."""


@dataclass(frozen=True)
class Page:
    """What the help of one command has besides its options.

    Attributes:
        first: The most used options, listed before all groups.
        examples: Whole command lines.
        groups: Groups that only this command has, and options that it groups differently.
    """

    first: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)


PAGES: dict[str, Page] = {
    "eval": Page(
        ("--model", "--dataset", "--data", "--limit", "--output"),
        (
            "ppbench eval --model torchvision:resnet50 --dataset imagenet-c --data val/",
            "ppbench eval --model net.safetensors --dataset imagefolder --data photos/",
        ),
    ),
    "corrupt": Page(
        ("--corruption", "--severity", "--size", "--format", "--dry-run"),
        ("ppbench corrupt photos/ --severity 3", "ppbench corrupt photos/ out/ -c fog -c noise -s 1-3 --size 224"),
    ),
    "show": Page(
        ("--baseline", "--normalizer", "--format", "--intervals", "--formulas"),
        ("ppbench show run.json --baseline other.json", "ppbench show accuracies.csv --format markdown"),
    ),
    "compare": Page(
        ("--baseline", "--allow", "--cells", "--pairs", "--format"),
        ("ppbench compare old.json new.json", "ppbench compare run.json --published imagenet-c-resnet50"),
    ),
    "check": Page(
        ("--baseline", "--max-drop", "--update-baseline", "--fail-on", "--junit"),
        (
            "ppbench check run.json --update-baseline baseline.json",
            "ppbench check run.json --baseline baseline.json --max-drop mean=0.5",
        ),
        {"Rules": ("--max-drop", "--config", "--fail-on", "--on-powerless", "--on-inconclusive")},
    ),
    "train": Page(
        ("--model", "--dataset", "--data", "--recipe", "--output"),
        (
            "ppbench train --model resnet20-pp --dataset cifar10 --data cifar-10/",
            "ppbench train --model resnet50-pp3 --recipe paper-imagenet-20 --data imagenet/",
        ),
        {
            "Training": (
                "--recipe",
                "--epochs",
                "--batch-size",
                "--optimizer",
                "--momentum",
                "--momentum-low",
                "--nesterov",
                "--weight-decay",
                "--schedule",
                "--lr",
                "--lr-start",
                "--lr-end",
                "--warmup",
                "--grad-clip",
                "--ema",
                "--jsd",
                "--validate-every",
                "--seed",
            ),
            "Images": ("--resize", "--crop-size", "--crop-padding", "--flip", "--test-resize", "--augment"),
        },
    ),
    "convert": Page(
        ("--model", "--push-pull", "--data", "--recipe", "--output"),
        (
            "ppbench convert --model torchvision:resnet50 --push-pull 3 --data train/",
            "ppbench convert --model net.safetensors --data train/ --recipe finetune",
        ),
        {"Training": ("--recipe", "--epochs", "--lr"), "Images": ("--keep-statistics",)},
    ),
    "inspect": Page(
        ("--against", "--corruption", "--severity", "--output", "--format"),
        (
            "ppbench inspect fashion-mnist-resnet8-pp3 --against fashion-mnist-resnet8",
            "ppbench inspect net.safetensors photo.jpg --corruption fog",
        ),
    ),
    "reproduce": Page(
        ("--table", "--data", "--rows", "--dry-run", "--work"),
        (
            "ppbench reproduce --table imagenet-resnet50 --list",
            "ppbench reproduce --table fashion-mnist --data fashion-mnist/",
        ),
        {
            "Trainings": ("--table", "--rows", "--seeds", "--set", "--train", "--list"),
            "Estimate": ("--gpu", "--images-per-second"),
        },
    ),
    "list": Page((), ("ppbench list models", "ppbench list corruptions --names")),
    "doctor": Page((), ("ppbench doctor",)),
}

_TYPES = {"str": "TEXT", "int": "N", "float": "NUMBER", "path": "PATH", "Path": "PATH"}


class Helpful(TyperCommand):
    """A command whose help has groups and examples."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        page = PAGES.get(self.name or "", Page())
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], MOST_USED: []}
        groups |= {name: [] for name in (*page.groups, *GROUPS, OTHER)}
        order = {option: place for place, option in enumerate(page.first)}
        for parameter in sorted(self.get_params(ctx), key=lambda given: order.get(_longest(given), len(order))):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups[group_of(parameter, page)].append(_plain(record))
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        super().format_epilog(ctx, formatter)
        examples = PAGES.get(self.name or "", Page()).examples
        if examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in examples))


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
