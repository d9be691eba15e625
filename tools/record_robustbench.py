"""Write ppbench/assets/robustbench-5000.json from a clone of RobustBench: its accuracies on 5,000 images of ImageNet.

python tools/record_robustbench.py CLONE
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
from pathlib import Path

from ppbench.files import atomic_write

ROOT = Path(__file__).parents[1]
FOLDER = Path("model_info/imagenet/corruptions")
FILES = {"imagenet-c": "unaggregated_results.csv", "imagenet-3dcc": "unaggregated_results_3d.csv"}


def cells(path: Path) -> dict[str, dict[str, list[float]]]:
    """Accuracies by model and corruption, from severity 1 to 5."""
    with path.open(newline="") as file:
        corruptions, severities, *rows = csv.reader(file)
    found: dict[str, dict[str, dict[int, float]]] = {}
    for name, *values in rows:
        for corruption, severity, value in zip(corruptions[1:], severities[1:], values, strict=True):
            found.setdefault(name, {}).setdefault(corruption, {})[int(severity)] = float(value)
    return {
        name: {corruption: [by[severity] for severity in sorted(by)] for corruption, by in sorted(rows.items())}
        for name, rows in found.items()
    }


def main() -> None:
    """Read the clone and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    clone = parser.parse_args().clone
    head = subprocess.run(["git", "-C", str(clone), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    accuracies = {dataset: cells(clone / FOLDER / name) for dataset, name in FILES.items()}
    models = {}
    for path in sorted((clone / FOLDER).glob("*.json")):
        about = json.loads(path.read_text())
        models[path.stem] = {
            "architecture": about["architecture"],
            "paper": about["link"],
            "clean": float(about["clean_acc"]),
            "mce": {"imagenet-c": float(about["corruptions_mce"]), "imagenet-3dcc": float(about["corruptions_mce_3d"])},
            "accuracies": {dataset: accuracies[dataset][path.stem] for dataset in FILES},
        }
    record = {"repository": "RobustBench/robustbench", "commit": head.stdout.strip(), "models": models}
    target = ROOT / "ppbench" / "assets" / "robustbench-5000.json"
    atomic_write(target, (json.dumps(record, indent=None, separators=(",", ":")) + "\n").encode())
    print(f"wrote {target.name}: {len(models)} models")


if __name__ == "__main__":
    main()
