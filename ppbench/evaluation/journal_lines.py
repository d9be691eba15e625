"""The lines of a journal: JSON behind a checksum, arrays packed. Free of torch."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppbench.evaluation.tally import SUMS, Piece, adds_up, sums_of
from ppbench.evaluation.trials import TrialCounts
from ppbench.parsing import parse_json


def as_line(content: Mapping[str, Any]) -> bytes:
    """JSON on one line, behind its checksum."""
    text = json.dumps(content, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def content_of(line: bytes) -> dict[str, Any] | None:
    """Return the content of a line; None if the line is not whole, as the last one may be after a kill."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        content = parse_json(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def piece_of(entry: Mapping[str, Any]) -> Piece | None:
    """Return the piece of a line; None if no ppbench can have written the line."""
    try:
        corruption, severity = entry["cell"]
        packed = base64.b64decode(entry["right"], validate=True)
        # The bits say how many places there can be: a short line cannot make a huge array.
        places = _unpack_places(entry["places"], most=8 * len(packed))
        right = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(places)).astype(bool)
        sums = None if entry["sums"] is None else np.array(entry["sums"], np.int64)
        scores = trials = None
        if entry.get("scores") is not None:
            kind = np.int64 if entry["long"] else np.int32
            scores = unpack(entry["scores"], kind, 3 * len(places)).reshape(3, -1)
            # Computed again instead of believed: they cannot contradict the scores then.
            right, sums = scores[0] == 0, sums_of(scores)
        predicted = None
        if entry.get("predicted") is not None:
            predicted = unpack(entry["predicted"], np.uint16, len(places))
        if (given := entry.get("trials")) is not None:
            trials = _trials_of(given, len(places))
            right, sums = trials.failures == 0, None
        if "stamp" not in entry:
            unpack(entry["stamps"], np.uint32, len(places))
    except (KeyError, TypeError, ValueError, OverflowError, zlib.error):
        return None
    if not (isinstance(corruption, str) and isinstance(severity, int)) or (sums is not None and sums.shape != (SUMS,)):
        return None
    piece = Piece((corruption, severity), places, right, sums, scores, predicted, trials)
    return piece if adds_up(piece) else None


def entry_of(piece: Piece, of: int, stamps: NDArray[np.uint32]) -> dict[str, Any]:
    """Return the content of a piece's line.

    Args:
        piece: Some images of one cell.
        of: The `hash_of_images` of the images that the piece's places refer to.
        stamps: ``(n,)``, stamps of the piece's images.
    """
    apart = piece.scores is not None
    return {
        "cell": list(piece.cell),
        "of": of,
        "places": _pack_places(piece.places),
        "right": base64.b64encode(np.packbits(piece.right).tobytes()).decode(),
        "sums": None if piece.sums is None or apart else piece.sums.tolist(),
        "scores": _pack(piece.scores) if piece.scores is not None else None,
        "predicted": None if piece.predicted is None else _pack(piece.predicted),
        "long": piece.scores is not None and piece.scores.dtype == np.int64,
        "stamps": _pack(stamps),
        **({} if piece.trials is None else {"trials": _trials_entry(piece.trials)}),
    }


def _trials_entry(trials: TrialCounts) -> dict[str, Any]:
    distances = None if trials.distances is None else _pack(trials.distances)
    entry = {"each": trials.each, "failures": _pack(trials.failures), "distances": distances}
    if trials.right is not None:
        entry["right"] = _pack(np.packbits(trials.right, axis=1))
    return entry


def _trials_of(entry: Mapping[str, Any], images: int) -> TrialCounts:
    """Unpack the trials of some images.

    Raises:
        ValueError: If they are of more or fewer images.
    """
    each = int(entry["each"])
    if entry.get("right") is not None:
        bits = unpack(entry["right"], np.uint8, images * -(-each // 8)).reshape(images, -1)
        return TrialCounts.of_passes(np.unpackbits(bits, axis=1, count=each).astype(bool))
    distances = None if entry["distances"] is None else unpack(entry["distances"], np.uint16, images)
    return TrialCounts(each, unpack(entry["failures"], np.uint8, images), distances)


def _pack(values: NDArray[Any]) -> str:
    """Compress an array, low byte first."""
    return base64.b64encode(zlib.compress(values.astype(values.dtype.newbyteorder("<")).tobytes(), 1)).decode()


def unpack(packed: str, kind: type[np.integer], count: int) -> NDArray[Any]:
    """Unpack an array ``(count,)``.

    Raises:
        ValueError: If it holds more or fewer numbers.
    """
    size = count * np.dtype(kind).itemsize
    # One byte more than allowed shows that there are more, without unpacking what may be gigabytes.
    content = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), size + 1)
    if len(content) != size:
        raise ValueError(f"it does not hold {count} numbers")
    return np.frombuffer(content, np.dtype(kind).newbyteorder("<")).astype(kind)


def hash_of_images(ids: Sequence[str]) -> int:
    """Identify the images that a piece's places refer to, so that a lost line never shifts the places."""
    return zlib.crc32("\n".join(ids).encode("utf-8", "surrogateescape"))


def _pack_places(places: NDArray[np.int64]) -> list[int] | dict[str, int]:
    """Return the places, or ``{"first": …, "step": …, "count": …}`` if they are evenly spaced."""
    steps = np.diff(places)
    step = int(steps[0]) if len(steps) else 1
    # Most blocks are: every image, or each second one of two processes.
    if (steps == step).all():
        return {"first": int(places[0]), "step": step, "count": len(places)}
    return [int(place) for place in places]


def _unpack_places(packed: Sequence[int] | Mapping[str, int], most: int) -> NDArray[np.int64]:
    """Return the places, at most ``most`` of them.

    Raises:
        ValueError: If there are more, or fewer than one.
    """
    count = packed["count"] if isinstance(packed, Mapping) else len(packed)
    if not 0 < count <= most:
        raise ValueError(f"{count} places for {most} results")
    if isinstance(packed, Mapping):
        return packed["first"] + packed["step"] * np.arange(count, dtype=np.int64)
    places = np.array(packed, np.int64)
    if places.ndim != 1:
        raise ValueError(f"places of shape {places.shape}")
    return places
