"""What the headers of photographs say, for the note before a start. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ppbench.data.decode import open_image
from ppbench.data.exif import has_other_profile, orientation
from ppbench.data.folder import LabelledFiles
from ppbench.errors import DataError

_PEEKED = 100
"""Images whose headers are read before the start."""


class Photographs(NamedTuple):
    """Orientations and colour profiles found in some files."""

    seen: int
    turned: int
    """Files that are not stored upright."""
    profiles: int
    """Files with a colour profile that is not sRGB."""

    def note(self) -> str:
        """A note for the user if neither is applied; empty if there is nothing to say."""
        parts = [f"{self.turned:,} stored turned or mirrored"] if self.turned else []
        parts += [f"{self.profiles:,} with a colour profile that is not sRGB's"] if self.profiles else []
        if not parts:
            return ""
        return (
            f"of {self.seen:,} images checked, {' and '.join(parts)}: not applied, as in torchvision; "
            "`--exif` applies EXIF orientation and colour profiles"
        )


def look_at_photographs(files: Iterable[Path | BinaryIO]) -> Photographs:
    """Read the headers of files, or of opened content; what is unreadable is skipped."""
    seen = turned = profiles = 0
    for file in files:
        try:
            with open_image(file) as image:
                turned += orientation(image) != 1
                profiles += has_other_profile(image)
                seen += 1
        except DataError:
            continue
    return Photographs(seen, turned, profiles)


def with_note(listing: LabelledFiles, root: Path) -> LabelledFiles:
    """Add to labelled files in a folder the note on their headers, if there is something to say."""
    # Evenly spread images: classes may come from different cameras.
    note = look_at_photographs(root / name for name in listing.files[:: len(listing.files) // _PEEKED + 1]).note()
    return listing._replace(notes=(*listing.notes, note)) if note else listing
