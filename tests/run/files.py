"""The run file. ``tests/runs/v1.json`` to ``v3.json`` and the files beside them were written once, by these versions.

Version 1::

    from pathlib import Path
    from ppbench.run import write_run
    from tests.builders import make_bits, make_errors, make_run

    grid = {"corruptions": ("fog", "frost"), "severities": (1, 3)}
    run = make_run(make_errors(1, **grid), n=50, total=200, **grid)
    write_run(Path("tests/runs/v1.json"), run, make_bits(run))

Version 2, with the new fields in use::

    names = ("fog", "blue_noise_sample", "Mist-2.0+x")
    grid = {"corruptions": names, "severities": (1,)}
    run = make_run(make_errors(2, **grid), n=50, total=200, classes=make_classes(), precision="unknown", **grid)
    clean, first, *others = run.cells
    cells = (clean, first.model_copy(update={"top5": None}), *map(without_probabilities, others))
    provenance = run.provenance.model_copy(update={"processes": 2, "compiled": True})
    run = run.model_copy(update={"cells": cells, "provenance": provenance})
    write_run(Path("tests/runs/v2.json"), run, make_bits(run))

Version 3, with predictions::

    grid = {"corruptions": ("fog", "frost"), "severities": (1, 3)}
    run = make_run(make_errors(3, **grid), n=50, total=200, **grid)
    bits = make_bits(run)
    keys = image_keys([f"{place}.png" for place in range(50)])
    write_run(Path("tests/runs/v3.json"), run, bits, keys, make_predictions(bits))

They stay as they are: every later version must read them.
"""

import json
from pathlib import Path

V1, V2, V3 = (Path(__file__).parents[1] / "runs" / f"v{version}.json" for version in (1, 2, 3))


def damage(path, change):
    """Rewrite a run file after ``change`` has had its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
