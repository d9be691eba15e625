"""Tables call metrics by short names, and have the full labels once."""

from __future__ import annotations

import pytest

from ppbench.tables.sheet import Sheet, short_names


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["clean_error", "mean_error[c15,s1-5]"], ["clean error", "mean error"]),
        (["R_net[plain,c15,s1-5]", "relative_mCE[alexnet,c15,s1-5]", "noise"], ["R_net", "relative mCE", "noise"]),
        (["R_net", "mean_error[fog,s1]", "mean_error[fog,s2]"], ["R_net", "mean error s1", "mean error s2"]),
        (["mean_error[fog,s1]", "mean_error[fog,s2]", "mean_error[snow,s2]"],
         ["mean error fog s1", "mean error fog s2", "mean error snow s2"]),
        (["mean_error[c15,s1-5]", "mean_error[c15,s1-5,90 of 2000]"],
         ["mean_error[c15,s1-5]", "mean error 90 of 2000"]),
    ],
)  # fmt: skip
def test_short_names_differ_where_labels_do(labels: list[str], names: list[str]) -> None:
    assert list(short_names(labels).values()) == names


def test_full_labels_are_told_once_and_only_if_they_say_more() -> None:
    sheet = Sheet("title", ("row",), (), labels=("clean_error", "mCE[alexnet,c15,s1-5]", "mCE[alexnet,c15,s1-5]"))
    assert sheet.in_full == "In full: mCE[alexnet,c15,s1-5]."
    assert Sheet("title", ("row",), (), labels=("clean_error",)).in_full == ""
