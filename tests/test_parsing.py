"""JSON from strangers: one short reason for whatever no reader of ppbench could take."""

import pytest

from ppbench.parsing import DEEPEST, parse_json, parse_toml


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, f"deeper than {DEEPEST} levels"),
        ("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), f"deeper than {DEEPEST} levels"),
        ('{"a": 1, "b": 2, "a": 3}', "it has 'a' twice"),
        ("[NaN]", "the number NaN"),
        ("[-Infinity]", "the number -Infinity"),
        ("[1e999]", "not finite"),
        ("[9223372036854775808]", "too large"),
        (f"[{'9' * 5000}]", "too large"),
        (r'["\ud800"]', "half a character"),
        (r'{"\udfff": 1}', "half a character"),
        (b"[\xff]", "utf-8"),
        ("", "Expecting value"),
    ],
)
def test_what_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 200


def test_what_is_read():
    text = r'{"a": [1, -9223372036854775807, 0.5, null, true, "\ud83d\ude00"], "b": {}}'
    assert parse_json(text) == {"a": [1, -9223372036854775807, 0.5, None, True, "😀"], "b": {}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = 9223372036854775808", "too large"),
        (f"a = {'9' * 5000}", "digits"),
        (f"a = {'[' * 100_000}", "deeper than"),
        (f"a = {'[' * 30}{']' * 30}", "deeper than"),
        ("a = 1\na = 2", "overwrite"),
        ("a =", "Invalid value"),
    ],
)
def test_toml_is_held_to_the_same(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_toml(text)


def test_a_number_of_toml_that_is_not_finite_is_for_its_reader_to_name():
    assert parse_toml("a = [-inf]") == {"a": [float("-inf")]}
