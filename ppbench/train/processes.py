"""How the processes that train together were started: by Lightning, which is by us, by torchrun, or by srun.

Lightning guesses it from dozens of variables, of which some stand in the environment of every process of a Slurm job.
"""

from __future__ import annotations

from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment

from ppbench.errors import UsageError
from ppbench.launch import Launch, environment_number, launched


def environment_for(devices: int) -> ClusterEnvironment:
    """Where this process stands among ``devices`` that train together.

    Raises:
        UsageError: If a launcher has started another number of processes.
    """
    launch, tasks = launched(), _tasks_of_srun()
    if launch is not None:
        _check(launch.size, devices)
        return _Launched(launch)
    if tasks > 1:
        _check(tasks, devices)
        return SLURMEnvironment(auto_requeue=False)
    if environment_number("RANK") is not None and environment_number("WORLD_SIZE") == 1:  # torchrun with one process
        _check(1, devices)
    return LightningEnvironment()


def own_rank() -> int:
    """Of this process among those that train together; 0 is the one that talks and writes.

    Raises:
        UsageError: If the environment contradicts itself.
    """
    launch = launched()
    if launch is not None:
        return launch.rank
    return environment_number("SLURM_PROCID" if _tasks_of_srun() > 1 else "LOCAL_RANK") or 0


class _Launched(TorchElasticEnvironment):
    """As torchrun sets it, or somebody by hand, who may leave the local rank out."""

    def __init__(self, launch: Launch) -> None:
        super().__init__()
        self._local_rank = launch.local_rank

    def local_rank(self) -> int:
        return self._local_rank


def _tasks_of_srun() -> int:
    """Processes that srun has started together with this one; a job's other variables say what it may start."""
    return environment_number("SLURM_STEP_NUM_TASKS") or 1


def _check(started: int, devices: int) -> None:
    if started != devices:
        raise UsageError(
            f"--devices {devices} is not allowed: the launcher has started {started} process(es)",
            f"`--devices {started}`; or start one without a launcher, and ppbench starts the others.",
        )
