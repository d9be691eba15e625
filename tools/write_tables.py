"""Write the tables of the pages in `PAGES` from the JSON files of measurements.

``python -m tools.write_tables`` replaces what stands in a page between ``<!-- table: NAME -->`` and
``<!-- end of the table -->``. A test checks that pages and files agree. A figure that a file has not is "not recorded".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppbench.files import atomic_write
from ppbench.metrics.intervals import Interval
from ppbench.tables.numbers import with_interval
from tools.benchmark_tables import benchmark_table
from tools.gpu_table import gpu_tables

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("validation.md", "benchmarks.md", "models-anywhere.md", "your-images.md", "adaptation.md")
TABLE = re.compile(r"<!-- table: (\S+) -->\n.*?<!-- end of the table -->", re.DOTALL)

Rows = list[list[str]]
Figures = dict[str, float]


def markdown(columns: list[str], rows: Rows, numbers: int = 0) -> str:
    """A table, whose last ``numbers`` columns are aligned to the right."""
    words = len(columns) - numbers
    lines = [columns, [*["---"] * words, *["---:"] * numbers], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read(name: str) -> dict[str, Any]:
    """A file of measurements in docs/validation."""
    return json.loads((DOCS / "validation" / f"{name}.json").read_text())  # type: ignore[no-any-return]


def small(value: float) -> str:
    """A deviation: two digits, or that there is none."""
    return f"{value:.1e}" if value else "equal"


def corruptions() -> str:
    """Per corruption: the references, how many values, the largest deviation of each kind."""
    rows = []
    for name, references in read("corruptions")["corruptions"].items():
        package = references["the package"]
        others = [found for key, found in references.items() if key not in ("the package", "tensor code")]
        rows.append([name])
        for found in (others, [package], [references["tensor code"]]):
            values = sum(each["values"] for each in found)
            largest, fraction = (max(each[key] for each in found) for key in ("largest", "fraction"))
            levels = f"{largest} level in {fraction * 100:.2g} %" if largest else "equal"
            rows[-1] += [f"{values:,}", levels]
    columns = ["corruption", "values, scripts", "scripts", "values, package", "package", "values, devices", "devices"]
    return markdown(columns, rows)


def metrics() -> str:
    """Per metric: the reference, the cases, the largest relative deviation."""
    columns = ["metric", "reference", "cases", "largest relative deviation"]
    found = read("metrics")["against_references"]
    rows = [[f"`{r['metric']}`", r["reference"], f"{r['cases']:,}", small(r["relative"])] for r in found]
    return markdown(columns, rows, 2)


def published() -> str:
    """Published figures beside what their inputs give here."""
    found = read("metrics")["published"]
    rows = [[r["input"], f"`{r['label']}`", f"{r['published']:.2f}", f"{r['here']:.2f}"] for r in found]
    return markdown(["input", "label", "published", "here"], rows, 2)


def layers() -> str:
    """Per layer: the reference, how many random layers, the largest relative error of the output."""
    found = read("layers")["layers"]
    rows = [
        [f"`{r['layer']}`", r["reference"], str(r["layers"]), small(r["float32"]), small(r["float64"])] for r in found
    ]
    return markdown(["layer", "reference", "random layers", "float32", "float64"], rows, 3)


def models() -> str:
    """Per source of models: the reference, what was compared, the largest difference."""
    found = read("models")["models"]
    rows = [[r["source"], r["reference"], r["checked"], small(r["largest"])] for r in found]
    return markdown(["source", "reference", "what was compared", "largest difference"], rows, 1)


def points(row: Figures) -> str:
    """A difference in points, with half of its interval or, if it is lopsided, its ends."""
    low, high, value = row["low"], row["high"], row["difference"]
    sign = f"{value:+.2f}".replace("-", "−")
    if abs((high - value) - (value - low)) < 0.005:
        return f"{sign} ± {(high - low) / 2:.2f}"
    return f"{sign}, {low:.2f} to {high:.2f}".replace("-", "−")


def quantised() -> str:
    """Errors of a network in float32, and what each quantisation changes."""
    found = read("quantised")["quantised"]
    rows = [
        [
            words, f"{found['dynamic'][name]['reference']:.2f}",
            *(f"{found[kind][name]['value']:.2f} ({points(found[kind][name])})" for kind in ("dynamic", "static")),
        ]
        for name, words in (("clean_error", "clean error"), ("mean_error", "mean error, 15 corruptions"))
    ]  # fmt: skip
    return markdown(["%, all 2,000 embedded images", "float32", "dynamic int8", "static int8"], rows, 3)


def photographs() -> str:
    """What a network sees in photographs, in float32 and in int8."""
    seen = read("photographs")["photographs"]["seen"]
    rows = [[f"`{name}`", row["torch"], row["int8"]] for name, row in seen.items()]
    return markdown(["photograph", "torch, ONNX", "dynamic int8"], rows)


def stability() -> str:
    """Flip rates of a network on photographs, in float32 and in int8."""
    found = read("photographs")["photographs"]["stability"]
    words = {"flip_rate": "flip rate, 15 corruptions", "confidence_lost": "confidence lost"}
    names = ("flip_rate", "noise", "blur", "weather", "digital", "confidence_lost")
    rows = [
        [words.get(n, n), f"{found[n]['reference']:.2f}", f"{found[n]['value']:.2f} ({points(found[n])})"]
        for n in names
    ]
    return markdown(["%, 11 photographs", "torch, ONNX", "dynamic int8"], rows, 2)


NETWORKS = {"fashion-mnist-resnet8": "ResNet-8", "fashion-mnist-resnet8-pp3": "ResNet-8 pp3 (push-pull)"}
FAMILIES = ("noise", "blur", "weather", "digital")


def adaptation() -> str:
    """Errors of the embedded networks as they are and adapted, with intervals."""
    rows = []
    for name, of in read("adaptation")["adaptation"]["shown"].items():
        for how, found in of.items():
            means = [
                with_interval(Interval(**{end: found[one][end] for end in ("value", "low", "high")}))
                for one in ("clean_error", "mean_error")
            ]
            families = [f"{found[one]['value']:.2f}" for one in FAMILIES]
            rows.append([NETWORKS[name] if how == "plain" else how, *means, *families])
    return markdown(["", "clean error", "mean error, c15", *FAMILIES], rows, 6)


def adaptation_paired() -> str:
    """What adaptation changes, and what the two adapted networks differ by, in points."""
    found = read("adaptation")["adaptation"]
    pairs = [(f"{NETWORKS[name]}: adapted minus plain", changed) for name, changed in found["paired"].items()]
    pairs.append(("adapted: push-pull minus plain convolutions", found["push_pull"]))
    rows = [
        [words, *(points(changed[one]) for one in ("clean_error", "mean_error", *FAMILIES))] for words, changed in pairs
    ]
    return markdown(["paired, points", "clean error", "mean error, c15", *FAMILIES], rows, 6)


def shown() -> str:
    """What `ppbench show` prints of the run on photographs."""
    lines = read("photographs")["photographs"]["shown"]
    return "\n".join(["```", *lines, "```"])


TABLES: dict[str, Callable[[], str]] = {
    "corruptions": corruptions,
    "metrics": metrics,
    "published": published,
    "layers": layers,
    "models": models,
    "quantised": quantised,
    "photographs": photographs,
    "stability": stability,
    "shown": shown,
    "adaptation": adaptation,
    "adaptation-paired": adaptation_paired,
}


def table(name: str) -> str:
    """The table of a marker's name; ``benchmarks/NAME`` is of docs/benchmarks/NAME.json."""
    folder, _, stem = name.rpartition("/")
    if name == "benchmarks/gpu":
        return gpu_tables(DOCS / folder / f"{stem}.json")
    return benchmark_table(DOCS / folder / f"{stem}.json") if folder else TABLES[name]()


def with_tables(page: str) -> str:
    """The page with every table as its file has it."""
    return TABLE.sub(
        lambda found: f"<!-- table: {found[1]} -->\n\n{table(found[1])}\n\n<!-- end of the table -->", page
    )


def main() -> None:
    """Write the tables of all pages."""
    for name in PAGES:
        page = DOCS / name
        atomic_write(page, with_tables(page.read_text()))


if __name__ == "__main__":
    main()
