"""``ppbench doctor``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from ppbench.cli import output
from ppbench.cli.help import page
from ppbench.cli.options import FormatOption
from ppbench.cli.output import Format
from ppbench.errors import DataError
from ppbench.tables.report import Rows
from ppbench.tables.sheet import Line, Sheet

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "pydantic", "safetensors", "imagecorruptions-imaug")
_OF_EXTRAS = (
    "lightning", "timm", "matplotlib", "pillow-heif", "onnxruntime", "transformers", "open-clip-torch", "pyarrow", "av",
)  # fmt: skip


class SelfTest(NamedTuple):
    """The outcome of a test of the installation."""

    name: str
    passed: bool
    finding: str
    """One line: what was found, or what went wrong."""


@dataclass(frozen=True)
class DoctorReport:
    """Versions, devices and self-tests of an installation."""

    facts: tuple[tuple[str, str], ...]
    tests: tuple[SelfTest, ...]

    @property
    def failed(self) -> int:
        """The number of self-tests that failed."""
        return sum(not test.passed for test in self.tests)

    def sheets(self) -> list[Sheet]:
        """One table of the machine, one of the tests."""
        machine = Sheet("This installation", ("what", "version"), tuple(map(Line, self.facts)), (0, 1))
        lines = tuple(
            Line((test.name, _mark(test), test.finding), tones={1: "better" if test.passed else "worse"})
            for test in self.tests
        )
        return [machine, Sheet("Self-tests", ("test", "result", "finding"), lines, (0, 1, 2))]

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, and an object for each test."""
        return {"installation": dict(self.facts), "tests": [test._asdict() for test in self.tests]}

    def rows(self) -> Rows:
        """A row for each fact, then for each test."""
        facts = [(name, "", value) for name, value in self.facts]
        return Rows(
            ("name", "result", "finding"), [*facts, *((one.name, _mark(one), one.finding) for one in self.tests)]
        )


def _mark(test: SelfTest) -> str:
    return "ok" if test.passed else "failed"


@page(
    "Show versions and devices, and test the installation.",
    examples=("ppbench doctor", "ppbench doctor --format json"),
)
def doctor(format: FormatOption = Format.RICH) -> None:
    """Show versions and devices, and test that this installation computes what it should."""
    report = DoctorReport(_facts(), tuple(_tried(name, test) for name, test in {**_TESTS, **_of_gpus()}.items()))
    output.show(report, format)
    if report.failed:
        raise DataError(
            f"{report.failed} of {len(report.tests)} self-tests failed",
            "Reinstall ppbench in a fresh environment (docs/quickstart.md).",
        )


def _tried(name: str, test: Callable[[], str]) -> SelfTest:
    try:
        return SelfTest(name, True, test())
    except Exception as error:  # a broken installation can raise anything, and this command reports it
        return SelfTest(name, False, (str(error).splitlines() or [type(error).__name__])[0])


def _facts() -> tuple[tuple[str, str], ...]:
    import platform

    import torch

    from ppbench.devices import available_devices, describe_device
    from ppbench.versions import version_of, versions_of

    devices = "; ".join(f"{name} ({describe_device(torch.device(name))})" for name in available_devices())
    return (
        ("python", f"{version_of('python')} on {platform.platform()}"),
        *versions_of("ppbench", *_PACKAGES).items(),
        *((name, version) for name, version in versions_of(*_OF_EXTRAS).items() if version != "unknown"),
        ("devices", devices),
    )


def _identity() -> str:
    """Compare the push-pull layer with its definition by two convolutions."""
    import torch

    from ppbench.models.pushpull import PushPullConv2d

    layer = PushPullConv2d(3, 8, 5, padding=2, dtype=torch.float64)
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    difference = float((layer(x) - layer.by_two_convolutions(x)).abs().max().detach())
    if difference > 1e-12:
        raise DataError(f"differs from its definition by {difference:.1e}")
    return "equals its definition within 1e-12"


def _weights() -> str:
    """Load the embedded checkpoints and images."""
    from ppbench.data.arrays import embedded_images
    from ppbench.models.embedded import EMBEDDED_MODELS
    from ppbench.models.load import resolve_model

    images = embedded_images()
    cards = [resolve_model(name).card for name in EMBEDDED_MODELS]
    return f"{len(cards)} checkpoints and {len(images.ids):,} images can be read"


def _sequences() -> str:
    """Make the last frame of every perturbation twice, with the same result."""
    import numpy as np

    from ppbench.corruptions.sequences.apply import perturb
    from ppbench.vocabulary import P4, P10

    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for number, name in enumerate((*P10, *P4), 1):
        output.say(f"    testing perturbation {number} of {len(P10 + P4)}: {name}")
        first, second = (perturb(image, name, recipe="cifar-p", ids=["doctor"], frames=[15]) for _ in range(2))
        if first.shape != (1, *image.shape) or not np.array_equal(first, second):
            raise DataError(f"{name} is not reproducible")
    return f"all {len(P10 + P4)} run and are reproducible"


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
    "perturbation sequences": _sequences,
}


def _of_gpus() -> dict[str, Callable[[], str]]:
    from ppbench.devices import available_devices

    return {f"corruptions on {name}": partial(compare_with_cpu, name) for name in available_devices()[1:]}


def compare_with_cpu(name: str) -> str:
    """Make every corruption on a device and on the CPU; return what differs, and what makes them fast there.

    Args:
        name: The device.

    Raises:
        DataError: If a value differs by more than a level.
    """
    import numpy as np
    import torch

    from ppbench.corruptions.apply import corrupt
    from ppbench.corruptions.fused import graphs, triton_works
    from ppbench.vocabulary import C19

    device = torch.device(name)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), np.uint8))
    for corruption in C19:
        made = (corrupt(x, corruption, 3, recipe="cifar-c", ids=["a", "b"]) for x in (images, images.to(device)))
        here, there = (x.cpu().int() for x in made)
        if (levels := int((here - there).abs().max())) > 1:
            raise DataError(f"{corruption} differs from the CPU's by {levels} levels")
    output.say(f"    testing whether torch.compile works on {name}")
    reason = graphs.why_not(device)
    compiles = "torch.compile works" if reason is None else f"torch.compile does not work ({reason})"
    kernels = "Triton works" if triton_works() else "Triton does not work"
    return f"all {len(C19)} are the CPU's within a level; {kernels}; {compiles}"
