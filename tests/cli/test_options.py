from __future__ import annotations

import pytest

from ppbench.cli.options import command_line, split_values
from ppbench.errors import UsageError


@pytest.mark.parametrize("values", [["fog", "frost"], ["fog,frost"], ["fog frost"], [" fog, ", "frost,"]])
def test_repeated_values_and_one_list_are_the_same(values: list[str]) -> None:
    assert split_values("--corruptions", values, "c15") == ["fog", "frost"]


@pytest.mark.parametrize("values", [[], [""], [" , "]])
def test_an_option_without_a_value_is_an_error_that_names_the_default(values: list[str]) -> None:
    with pytest.raises(UsageError, match="--corruptions has no value") as caught:
        split_values("--corruptions", values, "c15")
    assert "Leave it out for c15" in caught.value.hint


def test_the_command_line_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/ppbench", "show", "my run.json"])
    assert command_line() == "ppbench show 'my run.json'"
