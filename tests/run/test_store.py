"""Reading and writing run files of every version."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppbench.errors import DataError
from ppbench.run import VERSION, ClassSubset, expected_cells, read_bits, read_run, write_run
from ppbench.vocabulary import C15, CLEAN
from tests.builders import make_bits, make_errors, make_run, without_probabilities
from tests.run.files import V1, V2, damage


def test_what_is_written_is_what_is_read(written):
    path, run, bits = written
    assert read_run(path) == run
    found = read_bits(path, run)
    assert found.keys() == bits.keys()
    assert all(np.array_equal(found[key], bits[key]) for key in bits)
    assert {cell.key: int(bits[cell.key].sum()) for cell in run.cells} == {cell.key: cell.top1 for cell in run.cells}


def test_a_path_may_be_a_text(written):
    path, run, _ = written
    assert read_run(str(path)) == run
    assert read_bits(str(path), run).keys() == read_bits(path, run).keys()


def test_version_1_is_still_read():
    run = read_run(V1)
    assert [cell.key for cell in run.cells] == expected_cells(("fog", "frost"), (1, 3))
    assert (run.protocol.n, run.protocol.total) == (50, 200)
    bits = read_bits(V1, run)
    assert all(int(bits[cell.key].sum()) == cell.top1 for cell in run.cells)


def test_version_2_is_read_with_all_that_it_added():
    run = read_run(V2)
    assert run.protocol.corruptions == ("fog", "blue_noise_sample", "Mist-2.0+x")
    assert run.protocol.classes == ClassSubset(n=200, outputs=1000, names_sha256="3" * 64, logits="masked")
    assert (run.protocol.precision, run.provenance.processes, run.provenance.compiled) == ("unknown", 2, True)
    clean, fog, *others = run.cells
    assert (clean.top5, fog.top5, fog.nll_micronats) == (40, None, 25_000_000)
    assert others == [without_probabilities(cell) for cell in others]
    bits = read_bits(V2, run)
    assert all(int(bits[cell.key].sum()) == cell.top1 for cell in run.cells)


@pytest.mark.parametrize("path", [V1, V2], ids=["v1", "v2"])
def test_a_run_of_any_version_is_written_as_the_present_one(path, tmp_path):
    run = read_run(path)
    assert run.version == VERSION == 3
    write_run(tmp_path / "again.json", run)
    assert read_run(tmp_path / "again.json") == run


def as_version_1(content):
    """What version 1 would have written of a run that uses nothing newer."""
    del content["protocol"]["classes"], content["provenance"]["processes"], content["provenance"]["compiled"]
    content["version"] = 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, 99), st.sets(st.sampled_from(C15)), st.sets(st.integers(1, 5)), st.integers(1, 60))
def test_a_migrated_run_is_the_run_with_the_defaults(tmp_path, seed, names, severities, n):
    names, severities = sorted(names), sorted(severities)
    run = make_run(make_errors(seed, names, severities), corruptions=names, severities=severities, n=n)
    path = tmp_path / "run.json"
    write_run(path, run)
    damage(path, as_version_1)
    assert read_run(path) == run


def test_the_file_has_one_line_per_cell_and_no_ratios(written):
    path, run, _ = written
    lines = path.read_text().splitlines()
    assert sum(line.lstrip().startswith('{"corruption"') for line in lines) == len(run.cells) == 6
    assert all(not isinstance(value, float) for value in json.loads(path.read_text())["cells"][0].values())


def test_an_interrupted_run_keeps_what_is_finished(tmp_path):
    run = make_run({(CLEAN, 0): 0.1, ("fog", 1): 0.5})
    path = tmp_path / "run.json"
    write_run(path, run, make_bits(run))
    found = read_run(path)
    assert (found.status, len(found.cells), len(found.protocol.corruptions)) == ("interrupted", 2, 15)
    assert found.cell("fog", 1) == run.cells[1]
    assert found.cell("fog", 2) is None
    assert set(read_bits(path, found)) == {(CLEAN, 0), ("fog", 1)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(version=4), "version 4; this ppbench reads up to 3"),
        (lambda content: content.pop("version"), "it has no version"),
        (lambda content: content.update(version="1"), "it has no version"),
        (lambda content: content.update(version=0), "damaged: version"),
        (lambda content: content.pop("protocol"), "damaged: protocol: Field required"),
        (lambda content: content.update(extra=1), "damaged: extra"),
        (lambda content: content["cells"][1].update(top1=31), "damaged: cells.1: .*top1 31"),
        (lambda content: content["cells"][1].update(n=0), "damaged: cells.1.n"),
        (lambda content: content["cells"][1].update(top5=0), "damaged: cells.1"),
        (lambda content: content["cells"][1].update(bin_n=[0] * 15), "do not add up"),
        (lambda content: content["cells"][1].update(bin_n=[30]), "damaged: cells.1.bin_n"),
        (lambda content: content["cells"][1].update(top1=31, top5=None), "top1 31 <= n 30 does not hold"),
        (lambda content: content["cells"][1].update(bin_n=None), "damaged: cells.1: .* together or not at all"),
        (lambda content: content["cells"][1].update(corruption="foggy"), "foggy at severity 1 is not among the cells"),
        (
            lambda content: content["cells"][1].update(corruption="f/og"),
            "cells.1.corruption: 'f/og' is not a corruption",
        ),
        (lambda content: content["cells"][1].update(corruption="clean"), "severity 0 is for clean images"),
        (lambda content: content["cells"][1].update(severity=6), "damaged: cells.1.severity"),
        (lambda content: content["cells"].append(content["cells"][1]), "a cell occurs twice"),
        (lambda content: content["protocol"].update(corruptions=["mi st"]), "'mi st' is not a corruption's name"),
        (lambda content: content["protocol"].update(classes={"n": 5}), "damaged: protocol.classes.outputs"),
        (lambda content: content["protocol"].update(precision="fp8"), "damaged: protocol.precision"),
        (lambda content: content["provenance"].update(processes=0), "damaged: provenance.processes"),
        (lambda content: content["protocol"].update(severities=[0]), "damaged: protocol.severities.0"),
        (lambda content: content["protocol"].update(severities=[1, 1]), "damaged: protocol: .* occurs twice"),
        (lambda content: content["protocol"].update(corruptions=["fog", "fog"]), "damaged: protocol: .* occurs twice"),
        (lambda content: content["protocol"].update(n=31), "damaged: protocol: n 31 <= total 30 does not hold"),
        (lambda content: content["protocol"].update(n=29), "damaged: run: clean has n 30, the protocol 29"),
        (lambda content: content["protocol"].update(corruptions=["snow"]), "fog at severity 1 is not among the cells"),
        (lambda content: content["protocol"].update(severities=[1, 2]), "fog at severity 3 is not among the cells"),
        (lambda content: content["protocol"].update(corruptions=["fog", "snow"]), "snow at severity 1 is missing"),
        (lambda content: content["cells"].pop(), "damaged: run: the run is complete, yet fog at severity 5 is missing"),
    ],
)
def test_a_damaged_or_future_file_is_refused(written, change, message):
    path = written[0]
    damage(path, change)
    with pytest.raises(DataError, match=message) as caught:
        read_run(path)
    assert caught.value.exit_code == 3
    assert caught.value.hint


@pytest.mark.parametrize("content", [b"", b"not json", b"[1, 2]", b"\xff\xfe", b'{"version": 1', b"null"])
def test_what_is_no_run_file_is_refused(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a run file"):
        read_run(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match="cannot read the run"):
            read_run(path)


def test_a_run_that_cannot_be_written_leaves_the_old_one(written, monkeypatch):
    path, run, bits = written
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        write_run(path, run, bits)
    assert path.read_bytes() == before
    assert sorted(item.name for item in path.parent.iterdir()) == ["run.bits.npy", "run.json"]
