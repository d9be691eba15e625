"""Processes that train together: their launcher, how one failure ends all of them, and signals.

Lightning guesses the launcher from dozens of environment variables, some of which every process of a Slurm job has.
Here it is Lightning itself (started by ppbench), torchrun or srun.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.callbacks import Callback
from torch import distributed

from ppbench.errors import PpbenchError, UsageError
from ppbench.launch import Launch, environment_number, launched
from ppbench.lookup import counted


def environment_for(devices: int) -> ClusterEnvironment:
    """Return Lightning's description of this process and of the ``devices`` that train together.

    Raises:
        UsageError: If a launcher has started another number of processes.
    """
    launch, tasks = launched(), _tasks_of_srun()
    if launch is not None:
        _check_number(launch.size, devices)
        return _Launched(launch)
    if tasks > 1:
        _check_number(tasks, devices)
        return SLURMEnvironment(auto_requeue=False)
    if environment_number("RANK") is not None and environment_number("WORLD_SIZE") == 1:  # torchrun with one process
        _check_number(1, devices)
    return LightningEnvironment()


def own_rank() -> int:
    """Return the rank of this process among the processes that train together; rank 0 prints and writes.

    Raises:
        UsageError: If the environment contradicts itself.
    """
    launch = launched()
    if launch is not None:
        return launch.rank
    return environment_number("SLURM_PROCID" if _tasks_of_srun() > 1 else "LOCAL_RANK") or 0


class _Launched(TorchElasticEnvironment):
    """The environment that torchrun sets, or a user by hand; the user may leave out the local rank."""

    def __init__(self, launch: Launch) -> None:
        super().__init__()
        self._local_rank = launch.local_rank

    def local_rank(self) -> int:
        return self._local_rank


def _tasks_of_srun() -> int:
    """Return the number of processes that srun started; a job's other variables only say how many it may start."""
    return environment_number("SLURM_STEP_NUM_TASKS") or 1


def _check_number(started: int, devices: int) -> None:
    if started != devices:
        raise UsageError(
            f"--devices {devices} is not allowed: the launcher has started {counted(started, 'process', 'processes')}",
            f"Give `--devices {started}`; or start one process without a launcher, and ppbench starts the others.",
        )


def several_processes() -> bool:
    """Whether this process trains together with others."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def raise_together(error: PpbenchError | None) -> None:
    """Stop all processes if one of them has an error. All of them must call this at the same point.

    If one process stopped alone, the others would wait for it until the connection times out.

    Args:
        error: The error of this process, if it has one.

    Raises:
        PpbenchError: In the first process, or the only one: the error of the first process that has one.
        SystemExit: In the others, with its exit code, so that the error is printed once.
    """
    if not several_processes():
        met: list[PpbenchError | None] = [error]
    else:
        met = [None] * distributed.get_world_size()
        distributed.all_gather_object(met, error)
    first = next((one for one in met if one is not None), None)
    if first is None:
        return
    if several_processes() and distributed.get_rank() > 0:
        raise SystemExit(first.exit_code)
    raise first


class Interrupts(Callback):
    """A context that turns Ctrl-C or SIGTERM into a KeyboardInterrupt at the next batch, and a second one at once.

    It waits for the next batch because Python would print and then ignore an interrupt that arrives while the workers
    of a loader end, once per epoch. Lightning's own handler exits with code 1 and leaves the signal ignored.
    """

    def __init__(self) -> None:
        self.caught = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.caught and kind is not None and issubclass(kind, SystemExit | RuntimeError):
            # The same signal ended another process or a loader, which causes one of these errors here.
            raise KeyboardInterrupt from None
        if self.caught and kind is None:
            raise KeyboardInterrupt

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Take SIGTERM back from Lightning, which would wait for the other processes inside the handler."""
        if self._before:
            signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        """Raise a caught interrupt."""
        self._raise_if_caught()

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Any, index: int, loader: int = 0) -> None:
        """Raise a caught interrupt."""
        self._raise_if_caught()

    def _raise_if_caught(self) -> None:
        if self.caught:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        if self.caught:
            raise KeyboardInterrupt
        self.caught = True


def ignore_interrupts() -> None:
    """Ignore signals in a loader's worker process: its parent ends it, with a second SIGTERM if necessary."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(signal.SIGTERM, signal.SIG_DFL))
