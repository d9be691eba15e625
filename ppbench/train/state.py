"""The state of an unfinished training run in the folder ``<output>.part``, and whether it may be continued."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from ppbench.errors import DataError, UsageError
from ppbench.files import atomic_write, read_text
from ppbench.parsing import parse_json
from ppbench.train.processes import raise_together
from ppbench.train.recipe import TrainRecipe


class PartFolder:
    """Holds ``last.ckpt``, Lightning's state after every epoch, and ``run.json``, which identifies the run.

    Both are written with the first state: a run that failed in its first epoch leaves nothing that could block the next
    one.

    Args:
        output: The checkpoint that the finished run will write.
        recipe: Settings of the run.
        fingerprint: Hash of the training data.
        initial: Hash of the weights that the run starts from; None: random weights.
    """

    def __init__(self, output: Path, recipe: TrainRecipe, fingerprint: str, initial: str | None) -> None:
        self.path = output.with_name(f"{output.name}.part")
        self.note, self.state = self.path / "run.json", self.path / "last.ckpt"
        self._run = {"recipe": recipe.model_dump(), "data": fingerprint, "initial": initial}

    def resume_point(self, *, first: bool) -> Path | None:
        """Return the state from which to resume, or None for a new run.

        Args:
            first: Whether this is the first of the processes that train together; only the first checks the folder.

        Raises:
            UsageError: If the folder belongs to a run with other settings or data, or is not ppbench's. Nothing is
                deleted.
        """
        if first and self.path.exists() and not self._is_without_state():
            self._check_same()
        return self.state if self.state.is_file() else None

    def write_note(self) -> None:
        """Write which run the next state belongs to.

        Raises:
            DataError: If it cannot be written.
        """
        atomic_write(self.note, json.dumps(self._run, indent=1))

    def remove(self) -> None:
        """Delete the run's files, half-written ones included, and the folder if it is then empty."""
        for path in (self.state, self.note, *self._half_written()):
            path.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _half_written(self) -> list[Path]:
        return [path for file in (self.state, self.note) for path in self.path.glob(f".{file.name}.*")]

    def _is_without_state(self) -> bool:
        """Whether it is a folder without a state and without files of anybody else."""
        return self.path.is_dir() and not set(self.path.iterdir()) - {self.note, *self._half_written()}

    def _check_same(self) -> None:
        try:
            there = parse_json(read_text(self.note))
            # Validating adds the defaults of settings that are newer than the file.
            there["recipe"] = TrainRecipe.model_validate(there["recipe"]).model_dump()
        except (OSError, ValueError, TypeError, KeyError):
            there = None
        if there != self._run:
            whose = "the unfinished run of another recipe or of other data" if there else "something else"
            raise UsageError(
                f"{self.path} holds {whose}",
                f"To start over, delete it: `rm -r {self.path}`. Or choose another output.",
            )


class StateFiles(TorchCheckpointIO):
    """Lightning's state on the disk: written atomically, and read without running anything that it names.

    Args:
        part: The folder of the state.
    """

    def __init__(self, part: PartFolder) -> None:
        super().__init__()
        self.part = part
        self.error: DataError | None = None
        """Why the last state could not be written."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the state; the previous one stays until the new one is complete.

        Only the first process gets here, while the others wait for it. Therefore an error, such as a full disk, is
        kept in ``error`` and raised later in all processes together.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            self.part.write_note()
            atomic_write(Path(path), buffer.getvalue())
        except DataError as error:
            self.error = error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read the state, tensors on the CPU.

        Raises:
            DataError: If the file is damaged or of another kind.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle may raise anything
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise DataError(
                f"cannot resume from {path} ({reason})", f"Delete {Path(path).parent} to start over."
            ) from error
        return state


class KeepState(Checkpoint):
    """Writes the state at the end of every epoch, after a check that the run has not diverged.

    Args:
        files: Writes the state.
    """

    def __init__(self, files: StateFiles) -> None:
        self.files = files

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Write the state, unless the run has diverged; then it stops here, with the state of the previous epoch.

        Raises:
            DataError: If the state cannot be written.
        """
        module.check_finite(weights=True)
        trainer.save_checkpoint(self.files.part.state)
        raise_together(self.files.error)
