"""A run with its bits and keys."""

import numpy as np
import pytest

from ppbench.run import MeasuredRun, image_keys, read_arrays, read_run
from ppbench.vocabulary import CLEAN
from tests.builders import make_bits, make_errors, make_run

GRID = {"corruptions": ("fog", "snow"), "severities": (1, 3)}


@pytest.fixture
def measured():
    run = make_run(make_errors(0, **GRID), n=30, **GRID)
    return MeasuredRun(run, make_bits(run), image_keys([f"{place}.png" for place in range(30)]))


def test_what_is_written_is_what_is_read(measured, tmp_path):
    written = measured.write(tmp_path / "run.json")
    assert written.run == read_run(tmp_path / "run.json")
    assert written.run.bits.file == "run.bits.npy"
    bits, keys = read_arrays(tmp_path / "run.json", written.run)
    assert all((bits[cell] == measured.bits[cell]).all() for cell in measured.bits)
    assert (keys == measured.keys).all()


def test_a_restricted_run_keeps_its_clean_images(measured):
    part = measured.restricted(("snow",), (1, 2))
    assert [cell.key for cell in part.run.cells] == [(CLEAN, 0), ("snow", 1)]
    assert (part.run.protocol.corruptions, part.run.protocol.severities) == (("snow",), (1,))
    assert type(part.run).model_validate(part.run.model_dump()) == part.run
    assert not part.is_part


def test_some_images_have_counts_of_their_bits_alone(measured):
    places = np.array([7, 3, 20])
    part = measured.of_images(places, "1" * 64)
    assert (part.run.protocol.n, part.run.protocol.ids_sha256, part.is_part) == (3, "1" * 64, True)
    for cell in part.run.cells:
        assert (part.bits[cell.key] == measured.bits[cell.key][places]).all()
        assert (cell.n, cell.top1, cell.top5, cell.bin_n) == (3, int(part.bits[cell.key].sum()), None, None)
    assert (part.keys == measured.keys[places]).all()
    assert type(part.run).model_validate(part.run.model_dump()) == part.run
