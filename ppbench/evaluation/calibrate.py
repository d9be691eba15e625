"""Calibrations made with a network of one's own: its accuracy under one corruption or two, at each quarter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppbench.corruptions.fractions import corrupt_at
from ppbench.corruptions.recipes import RECIPES
from ppbench.data.generated import GeneratedImages, saved_as_jpeg
from ppbench.devices import full_precision
from ppbench.errors import DataError, UsageError
from ppbench.evaluation.identity import identify
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.plan import EvalPlan, prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.transport import images_to_device
from ppbench.files import LARGEST_LONG_TEXT, atomic_write, check_regular, check_writable, read_text
from ppbench.launch import launched
from ppbench.lookup import counted
from ppbench.parsing import parse_json
from ppbench.streams.calibration import Calibration, PairTable, Single, write_calibration
from ppbench.streams.crops import RandomCrops
from ppbench.streams.walk import QUARTERS, STREAM_LEVELS, parse_stream
from ppbench.vocabulary import PREDICTED

CALIBRATED = 2000
"""Frames of a calibration by default: an accuracy of 20 % then has a standard error of 0.9 points."""

_READ_AT_ONCE = 64

_Row = tuple[str, str, int, int]
"""First and second corruption (or empty), and their severities in quarters."""


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate a stream with."""

    evaluation: EvalRequest
    """One model and the images, as they are evaluated. Its limit is the number of frames."""
    output: Path
    stream: str = "ccc:easy"
    """The stream whose corruptions are needed; the easy level has those of all."""
    pairs: bool = False
    """Whether pairs are measured; otherwise their accuracies are products of single ones."""
    fresh: bool = False
    """Whether to start over instead of going on from an interrupted calibration."""
    overwrite: bool = False
    """Whether ``output`` may be replaced."""


class CalibrationMade(NamedTuple):
    """A calibration that was made."""

    calibration: Calibration
    measured: int
    """Accuracies that were measured now."""
    reused: int
    """Accuracies that an interrupted calibration had."""


def calibrate(
    request: CalibrationRequest,
    on_download: Callable[[int, int], None] | None = None,
    advance: Callable[..., None] = lambda frames, what, reused=False: None,
) -> CalibrationMade:
    """Measure a network's accuracies and write them as a calibration. After an interruption it goes on from there.

    Args:
        request: What is wanted.
        on_download: Called while weights are downloaded.
        advance: Called with how many more frames were scored, of what, and ``reused=True`` for those of before.

    Raises:
        UsageError: If a value is not allowed, or the output exists.
        DataError: If weights or images are missing or do not fit, or nothing can be written.
    """
    _check(request)
    plan = prepare(request.evaluation, on_download)
    images = plan.source
    if not isinstance(images, GeneratedImages) or images.recipe not in RECIPES:
        raise UsageError(
            "a calibration is made from clean images and a recipe of the 19 corruptions",
            "Give clean images with `--data DIR`.",
        )
    if len(plan.subjects) != 1:
        raise UsageError(f"{counted(len(plan.subjects), 'model')} are given", "A calibration is of one.")
    corruptions = STREAM_LEVELS[parse_stream(request.stream).level].corruptions
    wanted = list(rows_of(corruptions, pairs=request.pairs))
    identity = _identity(plan)
    part = request.output.with_name(f"{request.output.name}.part")
    check_regular(part)
    known = {} if request.fresh else _read_part(part, identity)
    missing = [row for row in wanted if row not in known]
    advance((len(wanted) - len(missing)) * (plan.settings.request.limit or CALIBRATED), "", reused=True)
    with _Part(part, identity, known) as written, torch.inference_mode(), full_precision():
        for row, accuracy in _accuracies(plan, images, missing, advance):
            written.add(row, accuracy)
            known[row] = accuracy
    calibration = _calibration(known, corruptions, pairs=request.pairs)
    write_calibration(request.output, calibration, f"ppbench calibration: {json.dumps(identity)}")
    part.unlink(missing_ok=True)
    return CalibrationMade(calibration, len(missing), len(wanted) - len(missing))


def _check(request: CalibrationRequest) -> None:
    """Refuse several processes, an output that cannot be written or exists, and predicted labels, at once."""
    if (launch := launched()) is not None:
        raise UsageError(
            f"a launcher has started {launch.size} processes, and a calibration is measured by one",
            "Start it without a launcher.",
        )
    check_writable(request.output, "--output FILE.csv")
    if request.output.is_file() and not request.overwrite:
        raise UsageError(f"{request.output} exists", "Give another `--output`, or replace it: `--overwrite`.")
    if request.evaluation.labels == PREDICTED:
        raise UsageError(
            "--labels predicted is not for a calibration, which needs to know what is right",
            "Give labels: `--labels FILE.csv`.",
        )


def rows_of(corruptions: Sequence[str], *, pairs: bool) -> Iterator[_Row]:
    """The accuracies that a calibration of these corruptions needs, in the order of computation."""
    yield "", "", 0, 0
    for name in corruptions:
        yield from ((name, "", step, 0) for step in range(1, QUARTERS))
    for first, second in permutations(corruptions, 2) if pairs else ():
        yield from ((first, second, one, other) for one in range(1, QUARTERS) for other in range(1, QUARTERS))


def _accuracies(
    plan: EvalPlan, images: GeneratedImages, rows: Sequence[_Row], advance: Callable[..., None]
) -> Iterator[tuple[_Row, float]]:
    if not rows:
        return
    settings, seed = plan.settings, plan.settings.request.seed
    frames = np.arange(settings.request.limit or CALIBRATED)
    crops = RandomCrops(images, seed)
    parts = np.split(frames, range(_READ_AT_ONCE, len(frames), _READ_AT_ONCE))
    clean = torch.cat([_loaded(crops, part, plan) for part in parts])
    labels = torch.from_numpy(crops.labels(frames)).to(settings.device)
    ids = [f"calibration/{frame}" for frame in frames]
    network = Inference(
        plan.subjects[0], settings.device, precision=settings.request.precision, resize=settings.request.resize
    )

    def corrupted(x: Tensor, name: str, step: int) -> Tensor:
        return corrupt_at(x, name, step / 4, recipe=images.recipe, seed=seed, ids=ids) if step else x

    last: tuple[str, int, Tensor] = ("", 0, clean)
    for first, second, one, other in rows:
        if last[:2] != (first, one):  # all that is under the same first corruption follows it
            last = first, one, corrupted(clean, first, one)
        made = corrupted(last[2], second, other)
        made = saved_as_jpeg(made) if settings.request.jpeg else made
        scores = network.score(made.permute(0, 3, 1, 2), labels)
        advance(len(frames), f"{first} {one / 4:g}" + (f", {second} {other / 4:g}" if second else ""))
        # This waits for the device: an accuracy is written down as soon as it is known.
        yield (first, second, one, other), int((scores[0] == 0).sum()) / len(frames)


def _loaded(crops: RandomCrops, frames: np.ndarray, plan: EvalPlan) -> Tensor:
    pixels, broken = crops.load(frames)
    if broken:
        raise DataError(broken[0].reason, broken[0].hint)
    return images_to_device(pixels, plan.settings.device)


def _calibration(known: Mapping[_Row, float], corruptions: Sequence[str], *, pairs: bool) -> Calibration:
    clean = known["", "", 0, 0]
    singles: dict[str, Single] = {
        name: np.array([clean, *(known[name, "", step, 0] for step in range(1, QUARTERS))]) for name in corruptions
    }
    tables: dict[tuple[str, str], PairTable] = {}
    for first, second in permutations(corruptions, 2) if pairs else ():
        table = np.empty((QUARTERS, QUARTERS))
        # With one of the two at severity 0, a pair is the other alone, which is measured once.
        table[:, 0], table[0] = singles[first], singles[second]
        for one in range(1, QUARTERS):
            table[one, 1:] = [known[first, second, one, other] for other in range(1, QUARTERS)]
        tables[first, second] = table
    return Calibration(tables, singles)


def _identity(plan: EvalPlan) -> dict[str, Any]:
    """All that decides the accuracies."""
    identity = identify(plan.subjects[0], plan.source, plan.settings)
    key, request = identity.key(plan.settings), plan.settings.request
    kept = ("weights", "dataset", "fingerprint", "recipe", "engine", "preprocessing", "precision", "class_names")
    return {
        "model": identity.model.name,
        **{name: key[name] for name in kept},
        "seed": request.seed,
        "frames": request.limit or CALIBRATED,
        "classes": key.get("classes"),
        "labels": hashlib.sha256(plan.source.labels.tobytes()).hexdigest(),
        "exif": request.exif,
        "jpeg": request.jpeg,
        "device": plan.settings.device.type,
    }


def _read_part(path: Path, identity: Mapping[str, Any]) -> dict[_Row, float]:
    """What an interrupted calibration of the same network and images has; a line that is damaged is left out."""
    try:
        head, *lines = read_text(path, LARGEST_LONG_TEXT).splitlines(keepends=True)
        if identity["weights"] is None or parse_json(head.removeprefix("# ")) != identity:
            return {}
    except (OSError, ValueError):
        return {}
    known = {}
    for line in lines:
        try:
            first, second, one, other, accuracy = line.removesuffix("\n").split(",")
            row, value = (first, second, int(one), int(other)), float(accuracy)
        except ValueError:
            continue
        if line.endswith("\n") and 0 <= value <= 1:
            known[row] = value
    return known


class _Part:
    """The file of accuracies so far. A kill loses none of its lines but the last."""

    def __init__(self, path: Path, identity: Mapping[str, Any], known: Mapping[_Row, float]) -> None:
        self._path = path
        lines = [f"# {json.dumps(identity)}\n", *(_line(row, accuracy) for row, accuracy in known.items())]
        # From what could be read, so that a line that a kill cut short is gone.
        atomic_write(path, "".join(lines), "-o FILE")

    def __enter__(self) -> _Part:
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: _Row, accuracy: float) -> None:
        """Add an accuracy, and hand it to the system."""
        self._file.write(_line(row, accuracy))
        self._file.flush()


def _line(row: _Row, accuracy: float) -> str:
    return f"{','.join(map(str, row))},{accuracy!r}\n"
