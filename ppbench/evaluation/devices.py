"""Which device to compute on."""

from __future__ import annotations

import platform

import torch

from ppbench.errors import UsageError


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" is the GPU where there is one, else the CPU.

    Raises:
        UsageError: If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("ppbench computes on cpu and cuda")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"--device {name} cannot be used here ({str(error).splitlines()[0]})",
            f"This machine has: {', '.join(available_devices())}. `ppbench doctor` says more.",
        ) from error
    return device


def available_devices() -> list[str]:
    """Names for ``--device`` that work on this machine."""
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


def describe_device(device: torch.device) -> str:
    """Name the hardware, for the run file: the GPU's name, or the processor and the threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads"
