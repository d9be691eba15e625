"""What keeping the predictions of an evaluation costs: processor time for each image and cell, and size on the disk.

python -m tests.bench.bench_predictions

The cost is of everything that only predictions need: the index of the highest logit, its way into the journal, and the
packing of the file. It is set against the scoring of the same batch and, at full size, counted for 50,000 images in 76
cells with uniformly random wrong classes, which compress worst.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from ppbench.evaluation.inference import score
from ppbench.evaluation.journal_lines import _pack
from ppbench.run.predictions import predictions_content
from tests.bench import record
from tests.bench.record import column, figure, single
from tests.builders import make_bits, make_errors, make_predictions, make_run

PASSES = 9
IMAGES = 50_000


def seconds(work: Callable[[], object], times: int) -> list[float]:
    """Processor seconds of one call, in each of some passes."""
    found = []
    for _ in range(PASSES):
        start = time.process_time()
        for _ in range(times):
            work()
        found.append((time.process_time() - start) / times)
    return found


def rows() -> list[dict[str, object]]:
    """The measured rows."""
    found = []
    for classes, batch in ((10, 64), (1000, 256)):
        logits, labels = torch.randn(batch, classes), torch.randint(0, classes, (batch,))
        numbers = logits.argmax(1).numpy().astype(np.uint16)
        extra = [
            sum(parts)
            for parts in zip(
                seconds(lambda logits=logits: logits.argmax(1), 200),  # type: ignore[misc]
                seconds(lambda numbers=numbers: _pack(numbers), 200),  # type: ignore[misc]
                strict=True,
            )
        ]
        whole = seconds(lambda logits=logits, labels=labels: score(logits, labels), 100)  # type: ignore[misc]
        name = f"{classes} classes, batches of {batch}"
        of_image = [figure([1e6 * value / batch for value in values]) for values in (extra, whole)]
        found.append({"name": name, "extra": of_image[0], "score": of_image[1], "size": None, "goal": None})
    run = make_run(make_errors(0), n=IMAGES)
    predictions = make_predictions(make_bits(run), 1000)
    size = len(predictions_content(run, predictions)) / 1e6
    packing = seconds(lambda: predictions_content(run, predictions), 1)
    cells = IMAGES * len(run.cells)
    found.append(
        {
            "name": "the file of 50,000 images in 76 cells",
            "extra": figure([1e6 * value / cells for value in packing]),
            "score": None,
            "size": single(size),
            "goal": {"of": "size", "at_most": 12.0},
        }
    )
    return found


def main() -> None:
    """Measure, print and perhaps write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    record.add_json_option(parser)
    given = parser.parse_args()
    torch.set_num_threads(1)
    measured = rows()
    for row in measured:
        print(row)
    if given.json:
        columns = [
            column("extra", "predictions", 2, "µs an image and cell"),
            column("score", "scoring in all", 2, "µs an image and cell"),
            column("size", "size", 1, "MB"),
        ]
        settings = "one thread, processor time"
        record.save(given.json, __file__, settings, columns, measured, n=PASSES, first_column="what")


if __name__ == "__main__":
    main()
