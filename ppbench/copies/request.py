"""A request for corrupted copies: the values as given, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ppbench.copies.encode import ImageFormat
from ppbench.corruptions.backends import BACKENDS
from ppbench.corruptions.own import OwnCorruption, split_own
from ppbench.corruptions.sequences.recipes import NOISES
from ppbench.corruptions.types import LARGEST_SCALE, Scale
from ppbench.data.image_file import endings
from ppbench.data.walk import ending
from ppbench.errors import UsageError
from ppbench.vocabulary import (
    C_BAR,
    CLEAN,
    P4,
    P10,
    Cell,
    expand_corruptions,
    expand_difficulties,
    expand_perturbations,
    expand_severities,
    in_order,
    severity_texts,
)


@dataclass(frozen=True)
class CopyRequest:
    """The values of a call or a command line; `ppbench.copies.api.corrupt_folder` describes them."""

    src: Path
    dest: Path | None = None
    corruptions: str | Sequence[str] = "c15"
    severities: str | int | Sequence[str | int] = "1-5"
    perturbations: str | Sequence[str] | None = None
    """Perturbation sequences to make in place of corruptions."""
    difficulties: str | int | Sequence[str | int] = 1
    recipe: str | None = None
    backend: str = "ppbench"
    seed: int = 0
    format: str = "same"
    size: int | None = None
    scale: str | float | None = None
    device: str = "auto"
    workers: int | None = 0
    """None: by the amount of work."""
    batch_size: int | None = None
    """None: by image size."""
    overwrite: bool = False

    def check_numbers(self) -> None:
        """Raise `UsageError` for a number that is too small."""
        for name, value, least in (
            ("--size", self.size, 8),
            ("--workers", self.workers, 0),
            ("--batch-size", self.batch_size, 1),
        ):
            if value is not None and value < least:
                raise UsageError(f"{name} {value} is not allowed", f"It is at least {least}.")

    def check_sequences(self) -> None:
        """Raise `UsageError` for an option that is not for perturbation sequences, or for nothing else."""
        if self.perturbations is None:
            if self.format.lower() == ImageFormat.MP4:
                raise UsageError("--format mp4 is for perturbation sequences", "Name them: `--perturbation p10`.")
            if severity_texts(self.difficulties) != ["1"]:
                raise UsageError("--difficulty is for perturbation sequences", "Corruptions have a `--severity`.")
            return
        for name, is_given in (
            ("--corruption", self.corruptions not in ("c15", ["c15"])),
            ("--severity", self.severities not in ("1-5", ["1-5"])),
            ("--size", self.size is not None),
            ("--scale", self.scale is not None),
            (f"--backend {self.backend}", self.backend != "ppbench"),
        ):
            if is_given:
                instead = "Sequences have a `--difficulty`." if name == "--severity" else "Leave one of the two out."
                raise UsageError(f"{name} is not for --perturbation", instead)
        if self.format.lower() == ImageFormat.JPEG:
            raise UsageError("--format jpeg is not for --perturbation", "Allowed: same, png, npy, mp4.")

    def _sequence_cells(self) -> tuple[Cell, ...]:
        """The perturbations and difficulties to make. Those other than noise have one for all difficulties."""
        given = self.perturbations or ()
        names = expand_perturbations([given] if isinstance(given, str) else given, list(P10 + P4))
        levels = expand_difficulties(severity_texts(self.difficulties))
        return tuple((name, level) for name in names for level in (levels if name in NOISES else (1,)))

    def cells(self, c_bar: Sequence[str] = C_BAR) -> tuple[Cell, ...]:
        """The cells to make: clean images first, then corruptions in the order of their table.

        Args:
            c_bar: What "cbar" means, by the size of the images.
        """
        if self.perturbations is not None:
            return self._sequence_cells()
        names = [self.corruptions] if isinstance(self.corruptions, str) else self.corruptions
        wanted = [name for name in names if name.strip().lower() != CLEAN]
        published, own = split_own(wanted)
        severities = expand_severities(severity_texts(self.severities))
        chosen = expand_corruptions(published, c_bar=c_bar, own=True)
        corruptions = in_order((*chosen, *(one.name for one in own)))
        clean = ((CLEAN, 0),) if len(wanted) < len(names) else ()
        return (*clean, *((corruption, severity) for corruption in corruptions for severity in severities))

    def own(self) -> tuple[OwnCorruption, ...]:
        """The corruptions of the user's own among those to make.

        Raises:
            UsageError: If the backend does not make them.
        """
        if self.perturbations is not None:
            return ()
        names = [self.corruptions] if isinstance(self.corruptions, str) else self.corruptions
        own = split_own(names)[1]
        BACKENDS[self.backend].check_makes(own)
        return own

    def image_format(self) -> ImageFormat:
        """The format of the files to write."""
        try:
            return ImageFormat(self.format.lower())
        except ValueError as error:
            raise UsageError(f"--format {self.format} is not allowed", f"allowed: {', '.join(ImageFormat)}") from error

    def factor(self) -> Scale | None:
        """The factor of the recipe's lengths; None if it is 1."""
        if self.scale is None:
            return None
        factor: Scale
        if str(self.scale).strip().lower() == "auto":
            factor = "auto"
        else:
            try:
                factor = float(self.scale)
            except ValueError:
                factor = math.nan
            if not 1 <= factor <= LARGEST_SCALE:
                raise UsageError(
                    f"--scale {self.scale} is not allowed",
                    f"It is a number from 1 to {LARGEST_SCALE:g}, or auto.",
                )
        if factor != 1 and not BACKENDS[self.backend].on_device:
            raise UsageError(f"--scale {self.scale} is not for --backend {self.backend}", "Leave one of the two out.")
        return None if factor == 1 else factor

    def folder(self) -> Path:
        """The folder to write to: ``photos-c`` beside ``photos``, for sequences ``photos-p``, unless another is given.

        Copies of a single image in ``photos`` go there too, never into the folder of the image.

        Raises:
            UsageError: If the folder that is read has no name.
        """
        if self.dest is not None:
            return self.dest
        src = self.src
        if ending(src.name) in endings() and not src.is_dir():
            src = src.parent
        named = src if src.name not in ("", "..") else src.resolve()
        if not named.name:
            raise UsageError(f"{src} has no name from which to make another", "Give the folder to write to as well.")
        return named.with_name(f"{named.name}-{'c' if self.perturbations is None else 'p'}")
