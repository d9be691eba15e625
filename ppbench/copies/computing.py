"""The device, the number of processes and the batch size of a job. Only the device can change bytes."""

from __future__ import annotations

import ctypes
import sys

from ppbench.corruptions.backends import BACKENDS
from ppbench.errors import UsageError
from ppbench.pool import usable_cores

_STARTING_PAYS = 4000 * 224 * 224
"""Fewest pixels to make for which worker processes are worth it: they take seconds to start."""

_MOST_ON_A_GPU = 8
"""Most worker processes by default if each needs some of a GPU's memory."""


def device_for(name: str, backend: str, before: str | None) -> str:
    """Choose the device to compute on.

    Args:
        name: The requested device; "auto" keeps to the CPU if the folder was begun on it.
        backend: The backend that makes the images.
        before: The device that the folder was begun on; None for a new one.
    """
    if not BACKENDS[backend].on_device:
        if name not in ("auto", "cpu"):
            raise UsageError(f"--device {name} is not for --backend {backend}", "It computes only on the CPU.")
        return "cpu"
    if name == "cpu" or (name == "auto" and (before == "cpu" or not _has_cuda_driver())):
        return "cpu"
    from ppbench.devices import choose_device

    return str(choose_device(name))


def _has_cuda_driver() -> bool:
    """Whether there can be a GPU: loading torch to look for one takes seconds."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def workers_for(pixels: int, backend: str, device: str) -> int:
    """Worker processes: one per core, or none where starting them would take longer than making the pixels."""
    if pixels < _STARTING_PAYS and not BACKENDS[backend].is_slow:
        return 0
    cores = usable_cores()
    return cores if device == "cpu" else min(cores, _MOST_ON_A_GPU)


def most_values(device: str) -> int:
    """Most values of images that are corrupted in one call: a batch of mixed sizes is split if it has more."""
    # As much as the engine takes at once (`ppbench.corruptions.apply`), which would split a larger batch.
    return 2 ** (18 if device == "cpu" else 25)


def files_at_a_time(images: int, values: int, device: str, workers: int) -> int:
    """Image files in a batch: enough to make calls cheap, few enough for all workers.

    Args:
        images: Number of all images.
        values: Values per image.
        device: Device that corrupts them.
        workers: Processes.
    """
    fair = -(-images // (4 * max(1, workers)))  # four batches per worker, so that all finish at about the same time
    return max(1, min(64, most_values(device) // values, fair))


def array_images_at_a_time(images: int, values: int, device: str) -> int:
    """Images of an array in a batch: a sixteenth of all at most, so that an interruption loses little."""
    # Larger batches than of files on the CPU, since each is flushed to the disk at its end.
    return max(1, min(2 ** (21 if device == "cpu" else 25) // values, -(-images // 16)))
