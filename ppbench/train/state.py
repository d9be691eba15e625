"""The state of an unfinished training run: the folder ``<output>.part``, and whether it may be continued."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ppbench.errors import DataError, UsageError
from ppbench.files import atomic_write
from ppbench.train.recipe import TrainRecipe


class PartFolder:
    """Holds ``last.ckpt``, written by Lightning after every epoch, and ``run.json``, which says of which run it is.

    Args:
        output: The checkpoint that the finished run will write.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f"{output.name}.part")
        self.note, self.state = self.path / "run.json", self.path / "last.ckpt"

    def resume_point(self, recipe: TrainRecipe, fingerprint: str) -> Path | None:
        """The state to go on from, or None for a run that begins.

        Args:
            recipe: Settings of the run.
            fingerprint: Hash of the training data.

        Raises:
            UsageError: If the folder is of a run with other settings or data, or is not ppbench's: nothing is deleted.
            DataError: If it cannot be written.
        """
        wanted = {"recipe": recipe.model_dump(), "data": fingerprint}
        if self.path.exists():
            self._check_same(wanted)
            return self.state if self.state.is_file() else None
        atomic_write(self.note, json.dumps(wanted, indent=1))
        return None

    def unreadable(self, error: Exception) -> DataError:
        """The error to raise if the state turns out to be damaged."""
        reason = " ".join(str(error).split())[:160]
        return DataError(f"cannot go on from {self.state} ({reason})", f"Delete {self.path} to start anew.")

    def remove(self) -> None:
        """Delete what the run wrote; the folder goes too unless it holds more."""
        for path in (self.state, self.note):
            path.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _check_same(self, wanted: Mapping[str, object]) -> None:
        try:
            there = json.loads(self.note.read_text())
        except (OSError, ValueError):
            there = None
        if there != wanted:
            whose = "the unfinished run of another recipe or other data" if there else "something else"
            raise UsageError(
                f"{self.path} holds {whose}", f"Give another --output, or delete it to start anew: `rm -r {self.path}`"
            )
