"""Published figures: where they come from, and what their labels say."""

from __future__ import annotations

import re

import pytest

from ppbench.errors import UsageError
from ppbench.metrics.cell_errors import mean
from ppbench.metrics.published import (
    ADAPTED_MCE,
    CLEAN_ERROR,
    LINKS,
    MCE,
    MFR,
    MT5D,
    SAME_IMAGES,
    published_sets,
    robustbench_errors,
)
from ppbench.vocabulary import C15, C_3D, SEVERITIES

SETS = published_sets()
ROWS = [(name, row) for name, one in SETS.items() for row in one.rows]

ALLOWED = {
    "imagenet-c-resnet50": {MCE, CLEAN_ERROR},
    "imagenet-c-resnet50-batchnorm": {MCE, ADAPTED_MCE},
    "imagenet-c-others": {MCE, ADAPTED_MCE, CLEAN_ERROR},
    "imagenet-p-resnet50": {MFR, MT5D},
}


@pytest.mark.parametrize(("name", "row"), ROWS, ids=[f"{name}-{row.name}" for name, row in ROWS])
def test_every_row_has_a_link_and_labels_of_its_kind(name, row):
    assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/blob/[0-9a-f]{40}/\S+", row.link)
    assert row.source.partition(",")[0] == "/".join(row.link.split("/")[3:5])
    assert row.values
    if name in ALLOWED:
        assert set(row.values) <= ALLOWED[name]
    else:
        assert all(SAME_IMAGES in label for label in row.values)
    assert all(0 < value <= 100 for value in row.values.values())


def test_every_source_is_used_and_no_row_is_twice():
    assert {row.source for _, row in ROWS} == set(LINKS)
    for one in SETS.values():
        names = [row.name for row in one.rows]
        assert len(set(names)) == len(names)
        assert list(one.rows) == sorted(one.rows, key=lambda row: (next(iter(row.values.values())), row.name))


def test_a_label_stands_for_one_set_of_images():
    """Figures on RobustBench's images, on videos and on all images have no label in common."""
    kinds = {}
    for one in SETS.values():
        for label in one.labels:
            kinds.setdefault(label, set()).add(one.images.partition(", by ")[0])
    assert all(len(images) == 1 for images in kinds.values())


@pytest.mark.parametrize(("dataset", "corruptions"), [("imagenet-c", C15), ("imagenet-3dcc", C_3D)])
def test_robustbenchs_mce_is_that_of_its_cells(dataset, corruptions):
    """Twelve models: the figure in RobustBench's own files equals the one from its accuracies, to the digit."""
    rows = SETS[f"{dataset}-robustbench"].rows
    assert len(rows) == 12
    alexnet = robustbench_errors(dataset, "AlexNet")
    for row in rows:
        errors = robustbench_errors(dataset, row.name.partition(" ")[0])
        assert set(errors.means) == set(corruptions)
        ratios = [
            errors.mean_error([corruption], SEVERITIES) / alexnet.mean_error([corruption], SEVERITIES)
            for corruption in corruptions
        ]
        assert round(100 * mean(ratios), 2) == next(iter(row.values.values()))
        assert row.accuracies is not None
        assert errors.by_severity["fog" if dataset == "imagenet-c" else "fog_3d"][2] == pytest.approx(
            1 - row.accuracies["fog" if dataset == "imagenet-c" else "fog_3d"][2]
        )


def test_an_unknown_set_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'imagenet-c-resnet50'"):
        SETS["imagenet-c-resnet-50"]
