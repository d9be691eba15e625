"""The tables of docs/statistics.md: ``python -m tests.bench.simulate_statistics`` (several minutes).

Synthetic images with a difficulty of their own (tests/metrics/synthetic.py), and models with ResNet-50's published
errors on ImageNet-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from ppbench.check.verdict import Status
from ppbench.metrics.intervals import deviation
from ppbench.metrics.paired import images_needed
from ppbench.metrics.references import ALEXNET
from ppbench.vocabulary import C15, SEVERITIES
from tests.check.simulate import RULES, alarms, verdicts
from tests.evaluation.simulate import decisions
from tests.metrics.forms import parts
from tests.metrics.simulate import coverage, false_alarms, gain, looking, power, rough, sparse, sparse_sequences
from tests.metrics.synthetic import draw, per_image, truth

CLASSES = 1000
OF_CLASS = 0.2
TOTAL = 50_000
NOISY = 2.0
"""Standard errors of a simulated rate that are printed."""


def main() -> None:
    """Print all tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3000, help="Repetitions of each simulation.")
    tables: dict[str, Callable[[int], None]] = {
        "needed": lambda runs: print_needed(),
        "coverage": print_coverage,
        "rough": lambda runs: print_rough(runs // 2),
        "sequences": lambda runs: print_sequences(runs // 2),
        "tests": print_tests,
        "gain": print_gain,
        "sparse": print_sparse,
        "alarms": print_alarms,
        "verdicts": lambda runs: print_verdicts(runs // 3),
        "decisions": lambda runs: print_decisions(runs // 6),
    }
    parser.add_argument("--only", choices=tables, nargs="+", default=list(tables), help="These tables.")
    arguments = parser.parse_args()
    for name in arguments.only:
        tables[name](arguments.runs)


def print_needed() -> None:
    """Images for a half-width of mCE, and to find a point of difference, by how much cells have in common."""
    names = "shared | deviation | ±1.0 | ±0.5 | ±0.5, strata, of 50,000 | of a pair | 1 point | 0.5 points"
    print(f"\n| {names} |\n{'| --- ' * 8}|")
    for shared in (0.3, 0.5, 0.7):
        whole, within, pair, close = deviations(shared)
        stratified = images_needed(within, 0.5, power=0.5)
        cells = [
            f"{shared}",
            f"{whole:.1f}",
            *(f"{images_needed(whole, width, power=0.5):,}" for width in (1.0, 0.5)),
            f"{round(stratified / (1 + stratified / TOTAL)):,}",
            f"{pair:.1f}; {close:.1f}",
            *(f"{images_needed(pair, d):,}; {images_needed(close, d):,}" for d in (1.0, 0.5)),
        ]
        print(f"| {' | '.join(cells)} |")


def deviations(shared: float, images: int = 20_000) -> tuple[float, float, float, float]:
    """Standard deviations over images, in points of mCE.

    Of one model, of it within classes, and of the difference of two models that have 0.9 or 0.97 in common.
    """
    random = np.random.default_rng(0)
    errors = truth()
    better = {key: 0.987 * value for key, value in errors.items()}
    classes = np.arange(images) % CLASSES
    effects = random.standard_normal(CLASSES)
    found = []
    for same in (0.9, 0.97):
        hits = draw(
            random,
            [errors, better],
            images,
            classes=classes,
            of_class=OF_CLASS,
            class_effects=effects,
            shared=shared,
            same=same,
        )
        a, b = (100 * parts("mCE", per_image(list(errors), hit), C15, SEVERITIES, ALEXNET) for hit in hits)
        found.append((deviation(a), deviation(a, classes), deviation(a - b)))
    return found[0][0], found[0][1], found[0][2], found[1][2]


def print_coverage(runs: int) -> None:
    """How often 95 % intervals cover, at two sizes."""
    tables = [coverage(runs, images) for images in (100, 300, 1000)]
    print("\n| 95 % interval of | 100 images | 300 images | 1000 images |\n| --- | --- | --- | --- |")
    for name in tables[0]:
        print(f"| {name} | {' | '.join(f'{100 * table[name]:.1f} %' for table in tables)} |")
    print(f"\n{runs} runs; a rate is uncertain by ± {100 * NOISY * (0.05 * 0.95 / runs) ** 0.5:.1f} points.")


def print_rough(runs: int) -> None:
    """Relative mCE against a run with a denominator near 0."""
    print("\n| images | denominator, points | interval below | interval above | told | n/a |")
    print("| --- | --- | --- | --- | --- | --- |")
    for images in (300, 1000):
        for above_clean in (0.01, 0.02, 0.04, 0.08):
            rates = " | ".join(f"{100 * rate:.1f} %" for rate in rough(runs, images, above_clean))
            print(f"| {images} | {100 * above_clean:g} | {rates} |", flush=True)


def print_sequences(runs: int) -> None:
    """Looking after every 50 images."""
    cases = {
        "images like these": {},
        "the 1500 of a dataset": {"total": 1500},
        "the 1500, equal shares of 20 classes": {"total": 1500, "of_class": 0.4, "stratified": True},
    }
    print(
        "\n| mean error of | right at every look | at the stop | fixed intervals, every look | images | times fixed |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, arguments in cases.items():
        found = looking(runs, **arguments)
        rates = " | ".join(f"{100 * rate:.1f} %" for rate in (found.covered, found.at_stop, found.naive))
        print(f"| {name} | {rates} | {found.images:.0f} | {found.cost:.2f} |")


def print_tests(runs: int) -> None:
    """Power of the paired test, and what tests find where there is nothing."""
    print("\n| images | found by pairs | formula | intervals apart |\n| --- | --- | --- | --- |")
    for images in (100, 200, 300):
        found = power(runs, images)
        print(f"| {images} | {100 * found.found:.1f} % | {100 * found.formula:.1f} % | {100 * found.unpaired:.1f} % |")
    paired, single = false_alarms(runs, 300)
    print(f"\nWhere there is none: {100 * paired:.1f} % (paired), {100 * single:.1f} % (McNemar, one cell).")


def print_gain(runs: int) -> None:
    """What strata and the finite dataset are worth."""
    found = gain(runs)
    print(
        f"\n400 of 2000 images, 20 classes: covered {100 * found.covered:.1f} % with both, {100 * found.unaware:.1f} % "
        f"without; width {found.simple:.2f} by strata, {found.both:.2f} by both."
    )


def print_sparse(runs: int) -> None:
    """Pairs of models that differ on few of 500 images, by how many are expected to become worse and better."""
    print("\n| worse, better | interval covers | test finds | width |\n| --- | --- | --- | --- |")
    for worse, better in ((0.5, 0), (3, 0), (8, 0), (12, 0), (20, 0), (10, 2), (2, 2), (5, 5), (15, 15), (40, 30)):
        found = sparse(runs, 500, worse, better)
        print(
            f"| {worse}, {better} | {100 * found.covered:.1f} % | {100 * found.found:.1f} % | {found.wide:.2f} |",
            flush=True,
        )
    print("\n| worse, better | half-width | right at every look | images | times fixed |")
    print("| --- | --- | --- | --- | --- |")
    for worse, better, half_width in ((0.02, 0, 0.7), (0.01, 0.002, 0.5), (0.01, 0.01, 0.7)):
        held, images, cost = sparse_sequences(runs // 3, worse, better, half_width)
        shares = f"{100 * worse:g} %, {100 * better:g} %"
        print(f"| {shares} | {half_width} | {100 * held:.1f} % | {images:,.0f} | {cost:.2f} |", flush=True)


def print_alarms(runs: int) -> None:
    """Checks at no drop, without tolerance."""
    print(
        "\n| images | in common | errors | any of 15 rules fails | the most frequent |\n| --- | --- | --- | --- | --- |"
    )
    for images, same, easier in ((500, 0.9, 1.0), (500, 0.97, 1.0), (200, 0.99, 0.15)):
        found = alarms(runs, images, same=same, easier=easier)
        name = max(RULES, key=found.by_rule.__getitem__)
        print(
            f"| {images} | {same} | × {easier:g} | {100 * found.any_rule:.1f} % | "
            f"{name}, {100 * found.by_rule[name]:.1f} % |",
            flush=True,
        )


def print_verdicts(runs: int) -> None:
    """Checks with 2 points allowed, of models that are worse by less and by more."""
    statuses = (Status.PASS, Status.UNDECIDED, Status.PERHAPS, Status.WORSE)
    names = (
        "rules",
        "images",
        "true drop",
        "pass",
        "of these underpowered",
        *(status.words for status in statuses[1:]),
    )
    print(f"\n{runs} runs\n\n| {' | '.join(names)} |\n{'| --- ' * len(names)}|")
    for rules in ({"mean": 2.0}, dict.fromkeys(RULES, 2.0)):
        for images in (200, 500, 2000):
            for drop in (0.0, 1.0, 1.9, 2.0, 2.5, 3.0):
                found = verdicts(runs, images, drop, rules)
                shares = [found.rates[Status.PASS], found.powerless, *(found.rates[status] for status in statuses[1:])]
                cells = [f"{len(rules)}", f"{images:,}", f"{drop:g}", *(f"{100 * share:.1f} %" for share in shares)]
                print(f"| {' | '.join(cells)} |", flush=True)


def print_decisions(runs: int) -> None:
    """``--until-decided`` with 2 points tolerated, and with few images for what is tolerated."""
    print(f"\n{runs} runs\n\n| images, tolerated | true drop | decided within | decided beyond | images |")
    print("| --- | --- | --- | --- | --- |")
    many, few = (2560, 2.0), (500, 0.5)
    for (images, max_drop), drops in ((many, (0.0, 1.0, 2.0, 3.0, 4.0)), (few, (0.0, 0.5, 2.0, 4.0, 6.0))):
        for drop in drops:
            found = decisions(runs, drop, max_drop, images=images)
            rates = f"{100 * found.within:.1f} % | {100 * found.beyond:.1f} % | {found.images:,.0f}"
            print(f"| {images:,}, {max_drop:g} | {drop:g} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
