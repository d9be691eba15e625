"""JPEG files decoded and cut on the GPU, by nvJPEG. Its pixels are not libjpeg's, so the protocol says who decoded."""

from __future__ import annotations

import io
import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ppbench.data.cut import Cut
from ppbench.data.decode import decode_rgb
from ppbench.data.source import Broken, Encoded, Geometry, Source
from ppbench.errors import DataError, UsageError
from ppbench.lookup import check_name

DECODERS = ("pillow", "cuda")
"""Values of ``--decode``."""

_LEAVE_OUT = "Leave --decode out: Pillow decodes everything."


def decoder_for(name: str, source: Source, device: torch.device) -> GpuDecoder | None:
    """The decoder of a name; None if Pillow decodes.

    Args:
        name: One of `DECODERS`.
        source: The images.
        device: Device of the evaluation.

    Raises:
        UsageError: If there is no such decoder, or it is not for this device or these images.
    """
    check_name("value of --decode", name, DECODERS, "ppbench eval --help")
    if name == "pillow":
        return None
    if device.type != "cuda":
        raise UsageError(f"--decode {name} is for a GPU, but the evaluation computes on {device}", _LEAVE_OUT)
    cut = source.encoded_cut
    if cut is None:
        raise UsageError(f"--decode {name} is for JPEG files in class folders, and for a network's images", _LEAVE_OUT)
    if not (isinstance(cut, Geometry) and cut.crop_mode == "center" and (cut.resize or 0) >= cut.size):
        raise UsageError(f"--decode {name} does not cut images as these need it ({source.cut})", _LEAVE_OUT)
    return GpuDecoder(cut, device)


class GpuDecoder:
    """Decodes JPEG files on a GPU and cuts them there: resized with antialiasing, rounded, and the centre cut out.

    Args:
        cut: How they are cut; a `Geometry` that resizes to at least its size and takes the centre.
        device: The GPU. On a CPU libjpeg decodes, which tests use.
    """

    def __init__(self, cut: Cut, device: torch.device) -> None:
        assert isinstance(cut, Geometry)
        self._cut, self._device = cut, device

    def decode(self, encoded: Encoded) -> tuple[Tensor, tuple[Broken, ...]]:
        """Decode some files, in the current stream.

        A file that the GPU cannot decode is decoded by Pillow, which says what is wrong with it if it cannot either.

        Returns:
            ``(n, size, size, 3)`` uint8, with black for broken images; and the broken ones by their places.
        """
        size, broken = self._cut.size, list(encoded.broken)
        images = torch.zeros((encoded.n, size, size, 3), dtype=torch.uint8, device=self._device)
        for place, pixels in encoded.decoded:
            images[place] = torch.from_numpy(pixels.copy()).to(self._device)
        for (place, name, content), decoded in zip(encoded.jpegs, self._decode_all(encoded), strict=True):
            if decoded is not None:
                images[place] = self._cut_out(decoded).permute(1, 2, 0)
                continue
            try:
                pixels = decode_rgb(io.BytesIO(content), self._cut, name)
                images[place] = torch.from_numpy(pixels.copy()).to(self._device)
            except DataError as error:
                broken.append(Broken(place, error.message, error.hint))
        places = np.arange(encoded.n) if encoded.places is None else encoded.places
        return images, tuple(one._replace(place=int(places[one.place])) for one in sorted(broken))

    def _decode_all(self, encoded: Encoded) -> list[Tensor | None]:
        """Decode all together; if one fails, one by one. None: it cannot be decoded here."""
        contents = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for _, _, content in encoded.jpegs]
        if not contents:
            return []
        try:
            return [*self._by_torchvision(contents)]
        except RuntimeError:
            return [self._decode_one(content) for content in contents]

    def _decode_one(self, content: Tensor) -> Tensor | None:
        try:
            return self._by_torchvision([content])[0]
        except RuntimeError:
            return None

    def _by_torchvision(self, contents: list[Tensor]) -> list[Tensor]:
        """Tensors ``(3, H, W)`` on the device."""
        from torchvision.io import ImageReadMode, decode_jpeg

        with warnings.catch_warnings(action="ignore"):  # newer versions recommend torchcodec, a further package
            found = decode_jpeg(contents, mode=ImageReadMode.RGB, device=self._device)
        assert isinstance(found, list)
        return found

    def _cut_out(self, image: Tensor) -> Tensor:
        """Resize the shorter side, and cut the centre; the longer side is rounded down, as in torchvision."""
        cut, (height, width) = self._cut, image.shape[1:]
        side = cut.resize or cut.size
        if min(width, height) != side:
            sides = (int(side * height / width), side) if width <= height else (side, int(side * width / height))
            resized = F.interpolate(
                image[None].float(), sides, mode=cut.interpolation, antialias=True, align_corners=False
            )[0]
            image = resized.round_().clamp_(0, 255).to(torch.uint8)
        top, left = (round((length - cut.size) / 2) for length in image.shape[1:])
        return image[:, top : top + cut.size, left : left + cut.size]
