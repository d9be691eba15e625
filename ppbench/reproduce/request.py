"""A request to reproduce a table, and the steps from there to its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ppbench.errors import DataError, PpbenchError
from ppbench.extras import import_extra
from ppbench.files import check_writable
from ppbench.reproduce.networks import Given, TrainedRow, find_networks
from ppbench.reproduce.table import Row, Table

if TYPE_CHECKING:
    from ppbench.evaluation.request import EvalRequest
    from ppbench.reproduce.figures import Results, SeedRun
    from ppbench.reproduce.measuring import EvaluationProgress


@dataclass(frozen=True)
class ReproduceRequest:
    """The wanted rows of a table, with the seeds and the folder of their networks."""

    table: Table
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    work: Path
    """Folder of the checkpoints and the runs."""
    given: Mapping[str, Sequence[Path]]
    """Checkpoints of the user, by row."""

    @property
    def runs(self) -> Path:
        """Folder of the run files."""
        return self.work / "runs"

    def networks(self) -> list[TrainedRow]:
        """Look up the networks of all rows and seeds. Another process may have trained some since the last call."""
        return find_networks(self.table, self.rows, self.seeds, self.work, self.given)

    def baseline(self) -> list[TrainedRow]:
        """Return the finished networks of the baseline, if its row was not asked for.

        R_net and differences need them. Those that are missing are left alone: another process may be training them.
        """
        if any(row.id == self.table.baseline for row in self.rows):
            return []
        row = self.table.row(self.table.baseline)
        found = find_networks(self.table, [row], self.seeds, self.work, self.given)
        return [network for network in found if network.action == "take"]

    def check(self, data: Path | None, asked: EvalRequest, missing: Sequence[TrainedRow]) -> None:
        """Refuse a request that would fail after hours of work.

        Args:
            data: Folder of the training data.
            asked: The evaluation.
            missing: Networks to train.

        Raises:
            UsageError: If a value of the evaluation is not allowed, or the baseline has another recipe.
            DataError: If images are missing, or nothing can be written.
        """
        from ppbench.evaluation.plan import open_images

        # Raises if a network of the baseline was trained with another recipe.
        self.baseline()
        if missing:
            dataset = self.table.training.dataset
            hint = f"`--data DIR`, the folder that `ppbench train --dataset {dataset} --data DIR` takes."
            if data is None:
                named = ", ".join(network.name for network in missing[:4]) + (", …" if len(missing) > 4 else "")
                raise DataError(
                    f"no --data to train {named}", f"{hint}\nOr `--no-train` for the table of networks that exist."
                )
            if not data.is_dir():
                raise DataError(f"there is no folder {data}", hint)
            import_extra("lightning", "train", "training")
            check_writable(self.runs / "run.json")
        open_images(asked, [])

    def measure(
        self,
        asked: EvalRequest,
        failures: Mapping[str, PpbenchError],
        confidence: float,
        *,
        say: Callable[[str], None],
        progress: EvaluationProgress,
    ) -> Results:
        """Evaluate the networks that exist, and compute the figures of the table.

        Args:
            asked: The evaluation.
            failures: Errors of the trainings that failed, by network.
            confidence: Level of the intervals, such as 0.95.
            say: Receives messages.
            progress: Shows the progress of the evaluation.

        Raises:
            As `ppbench.reproduce.measuring.evaluate_networks`.
        """
        from ppbench.reproduce.figures import compute
        from ppbench.reproduce.measuring import evaluate_networks

        there = [network for network in self.networks() if network.action == "take"]
        baseline = self.baseline()
        found: dict[str, SeedRun] = {}
        if there or baseline:
            found = evaluate_networks(there, baseline, asked, self.runs, say=say, progress=progress)
        measured: dict[str, list[SeedRun]] = {}
        given: dict[str, list[Given]] = {}
        for network in (*baseline, *there):
            if network.name in found:
                measured.setdefault(network.row.id, []).append(found[network.name])
            if network.given is not None:
                given.setdefault(network.row.id, []).append(network.given)
        shown = {row.id for row in self.rows} | ({self.table.baseline} if baseline else set())
        return compute(
            self.table,
            [row for row in self.table.rows if row.id in shown],
            measured,
            # Names are ROW-SEED, and the id of a row may have dashes itself.
            {row.id: {n: e for n, e in failures.items() if n.rpartition("-")[0] == row.id} for row in self.rows},
            confidence,
            given,
        )
