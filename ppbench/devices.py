"""Devices to compute on, and the precision of the computation."""

from __future__ import annotations

import platform
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import nn

from ppbench.errors import UsageError
from ppbench.lookup import check_name

PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
"""float32; float32 with products rounded to TF32, on NVIDIA's GPUs; bfloat16 and float16 by torch's autocast."""

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; "auto" is the GPU if there is one, otherwise the CPU.

    Raises:
        UsageError: If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):
            raise RuntimeError("ppbench computes on cpu and cuda")
        # A device may have a name and still be missing; only using it shows that.
        torch.empty(1, device=device)
    # An AssertionError is what torch raises if it was built without CUDA.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"--device {name} cannot be used here ({str(error).splitlines()[0]})",
            f"This machine has: {', '.join(available_devices())}. `ppbench doctor` says more.",
        ) from error
    return device


def check_precision(name: str, device: torch.device) -> None:
    """Make sure that the device can compute in the precision ``name``, one of `PRECISIONS`.

    Raises:
        UsageError: If there is no such precision, or this device does not have it.
    """
    check_name("precision", name, PRECISIONS, "ppbench eval --help")
    if name == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device)[0] < 8):
        raise UsageError(
            f"--precision tf32 is not for {describe_device(device)}",
            "It needs an NVIDIA GPU, Ampere or newer: use fp32.",
        )


@contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Compute a network's layers in a precision. Only the network runs in it, since corruptions need float32."""
    if precision in _HALF:
        with torch.autocast(device.type, _HALF[precision]):
            yield
    elif precision == "tf32":
        backends: Any = torch.backends
        switches = (backends.cuda.matmul, backends.cudnn.conv)
        for switch in switches:
            switch.fp32_precision = "tf32"
        try:
            yield
        finally:
            for switch in switches:
                switch.fp32_precision = "ieee"
    else:
        yield


def available_devices() -> list[str]:
    """Names for ``--device`` that work on this machine."""
    return ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]


def describe_device(device: torch.device) -> str:
    """Name the hardware, for the run file: the GPU's name, or the processor and the threads used."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.get_num_threads()} threads"


def random_states(device: torch.device) -> tuple[Any, ...]:
    """Return the states of the random numbers that code shares: Python's, numpy's and torch's, as equal if unchanged.

    On a GPU this does not wait for the device.
    """
    words: Any
    _, words, *rest = np.random.get_state()  # noqa: NPY002 - the state that others use
    of_torch = [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
    return (random.getstate(), words.tobytes(), *rest, *(bytes(state.numpy()) for state in of_torch))


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in float32. By default torch lets GPUs round convolutions to TF32, which has 10 bits of mantissa.

    torch has old switches and new ones. The new switches can always be read. The old ones raise an error when read if
    they contradict the new ones. Therefore both are turned off, and the new ones last: turning off an old switch makes
    the new ones inherit its setting.
    """
    backends: Any = torch.backends
    cuda, cudnn, cpu = backends.cuda, backends.cudnn, backends.mkldnn
    switches = (cuda.matmul, cudnn.conv, cudnn.rnn, cpu.matmul, cpu.conv, cpu.rnn)
    before = [switch.fp32_precision for switch in switches]
    of_products, of_cudnn = _old_switches()
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False
    for switch in switches:
        switch.fp32_precision = "ieee"
    try:
        yield
    finally:
        if of_products is not None:
            torch.set_float32_matmul_precision(of_products)
        if of_cudnn is not None:
            cudnn.allow_tf32 = of_cudnn
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


def _old_switches() -> tuple[str | None, bool | None]:
    """Return the old switches of matrix products and of cuDNN; None for one that contradicts the new ones."""
    matmul, cudnn = None, None
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        cudnn = torch.backends.cudnn.allow_tf32
    return matmul, cudnn


# From torch's allocator on CPUs, from cuDNN and cuBLAS, and from CUDA.
_OUT_OF_MEMORY = ("can't allocate memory", "ALLOC_FAILED", "out of memory")


def in_channels_last(network: nn.Module) -> nn.Module:
    """Return the network itself, after its weights with four axes got the layout that its images have.

    `torch.nn.Module.to` does the same, but fails for networks that also have weights with five axes.
    """
    return network._apply(lambda t: t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t)


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error of torch means that the device's memory is full, whichever library noticed it."""
    known = isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)
    return isinstance(error, RuntimeError) and known


_COMPILERS = ("torch._dynamo", "torch._inductor", "triton")


def why_not_compiled(error: Exception) -> str | None:
    """Return in one line why torch.compile failed; None for other errors, also if memory was too small to compile."""
    if is_out_of_memory(error) or not type(error).__module__.startswith(_COMPILERS):
        return None
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
