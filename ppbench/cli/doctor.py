"""``ppbench doctor``."""

from __future__ import annotations

from collections.abc import Callable

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.errors import DataError


@page("Show versions and devices, and test the installation.", examples=("ppbench doctor",))
def doctor() -> None:
    """Show versions and devices, and test that this installation computes what it should."""
    from rich.table import Table
    from rich.text import Text

    from ppbench.tables.escapes import for_terminal

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for name, value in _facts():
        table.add_row(name, value)
    output.render(table)
    failed = 0
    for name, test in _TESTS.items():
        try:
            result, mark = test(), ("ok", "green")
        except Exception as error:  # a broken installation can raise anything, and this command reports it
            result, mark = (str(error).splitlines() or [type(error).__name__])[0], ("failed", "red")
            failed += 1
        output.render(Text.assemble(mark, f"  {name}: {for_terminal(result)}"))
    if failed:
        raise DataError(
            f"{failed} of {len(_TESTS)} self-tests failed",
            "Reinstall ppbench in a fresh environment (docs/quickstart.md).",
        )


def _facts() -> list[tuple[str, str]]:
    import platform

    import torch

    from ppbench.devices import available_devices, describe_device
    from ppbench.versions import version_of, versions_of

    packages = (
        "torch",
        "torchvision",
        "numpy",
        "pillow",
        "pydantic",
        "safetensors",
        "imagecorruptions-imaug",
    )
    devices = "; ".join(f"{name} ({describe_device(torch.device(name))})" for name in available_devices())
    return [
        ("python", f"{version_of('python')} on {platform.platform()}"),
        *versions_of("ppbench", *packages).items(),
        ("devices", devices),
    ]


def _identity() -> str:
    """Compare the push-pull layer with its definition by two convolutions."""
    import torch

    from ppbench.models.pushpull import PushPullConv2d

    layer = PushPullConv2d(3, 8, 5, padding=2, dtype=torch.float64)
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    difference = float((layer(x) - layer.by_two_convolutions(x)).abs().max().detach())
    if difference > 1e-12:
        raise DataError(f"differs from its definition by {difference:.1e}")
    return f"equals its definition within {difference:.0e}"


def _weights() -> str:
    """Load the embedded checkpoints and images."""
    from ppbench.data.arrays import embedded_images
    from ppbench.models.embedded import EMBEDDED_MODELS
    from ppbench.models.load import resolve_model

    images = embedded_images()
    cards = [resolve_model(name).card for name in EMBEDDED_MODELS]
    return f"{len(cards)} checkpoints and {len(images.ids):,} images can be read"


def _corruptions() -> str:
    """Run every corruption twice, with the same result."""
    import numpy as np

    from ppbench.corruptions.apply import corrupt
    from ppbench.vocabulary import C19

    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for number, name in enumerate(C19, 1):
        # A kernel is compiled when it is first used, once per installation; all of them take a minute.
        output.say(f"    testing corruption {number} of {len(C19)}: {name}")
        first, second = (corrupt(image, name, 3, recipe="cifar-c", ids=["doctor"]) for _ in range(2))
        if first.shape != image.shape or not np.array_equal(first, second):
            raise DataError(f"{name} is not reproducible")
    return f"all {len(C19)} run and are reproducible"


_TESTS: dict[str, Callable[[], str]] = {
    "push-pull layer": _identity,
    "embedded assets": _weights,
    "corruptions": _corruptions,
}
