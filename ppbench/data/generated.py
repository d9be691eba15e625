"""Corrupted images, made from clean ones when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ppbench.corruptions.backends import BACKENDS
from ppbench.corruptions.own import OwnCorruption
from ppbench.corruptions.recipes import c_bar_for, recipe_for
from ppbench.corruptions.trial import check_own
from ppbench.data.source import Encoded, Loaded, Source, SourceKind
from ppbench.data.stamps import FileStamps
from ppbench.errors import DataError
from ppbench.vocabulary import C19, CLEAN, MADE, Cell

SMALLEST_PX = 16
"""Smallest side in pixels at which all corruptions work."""

JPEG_QUALITY = 85
"""Quality of the files of ImageNet-C and Tiny-ImageNet-C (make_imagenet_c.py saves with quality=85, optimize=True)."""


class CleanImages(Protocol):
    """A whole set of labelled clean images, in memory or on disk."""

    ids: list[str]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    channels: Literal[1, 3]
    size: int
    is_slow: bool
    cut: str
    notes: tuple[str, ...]

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the set."""
        ...

    def mean_bytes(self) -> float:
        """Bytes read from disk for an image."""
        ...

    def stamps(self, rows: NDArray[np.int64]) -> FileStamps:
        """Numbers ``(n,)``, one per image, that change when its file changes."""
        ...

    def load(self, rows: NDArray[np.int64]) -> Loaded:
        """Load the images at ``rows``; `Broken.place` is an index into ``rows``."""
        ...


def load_clean(clean: CleanImages, rows: NDArray[np.int64], places: NDArray[np.int64]) -> Loaded:
    """Load the clean images at ``rows``, which are at ``places`` in a source; `Broken.place` is the latter."""
    pixels, broken = clean.load(rows)
    return Loaded(pixels, tuple(one._replace(place=int(places[one.place])) for one in broken))


class GeneratedImages(Source):
    """Clean images and every corruption of them.

    A corrupted image depends only on its pixels and on (seed, corruption, severity, id).

    Args:
        dataset: Name, for the run file.
        clean: The clean images.
        recipe: Name of the recipe; None: chosen by image size.
        seed: Seed of all random draws.
        backend: One of `BACKENDS`, which makes the corrupted images.
        jpeg: Whether corrupted images are saved as JPEG and read again, as those of ImageNet-C were.
    """

    has_clean = True

    def __init__(
        self, dataset: str, clean: CleanImages, recipe: str | None, seed: int, backend: str = "ppbench",
        *, jpeg: bool = False,
    ) -> None:  # fmt: skip
        maker = BACKENDS[backend]
        self.dataset, self.seed, self.backend = dataset, seed, maker.name
        self.kind: SourceKind = "generated-jpeg85" if jpeg else "generated"
        self.recipe, self.engine = maker.recipe(recipe, clean.size, clean.size), maker.version()
        self.c_bar, self._made = c_bar_for(self.recipe), MADE if maker.on_device else C19
        if dataset == "imagenet-c" and maker.on_device:
            self.recipe_of_size = {224: "imagenet-c", 299: "imagenet-c-299"}
        self.corruptions = self._made
        self.channels, self.size, self.cut, self.notes = clean.channels, clean.size, clean.cut, clean.notes
        # The package imagecorruptions is so slow that its images are made in the worker processes, cell by cell.
        self.image_major = not maker.is_slow
        self.is_slow = clean.is_slow or not self.image_major
        self._own: dict[str, OwnCorruption] = {}
        self._clean, self._fingerprint = clean, clean.fingerprint()
        self.encoded_cut = getattr(clean, "encoded_cut", None) if self.image_major else None
        self._last: tuple[bytes, Loaded] | None = None
        self._stamps: FileStamps | None = None
        self._set(clean.ids, clean.labels, clean.class_names)
        self.are_numbered = getattr(clean, "are_numbered", False)

    def __getstate__(self) -> dict[str, Any]:
        # What is kept for reuse stays in its process: it would be sent to every worker. Workers corrupt only by the
        # package imagecorruptions, which has none of the user's own.
        return {**self.__dict__, "_last": None, "_stamps": None, "_own": {}}

    def fingerprint(self) -> str:
        """The fingerprint of the whole clean set."""
        return self._fingerprint

    def mean_bytes(self) -> float:
        return self._clean.mean_bytes()

    def stamps(self, cell: Cell) -> FileStamps:
        """Numbers ``(N,)``, one per image, that change when its file changes; the same for all cells."""
        if self._stamps is None:
            self._stamps = self._clean.stamps(self.rows)
        return self._stamps

    def include(self, own: Sequence[OwnCorruption]) -> None:
        """Add corruptions of the user's own.

        Raises:
            UsageError: If the backend is a package, which has only its own.
            DataError: If the source of a function cannot be told.
        """
        BACKENDS[self.backend].check_makes(own)
        self._own = {one.name: one for one in own}
        self.own = {one.name: one.source_hash() for one in own}
        self.corruptions = (*self._made, *sorted(self._own))

    def choose(self, corruptions: Sequence[str]) -> None:
        """Check that the recipe has the corruptions; if all are made by one of C-bar's recipes, that is the recipe.

        Otherwise it stays the recipe of the 19 corruptions, which stands for C-bar's of the nearer size.

        Raises:
            UsageError: If the recipe or the backend lacks a corruption.
        """
        BACKENDS[self.backend].check_has(corruptions, self.recipe)
        recipes = {recipe_for(name, self.recipe) for name in corruptions if name in MADE}
        if len(recipes) == 1:
            (self.recipe,) = recipes

    def check(self, corruptions: Sequence[str], severities: Sequence[int]) -> None:
        """Try the user's own corruptions on test images, and glass_blur if images are small: it needs a least size."""
        for name in corruptions:
            if name in self._own:
                check_own(self._own[name], severities, self.size, self.size, self.channels)
        blank = np.zeros((1, self.size, self.size, self.channels), np.uint8)
        for severity in severities if "glass_blur" in corruptions and self.size < SMALLEST_PX else ():
            BACKENDS[self.backend].corrupt(blank, "glass_blur", severity, self.recipe, self.seed, [""])

    def load(self, corruption: str, severity: int, places: NDArray[np.int64]) -> Loaded:
        clean = self._load_clean(places)
        if corruption == CLEAN:
            return clean
        pixels = self.corrupt(clean.pixels, corruption, severity, places)
        # Some corruptions turn black into something else; broken images stay black, as `Loaded` says.
        if clean.broken:
            pixels[np.isin(places, [one.place for one in clean.broken])] = 0
        return Loaded(pixels, clean.broken)

    def encoded(self, places: NDArray[np.int64]) -> Encoded:
        return cast(Encoded, self._clean.encoded(self.rows[places])).at(places)  # type: ignore[attr-defined]

    def corrupt(self, images: Any, corruption: str, severity: int, places: NDArray[np.int64]) -> Any:
        """Corrupt clean images that were loaded before.

        Args:
            images: Images at ``places``, ``(n, H, W, C)`` uint8: numpy or, with the backend "ppbench", a torch tensor
                on any device.
            corruption: Not "clean".
            severity: 1 to 5.
            places: ``(n,)`` indices into the source.

        Returns:
            The same kind as ``images``.
        """
        ids = [self.ids[place] for place in places]
        what = self._own.get(corruption, corruption)
        made = BACKENDS[self.backend].corrupt(images, what, severity, self.recipe, self.seed, ids)
        return saved_as_jpeg(made) if self.kind == "generated-jpeg85" else made

    def uncut(self, places: NDArray[np.int64]) -> Iterator[Image.Image | DataError]:
        """Yield the clean images at ``places`` as they are before any cut, or why one cannot be read.

        Sets whose images all have one size are not cut.
        """
        rows = self.rows[places]
        if (read := getattr(self._clean, "read", None)) is not None:
            yield from read(rows)
            return
        pixels, broken = self._clean.load(rows)
        faults = {one.place: DataError(one.reason, one.hint) for one in broken}
        for place, image in enumerate(pixels):
            yield faults.get(place) or Image.fromarray(image if self.channels == 3 else image[..., 0])

    def _load_clean(self, places: NDArray[np.int64]) -> Loaded:
        """Load clean images. If cells are made one by one, the last images are kept: the next cell needs the same."""
        key = places.tobytes()
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        loaded = load_clean(self._clean, self.rows[places], places)
        self._last = None if self.image_major else (key, loaded)
        return loaded

    def limit(self, places: NDArray[np.int64]) -> None:
        super().limit(places)
        # Both are by place, and the places now are of other images.
        self._last = self._stamps = None


def saved_as_jpeg(images: Any, quality: int = JPEG_QUALITY) -> Any:
    """Save images as JPEG in memory and read them again, bit for bit as Pillow does.

    Args:
        images: ``(n, H, W, C)`` uint8: numpy, or a torch tensor on any device.
        quality: 1 to 100.

    Returns:
        The same kind as ``images``.
    """
    from ppbench.corruptions.jpeg import saved

    return saved(images, quality)
