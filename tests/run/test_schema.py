"""The run file. ``tests/runs/v1.json`` and ``v2.json`` and their bits were written once, by these versions.

Version 1::

    from pathlib import Path
    from ppbench.run import write_run
    from tests.builders import make_bits, make_errors, make_run

    grid = {"corruptions": ("fog", "frost"), "severities": (1, 3)}
    run = make_run(make_errors(1, **grid), n=50, total=200, **grid)
    write_run(Path("tests/runs/v1.json"), run, make_bits(run))

Version 2, with the new fields in use::

    names = ("fog", "blue_noise_sample", "Mist-2.0+x")
    grid = {"corruptions": names, "severities": (1,)}
    run = make_run(make_errors(2, **grid), n=50, total=200, classes=make_classes(), precision="unknown", **grid)
    clean, first, *others = run.cells
    cells = (clean, first.model_copy(update={"top5": None}), *map(without_probabilities, others))
    provenance = run.provenance.model_copy(update={"processes": 2, "compiled": True})
    run = run.model_copy(update={"cells": cells, "provenance": provenance})
    write_run(Path("tests/runs/v2.json"), run, make_bits(run))

They stay as they are: every later version must read them.
"""

import hashlib
import io
import json
import os
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ppbench.errors import DataError
from ppbench.run import (
    VERSION,
    Bits,
    CellCounts,
    ClassSubset,
    Run,
    expected_cells,
    image_keys,
    json_schema,
    read_bits,
    read_image_keys,
    read_run,
    write_run,
)
from ppbench.vocabulary import C15, CLEAN, NAME_PATTERN
from tests.builders import make_bits, make_cell, make_classes, make_errors, make_run, without_probabilities

V1, V2 = (Path(__file__).parents[1] / "runs" / f"v{version}.json" for version in (1, 2))


@pytest.fixture
def written(tmp_path):
    """A run file with its bits: path, run, bits."""
    run = make_run(make_errors(0, ("fog",)), corruptions=("fog",), n=30)
    bits = make_bits(run)
    path = tmp_path / "run.json"
    return path, write_run(path, run, bits), bits


def damage(path, change):
    """Rewrite a run file after ``change`` has had its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


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
    assert run.version == VERSION == 2
    write_run(tmp_path / "again.json", run)
    assert read_run(tmp_path / "again.json") == run


def as_version_1(content):
    """What version 1 would have written of a run that uses nothing newer."""
    del content["protocol"]["classes"], content["provenance"]["processes"], content["provenance"]["compiled"]
    content["version"] = 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 99), st.sets(st.sampled_from(C15)), st.sets(st.integers(1, 5)), st.integers(1, 60))
def test_a_migrated_run_is_the_run_with_the_defaults(tmp_path, seed, names, severities, n):
    names, severities = sorted(names), sorted(severities)
    run = make_run(make_errors(seed, names, severities), corruptions=names, severities=severities, n=n)
    path = tmp_path / "run.json"
    write_run(path, run)
    damage(path, as_version_1)
    assert read_run(path) == run


@settings(deadline=None)
@given(st.from_regex(NAME_PATTERN, fullmatch=True).filter(lambda name: name != CLEAN))
def test_a_corruption_may_have_a_name_of_the_dataset_s_own(name):
    run = make_run(corruptions=(name,), severities=(2,), n=10)
    assert Run.model_validate_json(run.model_dump_json()).cell(name, 2) == run.cells[1]
    jsonschema.validate(run.model_dump(mode="json"), json_schema())


@pytest.mark.parametrize("name", ["", "-fog", ".fog", "fo g", "fog/1", "fog\n", "nébel", "a" * 65])
def test_a_name_that_could_not_be_a_folder_s_is_refused(name):
    with pytest.raises(ValidationError, match="is no corruption's name, which matches"):
        make_run(corruptions=(name,), severities=(2,))


NO_PROBABILITIES = {"nll_micronats": None, "bin_n": None, "bin_top1": None, "bin_confidence": None}


@pytest.mark.parametrize("unknown", [{"top5": None}, NO_PROBABILITIES, {"top5": None, **NO_PROBABILITIES}])
def test_predictions_without_probabilities_make_cells_without_their_counts(unknown):
    cell = CellCounts(**{**make_cell("fog", 1, top1=5, n=10).model_dump(), **unknown})
    assert (cell.top1, cell.error) == (5, 0.5)
    assert all(getattr(cell, name) is None for name in unknown)


@pytest.mark.parametrize("known", NO_PROBABILITIES)
@pytest.mark.parametrize("top5", [{}, {"top5": None}])
def test_the_counts_of_probabilities_are_there_together_or_not_at_all(known, top5):
    whole = make_cell("fog", 1, top1=5, n=10).model_dump()
    for change in ({known: None}, {**NO_PROBABILITIES, known: whole[known]}):
        with pytest.raises(ValidationError, match="are there together or not at all"):
            CellCounts(**{**whole, **top5, **change})


def test_a_cell_of_labels_alone_has_its_nulls_in_the_file_and_without_them_is_damaged():
    content = without_probabilities(make_cell("fog", 1, top1=5, n=10)).model_dump()
    assert {"top5": None, **NO_PROBABILITIES}.items() <= content.items()
    for name in ("top5", *NO_PROBABILITIES):
        with pytest.raises(ValidationError, match="Field required"):
            CellCounts(**{key: value for key, value in content.items() if key != name})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 0}, "greater than or equal to 1"),
        ({"n": 1001}, "n 1001 <= outputs 1000 does not hold"),
        ({"logits": "own"}, "outputs of its own for 200 classes does not have 1000"),
        ({"logits": "some"}, "'own', 'masked' or 'all'"),
    ],
)
def test_a_class_subset_that_contradicts_itself_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        make_classes(**fields)


@pytest.mark.parametrize(
    ("logits", "outputs", "competing"), [("own", 200, 200), ("masked", 1000, 200), ("all", 1000, 1000)]
)
def test_outputs_that_compete(logits, outputs, competing):
    assert make_classes(outputs=outputs, logits=logits).competing == competing


def test_the_schema_is_valid_and_fits_what_is_written(written):
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for path in (written[0], V2):
        validator.validate(json.loads(path.read_text()))
    content = json.loads(V2.read_text())
    del content["model"]
    assert not validator.is_valid(content)


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


def test_a_complete_run_may_lack_the_clean_cell_alone(tmp_path):
    path = tmp_path / "run.json"
    write_run(path, make_run({("fog", 1): 0.5}, corruptions=("fog",), severities=(1,)))
    assert (read_run(path).status, read_run(path).cell(CLEAN, 0)) == ("complete", None)


def test_a_run_without_bits_says_so(tmp_path):
    path = tmp_path / "run.json"
    run = write_run(path, make_run())
    assert read_run(path).bits is None
    with pytest.raises(DataError, match="no correctness bits"):
        read_bits(path, run)


def test_expected_cells_are_clean_and_then_the_grid():
    assert expected_cells(("fog", "snow"), (2, 4)) == [
        (CLEAN, 0),
        ("fog", 2),
        ("fog", 4),
        ("snow", 2),
        ("snow", 4),
    ]
    assert len(expected_cells(C15, (1, 2, 3, 4, 5))) == 76


def test_the_frame_has_a_row_per_cell():
    frame = make_run(n=10).to_frame()
    assert frame.shape == (76, 7)
    assert frame.accuracy.eq(0.5).all()
    assert frame.error.eq(0.5).all()
    assert make_run(labels_only=True).to_frame().top5.isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(version=3), "version 3; this ppbench reads up to 2"),
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
        (lambda content: content["cells"][1].update(corruption="f/og"), "cells.1.corruption: 'f/og' is no corruption"),
        (lambda content: content["cells"][1].update(corruption="clean"), "severity 0 is for clean images"),
        (lambda content: content["cells"][1].update(severity=6), "damaged: cells.1.severity"),
        (lambda content: content["cells"].append(content["cells"][1]), "a cell stands twice"),
        (lambda content: content["protocol"].update(corruptions=["mi st"]), "'mi st' is no corruption's name"),
        (lambda content: content["protocol"].update(classes={"n": 5}), "damaged: protocol.classes.outputs"),
        (lambda content: content["protocol"].update(precision="fp8"), "damaged: protocol.precision"),
        (lambda content: content["provenance"].update(processes=0), "damaged: provenance.processes"),
        (lambda content: content["protocol"].update(severities=[0]), "damaged: protocol.severities.0"),
        (lambda content: content["protocol"].update(severities=[1, 1]), "damaged: protocol: .* stands twice"),
        (lambda content: content["protocol"].update(corruptions=["fog", "fog"]), "damaged: protocol: .* stands twice"),
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


def test_bits_of_another_run_or_absent_ones_are_refused(written):
    path, run, _ = written
    beside = path.with_name("run.bits.npy")
    beside.write_bytes(V1.with_name("v1.bits.npy").read_bytes())
    with pytest.raises(DataError, match="is not the file"):
        read_bits(path, run)
    beside.unlink()
    with pytest.raises(DataError, match="cannot read"):
        read_bits(path, run)


def test_an_images_key_is_its_ids_hash_and_the_same_everywhere():
    keys = image_keys(["cat/1.png", "dog/1.png"])
    assert keys.dtype == np.uint64
    expected = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ("cat/1.png", "dog/1.png")]
    assert [int(key).to_bytes(8, "little") for key in keys] == expected
    assert int(image_keys(["cat/1.png"])[0]) == 0x0C8D28EC9DB3BEE4
    assert image_keys([]).shape == (0,)


def test_images_of_one_id_have_no_keys_for_these_would_not_tell_them_apart():
    assert image_keys(["cat/1.png", "dog/1.png", "cat/1.png"]) is None


def test_keys_are_kept_behind_the_bits_where_older_readers_do_not_look(written):
    path, run, bits = written
    assert read_image_keys(path, run) is None
    keys = image_keys([f"{place}.png" for place in range(30)])
    run = write_run(path, run, bits, keys)
    assert read_run(path) == run
    assert np.array_equal(read_image_keys(path, run), keys)
    found = read_bits(path, run)
    assert all(np.array_equal(found[key], bits[key]) for key in bits)
    whole = np.load(path.with_name("run.bits.npy"), allow_pickle=False)  # the first array alone
    assert (whole.shape, whole.dtype) == ((6, 4), np.uint8)


@pytest.mark.parametrize("path", [V1, V2], ids=["v1", "v2"])
def test_files_of_before_there_were_keys_have_none(path):
    assert read_image_keys(path, read_run(path)) is None


def as_array(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"garbage", "no array"),
        (as_array(np.arange(30, dtype=np.uint64))[:-1], "no array"),
        (as_array(np.array(["a"] * 30, object)), "no array"),
        (as_array(np.arange(29, dtype=np.uint64)), r"shape \(29,\) and type uint64, not \(30,\) and uint64"),
        (as_array(np.arange(30, dtype=np.int64)), "type int64, not"),
        (as_array(np.zeros((30, 1), np.uint64)), "shape"),
        (as_array(np.arange(30, dtype=np.uint64) % 29), "a key twice"),
    ],
)
def test_what_stands_for_keys_and_is_none_is_damage(written, tail, message):
    path, run, _ = written
    beside = path.with_name("run.bits.npy")
    beside.write_bytes(beside.read_bytes() + tail)
    run = run.model_copy(
        update={"bits": Bits(file=beside.name, sha256=hashlib.sha256(beside.read_bytes()).hexdigest())}
    )
    with pytest.raises(DataError, match=f"run.bits.npy is damaged: its images' keys have .*{message}") as caught:
        read_image_keys(path, run)
    assert caught.value.hint


def test_bits_are_looked_for_only_beside_the_run(written, tmp_path):
    path, _, _ = written
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path.with_name("run.bits.npy").rename(elsewhere / "run.bits.npy")
    for name in ("elsewhere/run.bits.npy", "/etc/passwd", "../../x", "", ".", "..", "a\x00b", "a" * 300):
        damage(path, lambda content, name=name: content["bits"].update(file=name))
        with pytest.raises(DataError, match=r"bits.file: .* is no file name: bits lie beside their run file"):
            read_run(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and pipes of POSIX")
def test_bits_are_a_file_of_that_folder_and_no_link_out_of_it_nor_a_pipe(written, tmp_path):
    path, run, bits = written
    beside = path.with_name("run.bits.npy")
    beside.rename(beside.with_name("kept.npy"))
    beside.symlink_to("kept.npy")
    assert read_bits(path, run).keys() == bits.keys()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    beside.with_name("kept.npy").rename(elsewhere / "kept.npy")
    beside.unlink()
    beside.symlink_to("elsewhere/kept.npy")
    with pytest.raises(DataError, match="is a link that leaves its folder"):
        read_bits(path, run)
    beside.unlink()
    os.mkfifo(beside)
    with pytest.raises(DataError, match="it is not a file"):
        read_bits(path, run)


def npy(header, values=b"", version=(1, 0)):
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(header).to_bytes(width, "little") + header.encode() + values


SHAPE = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(SHAPE % "6, 4", b"\0" * 24, (9, 0)), "no array that this ppbench reads"),
        (npy("(" * 5000), "no array that this ppbench reads"),
        (npy("__import__('os')"), "no array that this ppbench reads"),
        (npy(SHAPE % "6, 99999999999999"), "not \\(6, 4\\) and uint8"),
        (npy(SHAPE % "4, 6", b"\0" * 24), "not \\(6, 4\\) and uint8"),
        (npy(SHAPE % "6, 4", b"\0" * 23), "ends early"),
        (npy(SHAPE % "6, 4", b"\0" * 24), "not the 30|not the 24"),
        (b"PK\x03\x04", "no array that this ppbench reads"),
        (b"", "no array that this ppbench reads"),
    ],
)
def test_bits_that_are_none_are_damage(written, content, message):
    path, run, _ = written
    path.with_name("run.bits.npy").write_bytes(content)
    hash_of = hashlib.sha256(content).hexdigest()
    run = run.model_copy(update={"bits": Bits(file="run.bits.npy", sha256=hash_of)})
    with pytest.raises(DataError, match=f"run.bits.npy is damaged: .*({message})"):
        read_bits(path, run)


def test_bits_written_by_numpy_in_its_second_format_are_read(written):
    path, run, bits = written
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.stack([np.packbits(bits[cell.key]) for cell in run.cells]), version=(2, 0))
    path.with_name("run.bits.npy").write_bytes(buffer.getvalue())
    hash_of = hashlib.sha256(buffer.getvalue()).hexdigest()
    run = run.model_copy(update={"bits": Bits(file="run.bits.npy", sha256=hash_of)})
    assert all(np.array_equal(found, bits[key]) for key, found in read_bits(path, run).items())


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


def test_counts_must_be_counts():
    cell = make_cell("fog", 1, top1=5, n=10)
    assert cell.error == 0.5
    with pytest.raises(ValidationError):
        CellCounts(**{**cell.model_dump(), "top1": -1})
    with pytest.raises(ValidationError):
        Run(**{**make_run().model_dump(), "status": "half"})
