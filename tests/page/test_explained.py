from dataclasses import replace

import pytest

from ppbench.page.explained import compare_command_line, definitions_table, show_command_line
from ppbench.page.inputs import read_inputs
from tests.page.runs import write_pages_run


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    return write_pages_run(folder / "old run.json"), write_pages_run(folder / "new.json", "better")


def test_commands_quote_files_and_repeat_the_options(paths):
    old, new = paths
    inputs = read_inputs([new], old, normalizer="none", confidence=0.9)
    assert (
        show_command_line(inputs)
        == "ppbench show report.html --baseline 'old run.json' --normalizer none --confidence 0.9"
    )
    allowing = replace(inputs, allow=("seed",))
    assert compare_command_line(allowing) == (
        "ppbench compare 'old run.json' report.html --normalizer none --confidence 0.9 --allow seed"
    )


def test_without_a_baseline_the_page_is_the_reference(paths):
    old, new = paths
    several = read_inputs([old, new])
    assert show_command_line(several) == "ppbench show report.html --baseline report.html"
    assert compare_command_line(several) == "ppbench compare report.html new.json"
    assert show_command_line(read_inputs([old])) == "ppbench show report.html"
    assert compare_command_line(read_inputs([old])) == "ppbench compare report.html OTHER.json"


def test_every_metric_has_its_row():
    table = definitions_table()
    assert [row.cells[0].text for row in table.rows] == ["clean_error", "mean_error", "mCE", "relative_mCE", "R_net"]
    assert all(cell.text for row in table.rows for cell in row.cells)
