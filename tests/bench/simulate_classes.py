"""The tables on classes, flips and error consistency of docs/statistics.md: ``python -m tests.bench.simulate_classes``.

It takes about a minute. Synthetic images with a difficulty of their own (tests/metrics/synthetic.py).
"""

from __future__ import annotations

import argparse
from statistics import NormalDist

import numpy as np

from ppbench.metrics.by_class import added_confusions, class_errors, mean_of_few
from ppbench.metrics.consistency import error_consistency
from ppbench.metrics.flips import flip_shares
from ppbench.metrics.intervals import Interval, fraction_interval
from ppbench.vocabulary import CLEAN, SEVERITIES
from tests.builders import Key
from tests.metrics.synthetic import SPREAD, THREE, draw

CELLS = [(name, severity) for name in THREE for severity in SEVERITIES]
NORMAL = NormalDist()


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="Repetitions of each simulation.")
    runs = parser.parse_args().runs
    print_class_errors(runs)
    print_false_alarms(runs // 4)
    print_confusions(runs)
    print_flips(runs)
    print_consistency(runs)


def errors_around(middle: float, clean: float = 0.05) -> dict[Key, float]:
    """True errors that rise with severity, the same for three corruptions."""
    offset = NORMAL.inv_cdf(middle)
    return {(CLEAN, 0): clean, **{cell: NORMAL.cdf(offset + SPREAD * (cell[1] - 3)) for cell in CELLS}}


def covers(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval.low - 1e-12 <= truth <= interval.high + 1e-12


def percent(count: float, of: float) -> str:
    return f"{100 * count / of:.1f} %"


def print_class_errors(runs: int) -> None:
    """Coverage of a class's mean error, beside that of the interval for many images."""
    print("\n| images of the class | error 2 % | 5 % | 18 % | 50 % | 82 % |\n| --- | --- | --- | --- | --- | --- |")
    random = np.random.default_rng(0)
    for n in (2, 5, 10, 20, 50, 200):
        row = []
        for middle in (0.01, 0.03, 0.15, 0.5, 0.85):
            errors = errors_around(middle)
            true = float(np.mean([errors[cell] for cell in CELLS]))
            values = draw(random, [errors], n * runs)[0][1:].mean(axis=0).reshape(runs, n)
            few = sum(covers(mean_of_few(own), true) for own in values)
            many = sum(covers(fraction_interval(float(own.mean()), float(own.std(ddof=1)), n), true) for own in values)
            row.append(f"{percent(few, runs)} ({percent(many, runs)})")
        print(f"| {n} | {' | '.join(row)} |")


def print_false_alarms(runs: int) -> None:
    """How often any class is called unlike the others, if all are alike."""
    print("\n| classes | images of each | some class stands out |\n| --- | --- | --- |")
    random = np.random.default_rng(1)
    for classes, n in ((10, 20), (10, 100), (100, 5), (100, 20), (100, 50)):
        labels = np.repeat(np.arange(classes), n)
        alarms = 0
        for _ in range(runs):
            errors = draw(random, [errors_around(0.5)], len(labels))[0]
            bits = {cell: ~errors[place] for place, cell in enumerate([(CLEAN, 0), *CELLS])}
            alarms += any(one.p is not None and one.p < 0.05 for one in class_errors(labels, bits, CELLS))
        print(f"| {classes} | {n} | {percent(alarms, runs)} |")


def print_confusions(runs: int) -> None:
    """Coverage of an added confusion, and how often one is found among pairs to which nothing is added."""
    print("\n| images of the class | clean 1 %, corrupted 10 % | 5 %, 40 % | 5 %, 5 % | found of 5 %, 5 % |")
    print("| --- | --- | --- | --- | --- |")
    random = np.random.default_rng(2)
    for n in (5, 10, 20, 50, 200):
        row, found = [], 0
        labels = np.zeros(n, np.int64)
        for clean, middle in ((0.01, 0.08), (0.05, 0.38), (0.05, None)):
            errors = errors_around(middle or clean, clean)
            if middle is None:
                errors = dict.fromkeys(errors, clean)
            true = float(np.mean([errors[cell] for cell in CELLS])) - clean
            wrong = draw(random, [errors], n * runs)[0].reshape(len(errors), runs, n)
            hits = 0
            for run in range(runs):
                classes = {cell: wrong[place, run].astype(np.int64) for place, cell in enumerate(errors)}
                pairs = added_confusions(labels, classes, CELLS, 2)
                # A pair that became no more frequent is not listed. With nothing added that is no miss.
                hits += covers(pairs[0].added, true) if pairs else middle is None
                found += middle is None and bool(pairs) and pairs[0].p < 0.05
            row.append(percent(hits, runs))
        print(f"| {n} | {' | '.join(row)} | {percent(found, runs)} |")


def print_flips(runs: int) -> None:
    """Coverage of the shares of images that flip first at severities 1, 3 and 5, and never."""
    print("\n| images | first at 1 | at 3 | at 5 | never | returned |\n| --- | --- | --- | --- | --- | --- |")
    random = np.random.default_rng(3)
    errors = errors_around(0.4)
    keys = list(errors)

    def shares(images: int) -> list[Interval]:
        wrong = draw(random, [errors], images)[0]
        found = flip_shares({key: ~wrong[place] for place, key in enumerate(keys)}, THREE, SEVERITIES)
        return [*(found.first[severity] for severity in (1, 3, 5)), found.never, found.returned]

    true = [share.value for share in shares(1_000_000)]
    for n in (20, 50, 200, 1000):
        hits = np.zeros(len(true))
        for _ in range(runs // 2):
            hits += [covers(share, value) for share, value in zip(shares(n), true, strict=True)]
        print(f"| {n} | {' | '.join(percent(count, runs // 2) for count in hits)} |")


def print_consistency(runs: int) -> None:
    """Coverage of kappa in one cell and as the mean over cells."""
    print("\n| images | in common | errors | kappa of a cell, of the mean | a cell | mean of 15 |")
    print("| --- | --- | --- | --- | --- | --- |")
    random = np.random.default_rng(4)
    for same, middle in ((0.5, 0.4), (0.9, 0.4), (0.5, 0.05), (0.99, 0.05)):
        errors = [errors_around(middle), errors_around(0.8 * middle)]
        keys = list(errors[0])

        def kappas(images: int, errors: list[dict[Key, float]] = errors, same: float = same) -> list[Interval | None]:
            one, other = (
                {key: ~wrong[place] for place, key in enumerate(keys)}  # noqa: B023
                for wrong in draw(random, errors, images, same=same)
            )
            return [error_consistency(one, other, cells).interval for cells in ([("fog", 3)], CELLS)]

        true = [found.value for found in kappas(500_000) if found is not None]
        for n in (50, 200, 1000):
            hits, known = np.zeros(2), np.zeros(2)
            for _ in range(runs // 2):
                found = kappas(n)
                known += [one is not None for one in found]
                hits += [covers(one, value) for one, value in zip(found, true, strict=True)]
            rates = " | ".join(percent(count, of) for count, of in zip(hits, known, strict=True))
            print(f"| {n} | {same} | {100 * middle:g} % | {true[0]:.2f}, {true[1]:.2f} | {rates} |")


if __name__ == "__main__":
    main()
