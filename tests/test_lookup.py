import pytest

from ppbench.errors import UsageError
from ppbench.lookup import NameTable, check_name, counted, did_you_mean

ANIMALS = NameTable({"cat": 1, "caterpillar": 7}, "animal", "ppbench list animals")


def test_a_table_is_a_dict_in_the_order_of_its_entries():
    assert list(ANIMALS) == ["cat", "caterpillar"]
    assert ANIMALS["caterpillar"] == 7
    assert "dog" not in ANIMALS


def ask_the_table():
    return ANIMALS["catt"]


def check_the_name():
    check_name("animal", "catt", ANIMALS, "ppbench list animals")


@pytest.mark.parametrize("ask", [ask_the_table, check_the_name])
def test_an_unknown_name_is_answered_with_the_nearest_and_the_command(ask):
    with pytest.raises(UsageError, match="unknown animal 'catt'") as caught:
        ask()
    assert caught.value.hint == "did you mean 'cat'? allowed: cat, caterpillar (`ppbench list animals`)"
    assert str(caught.value) == f"{caught.value.message}\n{caught.value.hint}"


def test_a_known_name_passes():
    check_name("animal", "cat", ("cat", "dog"), "ppbench list animals")


def test_many_names_are_counted_and_not_listed():
    table = NameTable(dict.fromkeys("abcdefgh", 0), "letter", "ppbench list letters")
    with pytest.raises(UsageError, match="`ppbench list letters` lists all 8"):
        table["ä"]
    with pytest.raises(UsageError, match="`ppbench list letters` lists all 26"):
        NameTable({"a": 0}, "letter", "ppbench list letters", listed=26)["ä"]


def test_did_you_mean_is_empty_where_nothing_is_near():
    assert did_you_mean("zebra", ["cat"]) == ""
    assert did_you_mean("CAT", ["cat", "rat"]) == "did you mean 'cat' or 'rat'? "


def test_one_thing_is_in_the_singular():
    assert counted(1, "corruption") == "1 corruption"
    assert counted(2, "severity", "severities") == "2 severities"
    assert counted(1000, "image") == "1,000 images"
