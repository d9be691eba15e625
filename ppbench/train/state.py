"""The state of an unfinished training run: the folder ``<output>.part``, and whether it may be continued."""

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
    """Holds ``last.ckpt``, Lightning's state after every epoch, and ``run.json``, which says of which run it is.

    Both appear with the first state, so that a run that failed in its first epoch leaves nothing in the way of the
    next one.

    Args:
        output: The checkpoint that the finished run will write.
        recipe: Settings of the run.
        fingerprint: Hash of the training data.
        initial: Hash of the weights that the run begins with; None: random ones.
    """

    def __init__(self, output: Path, recipe: TrainRecipe, fingerprint: str, initial: str | None) -> None:
        self.path = output.with_name(f"{output.name}.part")
        self.note, self.state = self.path / "run.json", self.path / "last.ckpt"
        self._run = {"recipe": recipe.model_dump(), "data": fingerprint, "initial": initial}

    def resume_point(self, *, first: bool) -> Path | None:
        """The state to go on from, or None for a run that begins.

        Args:
            first: Whether this process is the first of those that train together, which alone looks.

        Raises:
            UsageError: If the folder is of a run with other settings or data, or is not ppbench's: nothing is deleted.
        """
        if first and self.path.exists() and not self._is_without_state():
            self._check_same()
        return self.state if self.state.is_file() else None

    def write_note(self) -> None:
        """Say of which run the state is that comes next.

        Raises:
            DataError: If it cannot be written.
        """
        atomic_write(self.note, json.dumps(self._run, indent=1))

    def remove(self) -> None:
        """Delete what the run wrote, also what a kill left half-written; the folder goes too unless it holds more."""
        for path in (self.state, self.note, *self._half_written()):
            path.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _half_written(self) -> list[Path]:
        return [path for file in (self.state, self.note) for path in self.path.glob(f".{file.name}.*")]

    def _is_without_state(self) -> bool:
        """Whether it is a folder in which a run wrote no state, and nobody anything else."""
        return self.path.is_dir() and not set(self.path.iterdir()) - {self.note, *self._half_written()}

    def _check_same(self) -> None:
        try:
            there = parse_json(read_text(self.note))
            there["recipe"] = TrainRecipe.model_validate(there["recipe"]).model_dump()  # with settings newer than it
        except (OSError, ValueError, TypeError, KeyError):
            there = None
        if there != self._run:
            whose = "the unfinished run of another recipe or other data" if there else "something else"
            raise UsageError(
                f"{self.path} holds {whose}", f"To start anew, delete it: `rm -r {self.path}`. Or write elsewhere."
            )


class StateFiles(TorchCheckpointIO):
    """Lightning's state on the disk: written whole or not at all, read without running anything it names.

    Args:
        part: Where it is kept.
    """

    def __init__(self, part: PartFolder) -> None:
        super().__init__()
        self.part = part
        self.error: DataError | None = None
        """Why the last state could not be written."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the state; the one that was there stays until the new one is whole.

        Only the first process comes here, while the others wait for it. So what goes wrong, such as a full disk, is
        kept in ``error``.
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
            DataError: If the file is damaged, or something else.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever a damaged program for the unpickler ends with
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise DataError(
                f"cannot go on from {path} ({reason})", f"Delete {Path(path).parent} to start anew."
            ) from error
        return state


class KeepState(Checkpoint):
    """Writes the state at the end of every epoch, after a look at whether the run is sound.

    Args:
        files: Where it is written.
    """

    def __init__(self, files: StateFiles) -> None:
        self.files = files

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Keep what is good; a run that has diverged stops here, with the state of the epoch before.

        Raises:
            DataError: If the state cannot be written.
        """
        module.check_finite(weights=True)
        trainer.save_checkpoint(self.files.part.state)
        raise_together(self.files.error)
