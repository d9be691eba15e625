"""The journal: what it keeps, what it refuses, and what a kill may do to it."""

from __future__ import annotations

import base64
import json
import os
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ppbench.errors import DataError, UsageError
from ppbench.evaluation.journal import Images, Journal, is_of
from ppbench.evaluation.tally import Piece, count
from ppbench.evaluation.trials import TrialCounts
from tests.forks import run

KEY = {"weights": "a" * 64, "seed": 0, "card": {"mean": [0.1]}}
CELLS = [("clean", 0), ("fog", 1), ("fog", 2)]
N = 20
IMAGES = Images([f"cat/{place}.png" for place in range(N)], [0] * N)


def stamps(cell: tuple[str, int]) -> NDArray[np.uint64]:
    return np.arange(N, dtype=np.uint64) + cell[1]


def record(cell: tuple[str, int], places: list[int], seed: int = 0) -> Piece:
    random = np.random.default_rng(seed)
    scores = random.integers(0, 10**6, (4, len(places))) % [[7], [10**6], [10**6], [1000]]
    return count(cell, np.array(places), scores)._replace(scores=None)


def opened(path: Path, **options: Any) -> Journal:
    images = options.pop("images", IMAGES)
    key, cells, known = options.pop("key", KEY), options.pop("cells", CELLS), options.pop("stamps", stamps)
    return Journal(path, key, cells, known, images, **options)


def filled(path: Path, records: list[Piece]) -> Path:
    journal = opened(path)
    journal.add(records)
    journal.close()
    return path


def same(one: Piece, other: Piece) -> bool:
    if one.sums is None or other.sums is None:
        return one.sums is other.sums
    return one.cell == other.cell and all(
        np.array_equal(a, b) for a, b in zip(one[1:], other[1:], strict=True) if a is not None and b is not None
    )


RECORDS = [record(("clean", 0), [0, 1, 2]), record(("fog", 1), [3, 5, 7]), record(("fog", 2), [1, 2, 9, 4], 1)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "deep" / "run.json.journal", RECORDS)
    journal = opened(path)
    assert all(same(a, b) for a, b in zip(journal.pieces, RECORDS, strict=True))
    assert journal.why is None
    journal.add([record(("clean", 0), [4])])
    journal.close()
    assert len(opened(path).pieces) == 4


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 3000))
def test_cut_anywhere_it_keeps_the_whole_lines_before(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = filled(tmp_path_factory.mktemp("j") / "j", RECORDS)
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    whole = max(0, content.count(b"\n") - 2)
    journal = opened(path)
    assert len(journal.pieces) == whole
    journal.add(RECORDS[whole:])
    journal.close()
    assert all(same(a, b) for a, b in zip(opened(path).pieces, RECORDS, strict=True))


def test_a_damaged_line_is_told_and_the_whole_ones_after_it_are_used(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", RECORDS)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"3", b"4", 1)
    path.write_bytes(b"".join(lines))
    journal = opened(path)
    assert len(journal.pieces) == len(RECORDS) - 1
    assert journal.why == "1 line is damaged"


def signed(content: object) -> bytes:
    """A line whose checksum is right, whatever it says."""
    text = json.dumps(content).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


ENTRY = {"cell": ["fog", 2], "places": [0], "right": "gA==", "sums": None, "stamp": 0}


@pytest.mark.parametrize(
    "entry",
    [
        [],
        {},
        None,
        {**ENTRY, "places": {"first": 0, "step": 1, "count": 10**12}},
        {**ENTRY, "places": {"first": 2**62, "step": 2**62, "count": 8}},
        {**ENTRY, "places": [-1]},
        {**ENTRY, "places": [10**6]},
        {**ENTRY, "places": [[0]]},
        {**ENTRY, "places": []},
        {**ENTRY, "places": [0, 0]},
        {**ENTRY, "places": ["a"]},
        {**ENTRY, "right": "?"},
        {**ENTRY, "right": ""},
        {**ENTRY, "cell": "fog/2"},
        {**ENTRY, "cell": [["fog"], 2]},
        {**ENTRY, "sums": [1]},
        {**ENTRY, "sums": [0] * 47},
        {**ENTRY, "sums": [2**62] * 47},
        {**ENTRY, "sums": "a"},
    ],
)
def test_a_line_that_no_ppbench_wrote_is_told(entry: object, tmp_path: Path) -> None:
    path = filled(tmp_path / "j", RECORDS)
    path.write_bytes(path.read_bytes() + signed(entry))
    journal = opened(path)
    assert len(journal.pieces) == len(RECORDS)
    assert journal.why == "1 line is damaged"


@pytest.mark.parametrize("head", [b"garbage\n", signed([]), signed({"journal": 1}), signed({"journal": 1, "key": 3})])
def test_a_journal_with_a_damaged_head_is_kept_aside(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(head + b"more\n")
    journal = opened(path)
    assert journal.pieces == []
    assert "damaged" in str(journal.why)
    assert journal.put_aside is not None
    assert journal.put_aside.read_bytes() == head + b"more\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": "b" * 64}, "weights differs"),
        ({"card": {"mean": [0.2]}}, "card differs"),
        ({"seed": 1, "weights": ""}, "weights, seed differ)"),
        ({"precision": "bf16"}, "precision differs"),
    ],
)
def test_another_measurement_starts_anew_and_says_why(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = filled(tmp_path / "j", RECORDS)
    key = KEY | change
    assert is_of(path, KEY)
    assert not is_of(path, key)
    journal = opened(path, key=key)
    assert journal.pieces == []
    assert journal.why is not None
    assert words in journal.why
    journal.close()
    assert is_of(path, key)


def test_images_whose_files_were_changed_are_done_again(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", RECORDS)

    def changed(cell: tuple[str, int]) -> NDArray[np.uint64]:
        values = stamps(cell)
        values[5] += 1
        return values

    journal = opened(path, stamps=changed)
    assert [r.cell for r in journal.pieces] == [("clean", 0), ("fog", 2)]
    assert journal.why == "the files of 3 images have changed since"


def test_other_cells_are_kept_for_later(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", RECORDS)
    journal = opened(path, cells=[("fog", 1)])
    assert [r.cell for r in journal.pieces] == [("fog", 1)]
    journal.close()
    assert len(opened(path).pieces) == 3


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    first = opened(tmp_path / "run.json.journal")
    with pytest.raises(UsageError, match=r"another ppbench is writing run\.json"):
        opened(tmp_path / "run.json.journal")
    first.close()
    opened(tmp_path / "run.json.journal").remove()
    assert not (tmp_path / "run.json.journal").exists()


def test_fresh_forgets(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", RECORDS)
    assert opened(path, fresh=True).pieces == []


def test_labels_without_probabilities(tmp_path: Path) -> None:
    bare = Piece(("fog", 1), np.array([2, 3]), np.array([True, False]), None)
    assert opened(filled(tmp_path / "j", [bare])).pieces[0].sums is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        opened(tmp_path / "file" / "j")


def no_file(path: Path, kind: str) -> Path:
    """What is no regular file, and may never end."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
@pytest.mark.parametrize("place", ["j", "j.old"])
def test_what_is_no_file_is_refused_at_once(kind: str, place: str, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from ppbench.errors import DataError
from tests.forks import run
from tests.evaluation.test_journal import KEY, is_of, opened

print(is_of(Path({str(tmp_path / place)!r}), KEY))
try:
    opened(Path({str(tmp_path / "j")!r}), key=KEY | {{"seed": 1}})
except DataError as error:
    print(error.message, error.hint)
"""
    if place == "j.old":
        filled(tmp_path / "j", RECORDS)
    before = (tmp_path / "j").read_bytes() if place == "j.old" else None
    path = no_file(tmp_path / place, kind)
    # A process of its own: what hangs must end.
    done = run(code, timeout=60)
    assert done.returncode == 0, done.stderr
    there, told = done.stdout.splitlines()
    assert there == "True"
    assert told.startswith(f"cannot write {path}: ")
    assert "Move it away, or choose another place with `--output FILE`." in told
    assert before is None or (tmp_path / "j").read_bytes() == before


def test_a_file_that_was_changed_and_put_back_counts_once(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", RECORDS)

    def changed(cell: tuple[str, int]) -> NDArray[np.uint64]:
        return stamps(cell) + 7

    journal = opened(path, stamps=changed)
    journal.add([record(("clean", 0), [2, 1])])
    journal.close()
    again = opened(path)
    assert [r.places.tolist() for r in again.pieces] == [[0, 1, 2], [3, 5, 7], [1, 2, 9, 4]]
    again.add([record(("clean", 0), [3])])
    again.close()
    assert len(opened(path).pieces) == 4


def test_another_measurements_journal_is_kept(tmp_path: Path) -> None:
    path = filled(tmp_path / "run.json.journal", RECORDS)
    journal = opened(path, key=KEY | {"seed": 1})
    assert journal.put_aside == tmp_path / "run.json.journal.old"
    journal.close()
    assert len(opened(journal.put_aside).pieces) == 3


def test_a_full_disk_is_an_error_with_its_mend_and_loses_nothing(tmp_path: Path) -> None:
    code = f"""
import resource, sys
from pathlib import Path
from ppbench.errors import DataError
from tests.evaluation.test_journal import RECORDS, opened

journal = opened(Path({str(tmp_path / "j")!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, resource.RLIM_INFINITY))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    for _ in range(9):
        journal.add(RECORDS[:1])
except DataError as error:
    print(error.message, error.hint)
journal.close()
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert "cannot write" in done.stdout
    assert "What is finished is kept" in done.stdout
    assert same(opened(tmp_path / "j").pieces[0], RECORDS[0])


def scored(cell: tuple[str, int], places: list[int], seed: int = 0) -> Piece:
    """A record as evaluations write it, with a result for each image."""
    random = np.random.default_rng(seed)
    return count(cell, np.array(places), random.integers(0, 10**6, (4, len(places))) % [[7], [10**6], [10**6], [1000]])


SCORED = [scored(("clean", 0), [0, 1, 2, 3]), scored(("fog", 1), [5, 4, 19], 1)]


def test_results_of_single_images_are_read_as_they_were_written(tmp_path: Path) -> None:
    journal = opened(filled(tmp_path / "j", SCORED))
    assert all(same(a, b) for a, b in zip(journal.pieces, SCORED, strict=True))


def without(*gone: int) -> tuple[Images, Any]:
    """The images but some, and their stamps."""
    kept = [place for place in range(N) if place not in gone]
    return Images([IMAGES.ids[place] for place in kept], [0] * len(kept)), lambda cell: stamps(cell)[kept]


def test_results_of_the_images_that_stay_are_kept(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", SCORED)
    images, known = without(1, 4)
    key = KEY | {"ids_sha256": "c" * 64, "n": N - 2, "fingerprint": "d" * 64}
    assert is_of(path, key)
    journal = opened(path, key=key, images=images, stamps=known)
    assert journal.why is None
    assert [r.places.tolist() for r in journal.pieces] == [[0, 1, 2], [3, 17]]
    expected = SCORED[0].part(np.array([True, False, True, True]))
    assert expected is not None
    assert np.array_equal(journal.pieces[0].sums, expected.sums)
    journal.add([scored(("fog", 2), [0, 1])])
    journal.close()
    again = opened(path)  # the images are back: what was added of others lies where they are now
    assert [r.places.tolist() for r in again.pieces] == [[0, 1, 2, 3], [5, 4, 19], [0, 2]]


def test_new_images_leave_the_old_ones_as_they_are(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", SCORED)
    images = Images(["ant/new.png", *IMAGES.ids], [0] * (N + 1))
    journal = opened(path, images=images, stamps=lambda cell: np.concatenate([[np.uint64(99)], stamps(cell)]))
    assert [r.places.tolist() for r in journal.pieces] == [[1, 2, 3, 4], [6, 5, 20]]


def test_of_a_changed_file_and_another_label_only_these_images_are_done_again(tmp_path: Path) -> None:
    path = filled(tmp_path / "j", SCORED)
    labels = [0] * N
    labels[3] = 1

    def changed(cell: tuple[str, int]) -> NDArray[np.uint64]:
        values = stamps(cell)
        values[5] += 1
        return values

    journal = opened(path, stamps=changed, images=IMAGES._replace(labels=labels))
    assert [r.places.tolist() for r in journal.pieces] == [[0, 1, 2], [4, 19]]
    assert journal.why == "the files of 1 image have changed since"


def version_1(path: Path) -> Path:
    """A journal as it was written before there were results of single images."""
    lines = [{"journal": 1, "key": KEY | {"ids_sha256": "a", "n": N}}]
    for one in RECORDS:
        assert one.sums is not None
        stamp = zlib.crc32(stamps(one.cell)[one.places].tobytes())
        right = base64.b64encode(np.packbits(one.right).tobytes()).decode()
        places = [int(place) for place in one.places]
        lines.append({"cell": one.cell, "places": places, "right": right, "sums": one.sums.tolist(), "stamp": stamp})
    texts = [json.dumps(line, separators=(",", ":")).encode() for line in lines]
    path.write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(text), text) for text in texts))
    return path


def test_a_journal_of_version_1_is_read_for_the_images_it_is_of(tmp_path: Path) -> None:
    key = KEY | {"ids_sha256": "a", "n": N, "class_names": "b"}
    path = version_1(tmp_path / "j")
    assert is_of(path, key)
    journal = opened(path, key=key)
    assert all(same(a, b) for a, b in zip(journal.pieces, RECORDS, strict=True))
    journal.add(SCORED[1:])
    journal.close()
    assert len(opened(path, key=key).pieces) == 4
    assert opened_why(path, key | {"ids_sha256": "c"}) == "it is of another measurement (ids_sha256 differs)"


def opened_why(path: Path, key: dict[str, Any]) -> str | None:
    journal = opened(path, key=key)
    journal.close()
    return journal.why


def test_passes_are_read_as_they_were_written_and_only_as_many_as_are_wanted(tmp_path: Path) -> None:
    right = np.random.default_rng(1).random((4, 11)) < 0.6
    trials = TrialCounts.of_passes(right)
    piece = Piece(("fog", 1), np.array([5, 4, 19, 2]), trials.failures == 0, None, trials=trials)

    def kept(passes: int | None) -> list[Piece]:
        key = KEY if passes is None else {**KEY, "passes": passes}
        return Journal(tmp_path / f"{passes}", key, CELLS, stamps, IMAGES).pieces

    for passes in (11, 10, None):
        key = KEY if passes is None else {**KEY, "passes": passes}
        journal = Journal(tmp_path / f"{passes}", key, CELLS, stamps, IMAGES)
        journal.add([piece, *SCORED])
        journal.close()
    (found,) = kept(11)
    assert found.trials is not None
    assert np.array_equal(found.trials.right, right)
    assert np.array_equal(found.trials.failures, (~right).sum(1))
    part = found.part(np.array([True, False, False, True]))
    assert part is not None
    assert np.array_equal(part.trials.right, right[[0, 3]])  # type: ignore[union-attr]
    assert kept(10) == []
    assert len(kept(None)) == len(SCORED)
