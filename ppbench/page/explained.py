"""What a reader of a page asks next: what its numbers are, and how to get them from the page again."""

from __future__ import annotations

import shlex

from ppbench.metrics.without_labels import has_labels, quantities_of
from ppbench.page.html_table import HtmlCell, HtmlRow, HtmlTable
from ppbench.page.inputs import PageInputs
from ppbench.run import Protocol

PAGE_FILE = "report.html"
"""The name that commands give the page. It does not know its own."""


def definitions_table(protocol: Protocol | None = None) -> HtmlTable:
    """Name, meaning and formula of every headline metric, and how a label is read; None: of images with labels."""
    of = quantities_of(protocol)
    rows = [
        HtmlRow((HtmlCell(name), HtmlCell(quantity.meaning), HtmlCell(quantity.formula)))
        for name, quantity in of.items()
    ]
    columns = ("name", "meaning", "formula")
    if protocol is not None and protocol.sequences is not None:
        return HtmlTable("The headline metrics", columns, tuple(rows), (0, 1, 2), _NOTES_OF_SEQUENCES)
    if protocol is not None and protocol.stream is not None:
        return HtmlTable("The headline metrics", columns, tuple(rows), (0, 1, 2), _NOTES_OF_STREAMS)
    if not has_labels(protocol):
        return HtmlTable("The headline metrics", columns, tuple(rows), (0, 1, 2), _NOTES_WITHOUT_LABELS)
    more = " and ".join(name for name, quantity in of.items() if quantity.higher_is_better)
    notes = (
        f"Less is better, except for {more}, where more is better. E_cs is the share of images that the model gets "
        "wrong under corruption c at severity s. All are given in percent.",
        "A label says over what a number is: name[normaliser or baseline, generated, corruptions, severities, classes, "
        "n of N]. For example mCE[alexnet,generated,c15,s1-5] is mCE against the published errors of AlexNet, on "
        "images corrupted by software (generated), over the 15 common corruptions (c15) and the severities 1 to 5. "
        "Classes and n of N are there only where some classes or images were left out.",
    )
    return HtmlTable("The headline metrics", columns, tuple(rows), (0, 1, 2), notes)


_NOTES_WITHOUT_LABELS = (
    "Less is better. The images have no labels: each model is compared with its own predictions of the clean images. A "
    "model that always says the same has a flip rate of 0, so these numbers do not say how good a model is. All are "
    "given in percent.",
    "A label says over what a number is: name[corruptions, severities, n of N]. For example flip_rate[c15,s1-5] is "
    "over the 15 common corruptions (c15) and the severities 1 to 5. n of N is there only where some images were left "
    "out.",
)

_NOTES_OF_SEQUENCES = (
    "Less is better. A sequence is one image that changes a little from frame to frame, and a prediction flips if it "
    "differs from that for the frame before, or for the first frame where noise is added. A model that always says the "
    "same never flips, so these numbers do not say how good a model is. uT5D is in places, all others are in percent.",
    "A label says over what a number is: name[normaliser, perturbations, difficulties, lossless or h264, n of N]. For "
    "example mFR[alexnet,p10,d1,h264] is the mean flip rate against AlexNet over the ten perturbations (p10) at "
    "difficulty 1, on frames of H.264 videos. Frames of videos and lossless ones are never compared.",
)


_NOTES_OF_STREAMS = (
    "A stream is images in a fixed order under two corruptions each, which change slowly from point to point of a "
    "walk. The walk keeps one network, that of the calibration, about equally accurate. All numbers are in percent.",
    "A label says which stream a number is of: name[level, frames at each point, calibration, seed, n of N, "
    "adaptation]. Runs on different streams are never compared.",
)


def show_command_line(inputs: PageInputs) -> str:
    """The command that prints the numbers of the first run as the page has them."""
    words = ["ppbench", "show", PAGE_FILE]
    if inputs.baseline:
        words += ["--baseline", inputs.baseline.path.name]
    elif len(inputs.runs) > 1:  # of several runs the first is the reference, also of itself
        words += ["--baseline", PAGE_FILE]
    return shlex.join([*words, *_options(inputs)])


def compare_command_line(inputs: PageInputs) -> str:
    """The command that prints the differences of the page; the first file is the reference."""
    others = [run.path.name for run in inputs.runs[1:]]
    before = [inputs.baseline.path.name] if inputs.baseline else []
    files = [*before, PAGE_FILE, *others]
    if len(files) == 1:
        files.append("OTHER.json")
    allowed = [word for field in inputs.allow for word in ("--allow", field)]
    return shlex.join(["ppbench", "compare", *files, *_options(inputs), *allowed])


def _options(inputs: PageInputs) -> list[str]:
    found = ["--normalizer", inputs.normalizer] if inputs.normalizer else []
    return [*found, *(["--confidence", f"{inputs.confidence:g}"] if inputs.confidence != 0.95 else [])]
