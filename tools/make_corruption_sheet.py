"""Draw the 19 corruptions, or C-bar's 15, x 5 severities of one photograph.

``python tools/make_corruption_sheet.py docs/corruptions.jpg`` makes the picture of docs/corruptions.md.
Without ``--image`` the photograph is scikit-image's cat (Stefan van der Walt, public domain).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ppbench.corruptions.apply import corrupt
from ppbench.corruptions.recipes import RECIPES
from ppbench.files import atomic_write
from ppbench.vocabulary import ALL_FAMILIES, C19, SEVERITIES, family_of

GAP, LABEL, HEADER = 4, 300, 30


def photograph(path: Path | None, size: int) -> np.ndarray:
    """``(size, size, 3)`` uint8, the middle of the photograph."""
    if path is None:
        import skimage.data

        image = Image.fromarray(skimage.data.chelsea())
    else:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))


def draw(image: np.ndarray, names: Sequence[str], recipe: str, seed: int, tile: int) -> Image.Image:
    """A row for each corruption, the clean image first, then the severities."""
    step = tile + GAP
    label = LABEL if "c-bar" in map(family_of, names) else 190
    sheet = Image.new("RGB", (label + 6 * step, HEADER + len(names) * step), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for column, title in enumerate(["clean", *map(str, SEVERITIES)]):
        pen.text((label + column * step + tile / 2, HEADER / 2), title, "black", font, anchor="mm")
    for row, name in enumerate(names):
        top = HEADER + row * step
        pen.text((label - 10, top + tile / 2), name, "black", font, anchor="rm")
        tiles = [image, *(corrupt(image, name, severity, recipe=recipe, seed=seed) for severity in SEVERITIES)]
        for column, pixels in enumerate(tiles):
            shown = Image.fromarray(pixels).resize((tile, tile), Image.Resampling.LANCZOS)
            sheet.paste(shown, (label + column * step, top))
    return sheet


def main() -> None:
    """Parse the options, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help=".jpg or .png")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--recipe", default="imagenet-c")
    parser.add_argument("--set", choices=["c19", "c-bar"], default="c19")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tile", type=int, default=120, help="side of a picture on the sheet, in pixels")
    options = parser.parse_args()
    size = RECIPES[options.recipe].native_size or 224
    names = C19 if options.set == "c19" else ALL_FAMILIES["c-bar"]
    sheet = draw(photograph(options.image, size), names, options.recipe, options.seed, options.tile)
    content = BytesIO()
    sheet.save(content, "PNG" if options.output.suffix == ".png" else "JPEG", quality=88)
    atomic_write(options.output, content.getvalue())
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
