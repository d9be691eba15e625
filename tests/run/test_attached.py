"""Files that belong to a run, beside its run file or inside a page."""

import base64
import io
import zlib

import numpy as np
import pytest

from ppbench.errors import DataError
from ppbench.run import Run, data_blocks, image_keys, read_arrays, read_predictions, read_run, with_files
from tests.builders import make_bits, make_errors, make_predictions, make_run

GRID = {"corruptions": ("fog", "snow"), "severities": (1, 3)}


@pytest.fixture
def page(tmp_path):
    """A page with a run, its bits and its predictions: path, run, bits, predictions."""
    run = make_run(make_errors(0, **GRID), n=30, name="a </script><script>alert(1)</script> & <!-- b", **GRID)
    bits = make_bits(run)
    predictions = make_predictions(bits)
    keys = image_keys([f"{place}.png" for place in range(30)])
    path = tmp_path / "report.html"
    written, files = with_files(tmp_path / "run.json", run, bits, keys, predictions)
    blocks = data_blocks(written.model_dump(mode="json"), files)
    path.write_text(f"<!doctype html><title>x</title><p>some text</p>\n{blocks}\n", encoding="utf-8")
    return path, written, bits, predictions


def test_a_page_is_read_like_a_run_file(page):
    path, run, bits, predictions = page
    found = read_run(path)
    assert found == run
    read, keys = read_arrays(path, found)
    assert all((read[cell] == bits[cell]).all() for cell in bits)
    assert len(keys) == 30
    assert (read_predictions(path, found).classes["snow", 1] == predictions.classes["snow", 1]).all()


def test_names_in_the_run_cannot_end_the_block(page):
    path, run, *_ = page
    text = path.read_text()
    assert text.count("<script") == text.count("</script>") == 3
    assert read_run(path).model.name == run.model.name


def test_a_page_without_a_run_says_so(tmp_path):
    path = tmp_path / "other.html"
    path.write_text("<!doctype html><p>hello")
    with pytest.raises(DataError, match=r"other\.html is not a run file: the page holds no run"):
        read_run(path)
    with pytest.raises(DataError, match="cannot read the run"):
        read_run(tmp_path / "absent.html")


def test_a_page_without_the_bits_or_with_others_says_so(page):
    path, run, *_ = page
    before, _, after = path.read_text().partition(f'data-ppbench-sha256="{run.bits.sha256}">')
    assert after
    rest = after.partition("<")[2]
    for block in ("", "%%%", base64.b64encode(b"not zlib").decode()):
        path.write_text(f'{before}data-ppbench-sha256="{run.bits.sha256}">{block}<{rest}')
        with pytest.raises(DataError, match="does not hold the results image by image") as caught:
            read_arrays(path, run)
        assert "ppbench report" in caught.value.hint
    path.write_text(before)
    with pytest.raises(DataError, match="does not hold"):
        read_arrays(path, run)


def test_a_bomb_in_a_page_is_refused_without_being_unpacked(page):
    path, run, *_ = page
    before, found, after = path.read_text().partition(f'data-ppbench-sha256="{run.bits.sha256}">')
    bomb = base64.b64encode(zlib.compress(bytes(2**24), 9)).decode()
    path.write_text(f"{before}{found}{bomb}<{after.partition('<')[2]}")
    with pytest.raises(DataError, match="does not hold"):
        read_arrays(path, run)


def test_a_damaged_run_in_a_page_is_refused(page):
    path, *_ = page
    path.write_text(path.read_text().replace('"version": 3', '"version": 99'))
    with pytest.raises(DataError, match="version 99"):
        read_run(path)


def test_without_keys_the_bits_have_another_hash(page):
    path, run, bits, _ = page
    bare, files = with_files(path, Run.model_validate(run.model_dump()), bits)
    assert bare.bits.sha256 != run.bits.sha256
    assert len(files) == 1
    assert np.load(io.BytesIO(next(iter(files.values())))).shape == (5, 4)


def test_a_page_with_two_runs_is_refused(page):
    path, *_ = page
    text = path.read_text()
    block = next(line for line in text.splitlines() if 'id="ppbench-run"' in line)
    path.write_text(f"{block}\n{text}")
    with pytest.raises(DataError, match=r"report\.html is not a run file: the page holds 2 runs"):
        read_run(path)
