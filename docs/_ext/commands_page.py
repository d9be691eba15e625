"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import re

import typer
from click import Command, Context

from ppbench.cli.help import Helpful
from ppbench.cli.main import app


def plain(text: str) -> str:
    """Text in which no character means anything to Markdown. Code in backticks stays code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_{}\[\]<>#|$!~])", r"\\\1", part) for part in parts)


def paragraphs(text: str) -> str:
    """A docstring's paragraphs without its line breaks; lines after a ``\\b`` stay as they are."""
    found = []
    for paragraph in text.replace("\f", "").split("\n\n"):
        if paragraph.startswith("\b"):
            found.append(f"```\n{paragraph.removeprefix(chr(8)).strip()}\n```")
        else:
            found.append(plain(" ".join(paragraph.split())))
    return "\n\n".join(found)


def of_command(name: str, command: Command) -> str:
    """One command: usage, what it does, its options in the groups of ``--help``, and its examples."""
    assert isinstance(command, Helpful)
    context = Context(command, info_name=f"ppbench {name}")
    usage = " ".join(["ppbench", name, *command.collect_usage_pieces(context)])
    blocks = [f"## ppbench {name}", f"```\n{usage}\n```", paragraphs(command.help or "")]
    for group, records in command.grouped(context).items():
        if records:
            blocks.append(f"**{group}**")
            blocks += [f"`{option}`\n: {plain(' '.join(says.split())) or '–'}" for option, says in records]
    if command.page.examples:
        blocks += ["**Examples**", "```\n" + "\n".join(command.page.examples) + "\n```"]
    return "\n\n".join(blocks)


def commands_page() -> str:
    """All commands, in the order of ``ppbench --help``."""
    group = typer.main.get_command(app)
    commands: dict[str, Command] = group.commands  # type: ignore[attr-defined]
    table = ["| command | what it does |", "| --- | --- |"]
    table += [
        f"| [`{name}`](#ppbench-{name}) | {plain(command.get_short_help_str())} |" for name, command in commands.items()
    ]
    sections = [of_command(name, command) for name, command in commands.items()]
    return "\n\n".join(["\n".join(table), plain(app.info.epilog or ""), *sections])
