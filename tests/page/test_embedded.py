import numpy as np
import pytest

from ppbench.page.embedded import held_run, measured_run
from ppbench.run import read_arrays, read_predictions, read_run
from ppbench.run.predictions import predictions_content
from tests.page.runs import write_pages_run


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_pages_run(tmp_path_factory.mktemp("embedded") / "run.json")


def held_of(path, room):
    return held_run(measured_run(path, read_run(path)), path.name, room)


def test_everything_is_held_if_there_is_room(path):
    held = held_of(path, 10**6)
    assert set(held.held) == {"bits", "keys", "predictions"}
    assert held.left_out == ()
    assert held.note == ""


def test_keys_go_first_then_predictions_then_bits(path):
    order = list(dict.fromkeys(held_of(path, room).held for room in range(0, 60_000, 500)))
    assert order == [(), ("bits",), ("keys", "bits"), ("predictions", "bits"), ("keys", "predictions", "bits")]


@pytest.mark.parametrize("room", [0, 16_000, 22_000, 30_000, 60_000])
def test_what_is_held_is_read_back(path, room, tmp_path):
    run = read_run(path)
    held = held_of(path, room)
    page = tmp_path / "page.html"
    page.write_text(f"<p>any</p>\n{held.blocks}\n")
    read = read_run(page)
    assert read.cells == run.cells
    assert (read.bits is not None) == ("bits" in held.held)
    assert (read.predictions is not None) == ("predictions" in held.held)
    if "bits" in held.held:
        bits, keys = read_arrays(page, read)
        assert all(np.array_equal(bits[cell], own) for cell, own in read_arrays(path, run)[0].items())
        assert (keys is not None) == ("keys" in held.held)
    if "predictions" in held.held:
        assert np.array_equal(read_predictions(page, read).labels, read_predictions(path, run).labels)


@pytest.mark.parametrize("room", [0, 22_000, 10**6])
def test_predictions_are_compressed_once_whatever_fits(path, room, monkeypatch):
    written = []

    def counted(run, predictions):
        written.append(run)
        return predictions_content(run, predictions)

    monkeypatch.setattr("ppbench.run.store.predictions_content", counted)
    held_of(path, room)
    assert len(written) == 1


def test_the_note_says_what_is_lost(path):
    note = held_of(path, 0).note
    assert "lacks the keys of its images" in note
    assert "predictions, which worst classes" in note
    assert "correctness bits, which intervals" in note


def test_a_damaged_part_is_left_out(path, tmp_path):
    for file in path.parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "run.predictions.npy.gz").write_bytes(b"damaged")
    held = held_of(tmp_path / "run.json", 10**6)
    assert set(held.held) == {"bits", "keys"}
