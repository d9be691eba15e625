"""Take the picture of a report for the README: the verdict and the heat map of the two embedded networks.

``uv run python tools/picture.py docs/report.png`` evaluates the two networks (`ppbench eval`), writes their report
(`ppbench report`), and photographs it with Chromium. ``--runs DIR`` takes runs that are there already.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from ppbench.files import atomic_write

NEW, OLD = "fashion-mnist-resnet8-pp3--fashion-mnist-2k.json", "fashion-mnist-resnet8--fashion-mnist-2k.json"
WIDTH = 1120
"""Of the picture, in CSS pixels; its height is that of what is shown."""
SHOWN = ("top", "heat")
"""What of the page is shown: its head, and one section. What was measured lies between the two."""
COLOURS = 128
LARGEST = 250_000
"""Bytes that a page on the web may take for it."""


def photograph(page: Path) -> Image.Image:
    """The head of a page and its heat map, light, RGB."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            view = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
            view.goto(page.as_uri())
            view.evaluate("""shown => {
                document.querySelectorAll(".contents, .bottom").forEach(one => one.remove());
                document.querySelectorAll("main > section").forEach(one => shown.includes(one.id) || one.remove());
            }""", SHOWN)  # fmt: skip
            content = view.screenshot(full_page=True)
        finally:
            browser.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def optimised(picture: Image.Image) -> bytes:
    """As a PNG with few colours, which text and charts do not need more of."""
    buffer = io.BytesIO()
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--runs", type=Path, help="folder of the two runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, ppbench = Path(temporary), [sys.executable, "-m", "ppbench"]
        runs = arguments.runs or folder
        if arguments.runs is None:
            subprocess.run([*ppbench, "eval", "--output", f"{folder}/"], check=True, stdout=subprocess.DEVNULL)
        page = folder / "report.html"
        subprocess.run([*ppbench, "report", runs / NEW, "--baseline", runs / OLD, "--output", page], check=True)
        content = optimised(photograph(page))
    if len(content) > LARGEST:
        sys.exit(f"{arguments.output} would have {len(content):,} bytes, more than {LARGEST:,}")
    atomic_write(arguments.output, content)
    print(f"wrote {arguments.output}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
