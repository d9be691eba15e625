"""From a request to a plan: which networks a table needs, and which of them exist. Nothing is trained yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ppbench.errors import DataError
from ppbench.extras import import_extra
from ppbench.files import check_writable
from ppbench.reproduce.networks import TrainedRow, find_networks
from ppbench.reproduce.request import ReproduceRequest


@dataclass(frozen=True)
class ReproducePlan:
    """The networks of a request, as they were found."""

    request: ReproduceRequest
    networks: tuple[TrainedRow, ...]

    @property
    def to_train(self) -> list[TrainedRow]:
        """The networks to train or to resume."""
        return [network for network in self.networks if self.request.train and network.action != "take"]

    def finished(self) -> list[TrainedRow]:
        """Return the networks that exist by now: another process may have trained some since the plan was made."""
        return [network for network in _networks(self.request) if network.action == "take"]

    def baseline(self) -> list[TrainedRow]:
        """Return the finished networks of the baseline, if its row was not asked for.

        R_net and differences need them. Those that are missing are left alone: another process may be training them.
        """
        table, request = self.request.table, self.request
        if any(row.id == table.baseline for row in request.rows):
            return []
        found = find_networks(table, [table.row(table.baseline)], request.seeds, request.work, request.given)
        return [network for network in found if network.action == "take"]

    def check(self) -> None:
        """Refuse a plan that would fail after hours of work.

        Raises:
            UsageError: If a value of the evaluation is not allowed, or the baseline has another recipe.
            DataError: If images are missing, or nothing can be written.
        """
        from ppbench.evaluation.plan import open_images

        # Raises if a network of the baseline was trained with another recipe.
        self.baseline()
        if missing := self.to_train:
            self._check_training(self.request.data, missing)
        open_images(self.request.evaluation(), [])

    def _check_training(self, data: Path | None, missing: list[TrainedRow]) -> None:
        dataset = self.request.table.training.dataset
        hint = f"`--data DIR`, the folder that `ppbench train --dataset {dataset} --data DIR` takes."
        if data is None:
            named = ", ".join(network.name for network in missing[:4]) + (", …" if len(missing) > 4 else "")
            raise DataError(
                f"no --data to train {named}", f"{hint}\nOr `--no-train` for the table of networks that exist."
            )
        if not data.is_dir():
            raise DataError(f"there is no folder {data}", hint)
        import_extra("lightning", "train", "training")
        check_writable(self.request.runs / "run.json")


def plan_table(request: ReproduceRequest) -> ReproducePlan:
    """Look up the networks of all rows and seeds of a request.

    Raises:
        UsageError: If a value is not allowed, a checkpoint has another architecture, or one in the folder of the
            request was trained with another recipe.
        DataError: If a checkpoint cannot be read.
    """
    request.check()
    return ReproducePlan(request, tuple(_networks(request)))


def _networks(request: ReproduceRequest) -> list[TrainedRow]:
    return find_networks(request.table, request.rows, request.seeds, request.work, request.given)
