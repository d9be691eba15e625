"""Small runs whose images have several trials: of sequences, counted by plain loops over logits, and of passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.run import CellCounts, MeasuredRun, Run, Sequences, Trials, image_keys
from ppbench.vocabulary import CLEAN, P10
from tests.builders import Key, make_run

SEQUENCES = Path(__file__).parent / "runs" / "sequences.json"
"""Written once by ``sequence_run("net", difficulties=(1, 2), n=12).write(SEQUENCES)``."""
NOISE = ("gaussian_noise", "shot_noise", "speckle_noise")


def compared(frames: int, perturbation: str, difficulty: int) -> list[tuple[int, int]]:
    """Pairs (reference, frame) of a sequence."""
    if perturbation in NOISE:
        return [(0, j) for j in range(1, frames)]
    return [(j - difficulty, j) for j in range(difficulty, frames)]


def ranked(logits: NDArray[np.float64]) -> list[int]:
    """Classes from the highest logit to the lowest."""
    return sorted(range(len(logits)), key=lambda c: (-logits[c], c))


def trials_of(logits: NDArray[np.float64], perturbation: str, difficulty: int) -> tuple[list[int], list[int]]:
    """Flips and summed top-5 distances of each of the sequences ``(n, frames, classes)``, in plain loops."""
    flips, distances = [], []
    for sequence in logits:
        ranks = [ranked(frame) for frame in sequence]
        pairs = compared(len(sequence), perturbation, difficulty)
        flips.append(sum(ranks[i][0] != ranks[j][0] for i, j in pairs))
        distances.append(
            sum(abs(k - min(ranks[j].index(c) + 1, 6)) for i, j in pairs for k, c in enumerate(ranks[i][:5], start=1))
        )
    return flips, distances


def make_logits(seed: int, n: int, frames: int, classes: int, jump: float) -> NDArray[np.float64]:
    """Sequences of logits ``(n, frames, classes)`` that wander by ``jump`` a frame."""
    random = np.random.default_rng(seed)
    start = random.normal(size=(n, 1, classes))
    return start + jump * random.normal(size=(n, frames, classes)).cumsum(axis=1)


def sequence_run(
    name: str = "net",
    *,
    seed: int = 0,
    n: int = 20,
    perturbations: Sequence[str] = P10,
    difficulties: Sequence[int] = (1,),
    frames: Mapping[str, int] | None = None,
    classes: int = 10,
    jump: float = 0.2,
    encoding: str = "lossless",
    distances: bool = True,
    **protocol: Any,
) -> MeasuredRun:
    """A run of random sequences with its trials; the name is a part of the seed."""
    counts = {perturbation: 7 if perturbation == "translate" else 5 for perturbation in perturbations}
    counts |= dict(frames or {})
    failures: dict[Key, NDArray[np.uint8]] = {}
    moved: dict[Key, NDArray[np.uint16]] = {}
    for place, perturbation in enumerate(perturbations):
        logits = make_logits(1000 * seed + place + sum(name.encode()), n, counts[perturbation], classes, jump)
        for difficulty in difficulties:
            flips, by = trials_of(logits, perturbation, difficulty)
            failures[perturbation, difficulty] = np.array(flips, np.uint8)
            moved[perturbation, difficulty] = np.array(by, np.uint16)
    sequences = Sequences(frames=counts, encoding=encoding)
    trials = Trials(failures, moved if distances else None)
    fields = {"dataset": "imagenet-p", "recipe": "imagenet-p", "engine": "ppbench sequences 1", **protocol}
    return measured(
        name, trials, {key: sequences.pairs(key) for key in failures}, perturbations, difficulties,
        {**fields, "sequences": sequences}, num_classes=classes,
    )  # fmt: skip


def passes_run(
    name: str = "net",
    *,
    seed: int = 0,
    n: int = 30,
    passes: int = 4,
    corruptions: Sequence[str] = ("fog", "frost"),
    severities: Sequence[int] = (1, 3),
    **protocol: Any,
) -> MeasuredRun:
    """A run of a stochastic model: each image is wrong with a probability of its own."""
    random = np.random.default_rng(seed + sum(name.encode()))
    failures, right = {}, {}
    for key in [(CLEAN, 0), *((corruption, severity) for corruption in corruptions for severity in severities)]:
        wrong = random.random((passes, n)) < random.beta(1, 1 + 2 * (key == (CLEAN, 0)), n)
        failures[key] = wrong.sum(axis=0).astype(np.uint8)
        right[key] = tuple(int(count) for count in (~wrong).sum(axis=1))
    return measured(
        name, Trials(failures), dict.fromkeys(failures, passes), corruptions, severities,
        {**protocol, "passes": passes}, right,
    )  # fmt: skip


def measured(
    name: str,
    trials: Trials,
    each: Mapping[Key, int],
    corruptions: Sequence[str],
    severities: Sequence[int],
    protocol: Mapping[str, Any],
    right_by_pass: Mapping[Key, tuple[int, ...]] | None = None,
    num_classes: int = 1000,
) -> MeasuredRun:
    """A run with these trials: ``each`` has the trials of an image by cell."""
    n = len(next(iter(trials.failures.values())))
    cells = tuple(
        CellCounts(
            corruption=key[0], severity=key[1], n=n, top1=int((failed == 0).sum()), top5=None, nll_micronats=None,
            bin_n=None, bin_top1=None, bin_confidence=None, trials=each[key], failures=int(failed.sum()),
            top5_distance=None if trials.distances is None else int(trials.distances[key].sum()),
            right_by_pass=None if right_by_pass is None else right_by_pass[key],
        )
        for key, failed in trials.failures.items()
    )  # fmt: skip
    bare = make_run({}, name=name, n=n, corruptions=corruptions, severities=severities, status="interrupted")
    content = bare.model_dump()
    content["protocol"] |= dict(protocol)
    content["model"]["card"]["num_classes"] = num_classes
    content["model"]["weights_sha256"] = name.encode().hex().ljust(64, "0")[:64]
    run = Run.model_validate({**content, "status": "complete", "cells": cells})
    return MeasuredRun(run, trials.bits(), image_keys([f"{place}.png" for place in range(n)]), trials=trials)
