"""An inspection as tables, JSON and CSV: the same numbers in all of them."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn

from ppbench.inspection.api import inspect_model
from ppbench.inspection.report import InspectionReport
from ppbench.inspection.selectivity import INDICES
from tests.inspection.layers import Net, card, gabor, inspection


def records(report: InspectionReport) -> list[dict[str, Any]]:
    columns, values = report.rows()
    return [dict(zip(columns, row, strict=True)) for row in values]


def test_rows_hold_the_numbers_of_the_json() -> None:
    report = InspectionReport(inspection(trained=True), inspection(push_pull=False))
    found = json.loads(json.dumps(report.as_dict()))
    rows = records(report)
    networks = (found, found["against"])
    expected = [(net, point) for net in networks for point in net["selectivity"]["points"] for _ in range(5)]
    assert len(rows) == len(expected) == 5 * (3 + 2)
    for row, (net, point) in zip(rows, expected, strict=True):
        number = row["filter"]
        one = net["selectivity"]["points"][point]["filters"][number]
        strengths = net["layer"]["inhibition"]
        assert (row["model"], row["point"], one["filter"]) == (net["model"], point, number)
        assert [row[name] for name in INDICES] == [one["index"][name] for name in INDICES]
        preferred = one["preferred"] or {}
        assert row["preferred_phase_deg"] == preferred.get("phase_deg")
        assert row["inhibition"] == (strengths and strengths["values"][number])
        assert row["spectrum_frequency_cpp"] == net["spectra"]["push"][number]["frequency_cpp"]


def test_a_silent_filter_has_no_numbers() -> None:
    kernels = torch.cat((gabor(0, 0.25, side=3, width=1), torch.zeros(1, 1, 3, 3)))
    conv = nn.Conv2d(1, 2, 3, bias=False)
    conv.weight = nn.Parameter(kernels)
    report = InspectionReport(inspect_model("net", Net((conv,), 2), card(), draws=16))
    one = report.as_dict()["selectivity"]["points"]["layer"]["filters"][1]
    assert one["preferred"] is None
    assert one["index"] == dict.fromkeys(INDICES)
    assert {name for name, value in records(report)[1].items() if value is not None} == {
        "model", "point", "filter", "spectrum_frequency_cpp",
    }  # fmt: skip


def test_there_is_a_sheet_for_all_that_was_looked_at() -> None:
    plain = InspectionReport(inspect_model("net", Net((nn.Conv2d(1, 4, 3),), 4), card(), draws=16))
    assert [sheet.title for sheet in plain.sheets()] == ["Stimulus selectivity index of the first layer"]
    first, second, third = InspectionReport(inspection(trained=True), plain.inspection).sheets()
    points = ["net", "  push alone", "  layer", "  after batch norm", "net", "  layer"]
    assert [line.cells[0] for line in first.lines] == points
    assert "PushPullConv2d: 5 filters of 3x3" in first.notes[0]
    assert "3x3 mean, inhibition trained, 0.02 to 0.97" in first.notes[0]
    assert [line.cells[0] for line in second.lines] == ["layer - push alone", "layer - layer of net"]
    assert third.header == ("image", "corruption", "push", "pull", "output")
    assert len(third.lines) == 2
