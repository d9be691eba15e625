"""``ppbench inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ppbench.cli import output
from ppbench.cli.completion import complete_corruption
from ppbench.cli.help import page
from ppbench.cli.options import CardArguments, FormatOption, NetworkArgument, expanded
from ppbench.cli.output import Format
from ppbench.errors import UsageError
from ppbench.extras import import_extra
from ppbench.tables.escapes import to_json

_FOLDER = "--output FOLDER"

if TYPE_CHECKING:
    from ppbench.inspection.report import InspectionReport


@expanded
@page(
    "Show what a network's first layer does.",
    first=("--against", "--corruption", "--severity", "--output", "--format"),
    examples=(
        "ppbench inspect fashion-mnist-resnet8-pp3 --against fashion-mnist-resnet8",
        "ppbench inspect net.safetensors photo.jpg --corruption fog",
    ),
)
def inspect(
    model: NetworkArgument,
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGE",
            help="Image files to show it.",
            show_default="two of the embedded images, if it was trained on such",
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another network to compare the selectivity with.")
    ] = None,
    corruption: Annotated[
        str,
        typer.Option(
            "--corruption",
            "--corruptions",
            "-c",
            help="Corruption of the images (`ppbench list corruptions`), or your own: pkg.mod:function.",
            autocompletion=complete_corruption,
        ),
    ] = "gaussian_noise",
    severity: Annotated[
        int, typer.Option("--severity", "--severities", "-s", help="Severity of the corruption, 1 to 5.")
    ] = 3,
    filters: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Filters whose responses to the images are drawn.",
            show_default="6, those whose weights vary most",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of the noise that selectivity is measured against.")] = 256,
    seed: Annotated[int, typer.Option(help="Seed of the noise and of the corruption.")] = 0,
    output_folder: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to.", show_default="inspect-MODEL")
    ] = None,
    figure: Annotated[str, typer.Option(metavar="png|svg", help="Format of the pictures.")] = "png",
    format: FormatOption = Format.RICH,
    *,
    card: CardArguments,
) -> None:
    """Show what a network's first layer does: kernels, spectra, responses, and selectivity for gratings.

    Writes pictures, and all numbers as numbers.json, into a folder. docs/inspect.md explains them. Not for ONNX files
    and functions, whose layers torch does not see.
    """
    _check_figure(figure)
    from ppbench.inspection.request import InspectionRequest, inspect_networks
    from ppbench.models.card_options import parse_card_options

    request = InspectionRequest(
        model=model,
        images=tuple(images or ()),
        against=against,
        corruption=corruption,
        severity=severity,
        card_options=parse_card_options(**vars(card)),
        filters=_filters(filters),
        draws=draws,
        seed=seed,
    )
    report = inspect_networks(request, output.stdout_for_data)
    folder = output_folder or Path(f"inspect-{_file_name(report.inspection.name)}")
    _write(folder, report, figure)
    output.show(report, format, indent=1)
    if not report.inspection.images:
        output.say("no responses are drawn: name image files after the model")
    output.say(f"pictures and numbers.json are in {folder}")


def _check_figure(figure: str) -> None:
    if figure not in ("png", "svg"):
        raise UsageError(f"--figure {figure} is not allowed", "It is png or svg.")
    import_extra("matplotlib", "plots", "`ppbench inspect`")


def _filters(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--filters {text} is not allowed", "Give numbers with commas between: 0,3,7.") from None


def _write(folder: Path, report: InspectionReport, figure: str) -> None:
    from ppbench.files import atomic_write
    from ppbench.inspection.figures import figure_files

    for name, content in figure_files(report.inspection, report.against, figure).items():
        atomic_write(folder / f"{name}.{figure}", content, _FOLDER)
    atomic_write(folder / "numbers.json", to_json(report.as_dict(), indent=1) + "\n", _FOLDER)


def _file_name(name: str) -> str:
    """Turn the name of a model into a file name."""
    return "".join(c if c.isalnum() or c in "-_.@" else "-" for c in name)
