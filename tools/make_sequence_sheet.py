"""Draw five frames of each perturbation sequence of one photograph.

``python tools/make_sequence_sheet.py docs/sequences.jpg`` makes the picture of docs/sequences.md. The photograph is
scikit-image's cat (Stefan van der Walt, public domain).
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from ppbench.corruptions.sequences.apply import perturb
from ppbench.corruptions.sequences.recipes import EXTRA_PERTURBATIONS, SEQUENCE_RECIPES, TEST_PERTURBATIONS
from ppbench.files import atomic_write

GAP, LABEL, HEADER, SIDE = 4, 190, 30, 256
TITLES = ("first", "a quarter", "middle", "three quarters", "last")


def photograph() -> np.ndarray:
    """``(256, W, 3)`` uint8: the whole photograph, as it is before the crop."""
    image = Image.fromarray(skimage.data.chelsea())
    return np.asarray(image.resize((SIDE * image.width // image.height, SIDE), Image.Resampling.BICUBIC))


def draw(image: np.ndarray, tile: int) -> Image.Image:
    """A row for each perturbation, from the first frame to the last."""
    names = (*TEST_PERTURBATIONS, *EXTRA_PERTURBATIONS)
    step = tile + GAP
    sheet = Image.new("RGB", (LABEL + len(TITLES) * step, HEADER + len(names) * step), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for column, title in enumerate(TITLES):
        pen.text((LABEL + column * step + tile / 2, HEADER / 2), title, "black", font, anchor="mm")
    for row, name in enumerate(names):
        top = HEADER + row * step
        pen.text((LABEL - 10, top + tile / 2), name, "black", font, anchor="rm")
        last = SEQUENCE_RECIPES["imagenet-p"].count(name) - 1
        frames = [round(last * column / (len(TITLES) - 1)) for column in range(len(TITLES))]
        for column, pixels in enumerate(perturb(image[None], name, ids=["cat"], frames=frames)[0]):
            shown = Image.fromarray(pixels).resize((tile, tile), Image.Resampling.LANCZOS)
            sheet.paste(shown, (LABEL + column * step, top))
    return sheet


def main() -> None:
    """Parse the options, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help=".jpg or .png")
    parser.add_argument("--tile", type=int, default=120, help="side of a picture on the sheet, in pixels")
    options = parser.parse_args()
    content = BytesIO()
    form = "PNG" if options.output.suffix == ".png" else "JPEG"
    draw(photograph(), options.tile).save(content, form, quality=85)
    atomic_write(options.output, content.getvalue())
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
