from __future__ import annotations

import pytest

from ppbench.reproduce.columns import parse_column


@pytest.mark.parametrize(
    "label", ["clean_error", "mean_error[c15,s1-5]", "R_net[plain,c15,s1-5]", "mean_error[shot_noise,s2]",
              "mean_error[fog+snow,s1,3]", "R_net[a+b.c-2,c15,s1-5]"],
)  # fmt: skip
def test_labels_are_read_as_they_are_written(label: str) -> None:
    assert parse_column(label).label == label


@pytest.mark.parametrize(
    "label", ["mCE", "mean_error", "mean_error[c15]", "R_net[c15,s1-5]", "mean_error[plain,c15,s1-5]"]
)
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is not clean_error"):
        parse_column(label)
