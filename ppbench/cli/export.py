"""``ppbench export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.options import CardArguments, NetworkArgument, expanded


@expanded
@page(
    "Export a torch network as an ONNX file.",
    first=("--output", "--pixels", "--batch-size", "--opset"),
    examples=(
        "ppbench export fashion-mnist-resnet8-pp3 -o net.onnx",
        "ppbench export torchvision:resnet50 --pixels --batch-size 1",
    ),
)
def export_command(
    model: NetworkArgument,
    output_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.onnx", help="File to write.", show_default="MODEL.onnx"),
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="Let the network take uint8 pixels (N, H, W, C) and normalise them itself."),
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option(help="Number of images that the network takes at once.", show_default="any")
    ] = None,
    opset: Annotated[int | None, typer.Option(help="Version of ONNX's operators.", show_default="torch's own")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    *,
    card: CardArguments,
) -> None:
    """Export a torch network as one ONNX file, push-pull included, with its card in the metadata.

    The file is kept only if onnxruntime gives the logits that torch gives, on 16 images. `ppbench eval --model
    FILE.onnx` measures it.
    """
    from ppbench.cli.loading import downloading
    from ppbench.models.card_options import parse_card_options
    from ppbench.models.export import ExportRequest, export_network

    request = ExportRequest(
        model=model,
        output=output_file,
        card_options=parse_card_options(**vars(card)),
        opset=opset,
        pixels=pixels,
        batch_size=batch_size,
        overwrite=overwrite,
    )
    with downloading() as on_download, output.stdout_for_data():  # torch's exporter, and the user's code, may print
        report = export_network(request, on_download)
    output.text(report.text())
