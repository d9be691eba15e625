"""What a part is given: the device, how much to do, how long it may take; and ways to measure.

torch is imported where it is used, so that the watchdog's tests need none.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.bench.record import machine

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@dataclass
class Context:
    """How a part is to be done."""

    device: torch.device
    quick: bool
    full: bool
    """Whether there is more time than usual."""
    until: float
    """Moment of `time.monotonic` at which the part ends by itself."""
    folder: Path
    """For files; the parts of one run share it."""
    was_late: bool = False
    """Whether the part left something out because its time was up."""

    @property
    def is_card(self) -> bool:
        """Whether there is a GPU."""
        return self.device.type == "cuda"

    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.monotonic()

    def has_time(self, seconds: float = 0.0) -> bool:
        """Whether so many seconds are left; if not, the part counts as not finished."""
        if self.left() > seconds:
            return True
        self.was_late = True
        return False

    def choose(self, quick: T, usual: T, full: T | None = None) -> T:
        """One of two or three amounts of work; without a third one, ``usual`` is the most."""
        if self.quick:
            return quick
        return usual if full is None or not self.full else full

    def wait(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.is_card:
            import torch

            torch.cuda.synchronize(self.device)

    def tidy(self) -> None:
        """Give back the device's memory."""
        if self.is_card:
            import torch

            torch.cuda.empty_cache()

    def seconds(self, work: Callable[[], object]) -> float:
        """Wall time of one call, until the device has done it."""
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def times(self, work: Callable[[], object], *, warm: int = 2, repeats: int = 7, most: float = 3.0) -> list[float]:
        """Wall times of several calls after some to warm up; fewer, but at least one, if they take ``most`` seconds."""
        for _ in range(1 if self.quick else warm):
            work()
        found: list[float] = []
        start = time.monotonic()
        while len(found) < self.choose(2, repeats) and (not found or time.monotonic() - start < most):
            found.append(self.seconds(work))
        return found

    def in_turn(self, works: dict[str, Callable[[], object]], rounds: int, *, warm: int = 1) -> dict[str, list[float]]:
        """Times of works that take turns, in changing order, so that a slower moment of the machine meets all."""
        found: dict[str, list[float]] = {name: [] for name in works}
        for turn in range(warm + rounds):
            for name in list(works) if turn % 2 else list(reversed(works)):
                taken = self.seconds(works[name])
                if turn >= warm:
                    found[name].append(taken)
        return found


def rate(images: int, times: Sequence[float]) -> dict[str, float]:
    """Images per second: the median, and the slowest and fastest repeat."""
    return {
        "rate": images / statistics.median(times), "slowest": images / max(times), "fastest": images / min(times),
    }  # fmt: skip


def describe(device: str) -> dict[str, Any]:
    """The device and the machine, for the record."""
    found: dict[str, Any] = {"type": device, "name": "CPU"}
    if device == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(0)
        found |= {
            "name": properties.name, "memory_gib": round(properties.total_memory / 2**30, 1),
            "capability": f"{properties.major}.{properties.minor}", "multiprocessors": properties.multi_processor_count,
            "driver": _driver(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
            "triton": _triton(),
        }  # fmt: skip
    return {"device": found, "machine": machine()}


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split("\n")[0].strip()


def _triton() -> str | None:
    try:
        import triton
    except ImportError:
        return None
    return str(triton.__version__)
