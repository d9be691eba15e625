"""The state of an unfinished training run: the folder ``<output>.part``, and whether it may be continued."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

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

    def resume_point(self, recipe: TrainRecipe, fingerprint: str, initial: str | None, *, first: bool) -> Path | None:
        """The state to go on from, or None for a run that begins.

        Args:
            recipe: Settings of the run.
            fingerprint: Hash of the training data.
            initial: Hash of the weights that the run begins with; None: random ones.
            first: Whether this process is the first of those that train together, which alone looks and writes.

        Raises:
            UsageError: If the folder is of a run with other settings or data, or is not ppbench's: nothing is deleted.
            DataError: If it cannot be written.
        """
        wanted = {"recipe": recipe.model_dump(), "data": fingerprint, "initial": initial}
        if first and not self.path.exists():
            atomic_write(self.note, json.dumps(wanted, indent=1))
        elif first:
            self._check_same(wanted)
        return self.state if self.state.is_file() else None

    def remove(self) -> None:
        """Delete what the run wrote, also what a kill left half-written; the folder goes too unless it holds more."""
        for path in (self.state, self.note, *self.path.glob(f".{self.state.name}.*")):
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


class StateFiles(TorchCheckpointIO):
    """Lightning's state on the disk: written whole or not at all, read without running anything it names."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write the state; the one that was there stays until the new one is whole.

        Raises:
            DataError: If it cannot be written, such as on a full disk.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        atomic_write(Path(path), buffer.getvalue())

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
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Keep what is good; a run that has diverged stops here, with the state of the epoch before."""
        module.check_finite(weights=True)
        trainer.save_checkpoint(self.path)
