from dataclasses import replace

import pytest

from ppbench.page.conditions import lacks, missing_cells, protocol_conditions, run_conditions
from ppbench.page.inputs import read_inputs
from tests.builders import make_classes
from tests.page.runs import tiny, write_pages_run


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return read_inputs([write_pages_run(tmp_path_factory.mktemp("conditions") / "gaps.json", "gaps")])


def test_the_protocol_is_said_in_words(inputs):
    said = {one.name: one.value for one in protocol_conditions(inputs)}
    assert said["images"] == "400 of 400"
    assert said["severities"] == "1, 2, 3, 4, 5"
    assert "gaussian_noise, shot_noise, fog, snow" in said["corruptions"]
    assert said["corrupted images"].startswith("made from the clean images by imagecorruptions-imaug 1.1.5")
    assert said["dataset fingerprint"] == "1" * 64


def test_a_subset_of_classes_is_said(tmp_path):
    path = tiny(tmp_path / "subset.json", "net", classes=make_classes())
    said = {one.name: one.value for one in protocol_conditions(read_inputs([path]))}
    assert said["classes"] == "200 of 1,000 outputs: only these compete"


def test_missing_cells_are_counted_and_named(inputs):
    (run,) = inputs.runs
    assert missing_cells(run) == [("fog", 3), ("snow", 4), ("snow", 5)]
    said = {one.name: one.value for one in run_conditions(run)}
    assert said["missing cells"].startswith("3 of 21: fog at severity 3")
    assert said["command, as recorded"] == "ppbench eval"


def test_nothing_is_said_of_what_is_unknown(inputs):
    (run,) = inputs.runs
    provenance = run.run.provenance.model_copy(update={"command": "", "started": "unknown", "versions": {}})
    bare = replace(run, run=run.run.model_copy(update={"provenance": provenance}))
    assert not {"command, as recorded", "started", "versions"} & {one.name for one in run_conditions(bare)}


def test_the_command_that_gets_what_is_missing(tmp_path):
    path = write_pages_run(tmp_path / "bare.json", predictions=False, bits=False)
    inputs = read_inputs([path])
    (run,) = inputs.runs
    command = "ppbench eval --model x --no-predictions --limit 400"
    provenance = run.run.provenance.model_copy(update={"command": command})
    run = replace(run, run=run.run.model_copy(update={"provenance": provenance}))
    found = list(lacks(replace(inputs, runs=(run,))))
    assert [one.why for one in found] == [
        "bare.json was written without correctness bits",
        "bare.json has no predictions",
    ]
    assert {one.command for one in found} == {"ppbench eval --model x --limit 400"}


def test_without_a_known_command_the_dataset_is_named(inputs):
    (run,) = inputs.runs
    provenance = run.run.provenance.model_copy(update={"command": ""})
    bare = replace(run, run=run.run.model_copy(update={"provenance": provenance, "predictions": None}))
    assert {one.command for one in lacks(replace(inputs, runs=(bare,)))} == {
        "ppbench eval --model MODEL --dataset fashion-mnist"
    }
