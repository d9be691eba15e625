"""The settings that determine the bytes of a job's files. A job is resumed only with the same settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from PIL import features

from ppbench.copies.encode import ImageFormat, output_name, sequence_name
from ppbench.copies.places import CopyPlaces, copy_places
from ppbench.copies.video import ENCODING, encoder_versions
from ppbench.corruptions.own import OwnCorruption
from ppbench.corruptions.types import Scale
from ppbench.data.generated import JPEG_QUALITY
from ppbench.errors import UsageError
from ppbench.versions import versions_of


@dataclass(frozen=True)
class PixelSettings:
    """The options that change bytes."""

    recipe: str
    backend: str
    seed: int
    format: ImageFormat
    size: int | None
    """Side of the square cut from each image, in pixels; None: images as they are."""
    device: str
    """"cpu" or "cuda", without a number: between the two, pixels may differ by one grey level."""
    scale: Scale | None = None
    """Factor of the recipe's lengths; None: 1."""
    own: tuple[OwnCorruption, ...] = ()
    """Corruptions of the user's own; `check_same_own` compares them, one by one."""
    sequences: bool = False
    """Whether perturbation sequences are made, in place of single images."""

    @property
    def places(self) -> CopyPlaces:
        """Where the copies are."""
        return copy_places({"sequences": self.sequences})

    def output(self, name: str) -> str:
        """Usual name of the copies of an image file."""
        return sequence_name(name, self.format) if self.sequences else output_name(name, self.format)

    def record(self) -> dict[str, Any]:
        """The settings for the manifest, without what plain images lack: manifests of earlier versions lack it too."""
        plain = asdict(replace(self, own=()))
        optional = {"scale": self.scale, "sequences": self.sequences or None}
        settings = {name: value for name, value in plain.items() if name not in (*optional, "own")}
        settings |= {name: value for name, value in optional.items() if value is not None}
        if self.format is ImageFormat.MP4:
            settings["encoding"] = ENCODING
        return {**settings, "format": str(self.format)} | ({} if self.sequences else {"jpeg_quality": JPEG_QUALITY})


def made_with(engine: str, form: ImageFormat) -> dict[str, str]:
    """Names and versions of everything that determines pixels and bytes."""
    names = ("numba", "numpy", "opencv-python", "pillow", "ppbench", "torch")
    jpeg = features.version("libjpeg_turbo") or features.version("jpg")
    encoder = encoder_versions() if form is ImageFormat.MP4 else {}
    return {"engine": engine, "libjpeg": str(jpeg), **versions_of(*names), **encoder}


def check_same(header: dict[str, Any], now: dict[str, Any], dest: str) -> None:
    """Make sure that a job is resumed as it was begun.

    Args:
        header: The header of the record in the folder.
        now: The header that this job would write.
        dest: The folder, for the message.

    Raises:
        UsageError: If a setting or a version differs; it says which, and what to do.
    """
    for part in ("settings", "made_with"):
        before, after = header.get(part, {}), now[part]
        # Whether there are sequences, then the format: other differences follow from them, such as the encoding.
        for name in sorted({*before, *after}, key=lambda name: (name != "sequences", name != "format", name)):
            if before.get(name) != after.get(name):
                raise UsageError(
                    f"{dest} was made with {_shown(part, name, before.get(name))}, now it is "
                    f"{_shown(part, name, after.get(name))}",
                    "Use the same setting or another folder, or start over with `--overwrite`.",
                )


def check_same_own(before: Mapping[str, str], own: Mapping[str, str], dest: str) -> None:
    """Make sure that a corruption of the user's own is still the function that began its copies.

    Args:
        before: SHA-256 of the sources in the record of the folder, by name.
        own: Those of this job.
        dest: The folder, for the message.

    Raises:
        UsageError: If the source of one differs.
    """
    for name in sorted(before.keys() & own.keys()):
        if before[name] != own[name]:
            raise UsageError(
                f"{dest} has copies of another version of {name} ({before[name][:12]}, now {own[name][:12]})",
                "Take another folder, or start over with `--overwrite`.",
            )


def _shown(part: str, name: str, value: object) -> str:
    if name == "sequences":
        return "--perturbation" if value else "no --perturbation"
    if part == "made_with" or name in ("jpeg_quality", "encoding"):
        return f"{name.replace('_', ' ')} {value}"
    return f"no --{name}" if value is None else f"--{name} {value}"
