"""How long training and evaluating a table takes, reckoned from published throughputs. Free of torch.

A training step costs three forward passes (backward is twice forward: Kaplan et al., arXiv 2001.08361, section 2.1), so
from the images per second at which a machine trains one network follows what it does with another, by multiply-
accumulates, and how fast it evaluates. Reading and augmenting images are taken to keep up.
"""

from __future__ import annotations

from typing import NamedTuple

from ppbench.errors import UsageError
from ppbench.lookup import check_name
from ppbench.reproduce.macs import macs

TRAINING_OVER_FORWARD = 3
JSD_VIEWS = 3
"""Images per image where the Jensen-Shannon loss is on: Hendrycks et al., AugMix, ICLR 2020."""

_NVIDIA = "README of NVIDIA/DeepLearningExamples, PyTorch ResNet50 v1.5, measured with the container 21.03"


class Machine(NamedTuple):
    """How fast a machine trains a network whose cost is known."""

    name: str
    description: str
    model: str
    size: int
    """Side of the images, in pixels."""
    one: float
    """Images per second in training, one device."""
    eight: float | None
    """Of eight devices; None: not known."""
    source: str
    device: str = "GPU"
    """What one of its devices is."""

    def seconds(self, forward_macs: float, devices: int) -> float | None:
        """Time for so many multiply-accumulates of forward passes, were they those of training; None: not known."""
        images = self.one if devices == 1 else self.eight
        if images is None:
            return None
        channels = 1 if self.size == 28 else 3
        return forward_macs / (images * macs(self.model, self.size, in_channels=channels))


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("a100", "A100 80 GB, mixed precision", "resnet50", 224, 2470, 16621, _NVIDIA),
        Machine("a100-tf32", "A100 80 GB, TF32", "resnet50", 224, 938, 7248, _NVIDIA),
        Machine("v100", "V100 16 GB, mixed precision", "resnet50", 224, 1200, 8322, _NVIDIA),
        Machine("v100-fp32", "V100 16 GB, fp32", "resnet50", 224, 367, 2855, _NVIDIA),
        Machine(
            "cpu-core", "one core of a server CPU, fp32", "resnet8", 28, 1050, None,
            "`ppbench train --model resnet8` on one core, 57 s an epoch of 60,000 images of 28 px",
            "core",
        ),
    )
}  # fmt: skip
"""By the name that ``--gpu`` takes."""

_SCALING = MACHINES["a100"].eight / MACHINES["a100"].one  # type: ignore[operator]
"""What eight devices do more than one, where only one was measured: NVIDIA's figure."""


class Work(NamedTuple):
    """What is to be done for one network."""

    model: str
    size: int
    """Side of the images, in pixels."""
    in_channels: int
    epochs: int
    """0 if the network is trained already."""
    training_images: int
    views: int
    """Images per training image: `JSD_VIEWS` with that loss, else 1."""
    evaluated: int
    """Images x cells."""


class Hours(NamedTuple):
    """Of one network, on one device and on eight (None: not known)."""

    training: tuple[float | None, float | None]
    evaluation: tuple[float | None, float | None]


def choose_machine(name: str, images_per_second: float | None, model: str, size: int) -> Machine:
    """The machine to reckon with.

    Args:
        name: Of `MACHINES`.
        images_per_second: At which one device trains ``model`` on images of ``size``; None: the machine's own figure.
        model: Network.
        size: Side of the images, in pixels.

    Raises:
        UsageError: If there is no such machine, or the throughput is not above 0.
    """
    check_name("machine", name, MACHINES, "ppbench reproduce --help")
    if images_per_second is None:
        return MACHINES[name]
    if not 0 < images_per_second < float("inf"):
        raise UsageError(
            f"--images-per-second {images_per_second:g} is not allowed", f"It is the speed at which {model} trains."
        )
    one, eight = images_per_second, images_per_second * _SCALING
    return Machine("given", f"{model} at {one:g} images/s", model, size, one, eight, "--images-per-second")


def hours(work: Work, machine: Machine) -> Hours:
    """What the work takes."""
    forward = macs(work.model, work.size, in_channels=work.in_channels)
    trained = forward * work.epochs * work.training_images * work.views
    evaluated = forward * work.evaluated / TRAINING_OVER_FORWARD
    return Hours(_both(machine, trained), _both(machine, evaluated))


def _both(machine: Machine, forward_macs: float) -> tuple[float | None, float | None]:
    one, eight = (machine.seconds(forward_macs, devices) for devices in (1, 8))
    return (None if one is None else one / 3600, None if eight is None else eight / 3600)
