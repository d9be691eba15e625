import sys

import pytest

from ppbench.errors import UsageError
from ppbench.lookup import Registry, did_you_mean


@pytest.fixture
def registry():
    registry = Registry[object]("animal", "ppbench list animals")
    registry.register("cat", "collections:Counter")
    registry.register("caterpillar", 7)
    return registry


def test_names_keep_their_order_and_answer_membership(registry):
    assert registry.names() == list(registry) == ["cat", "caterpillar"]
    assert "cat" in registry
    assert "dog" not in registry


def test_objects_come_as_they_are_and_strings_are_imported(registry):
    from collections import Counter

    assert registry.get("caterpillar") == 7
    assert registry.get("cat") is Counter
    assert registry.get("cat") is Counter


def test_nothing_is_imported_before_it_is_asked_for():
    registry = Registry[object]("module", "…")
    sys.modules.pop("this_module_is_not_there", None)
    registry.register("absent", "this_module_is_not_there:thing")
    with pytest.raises(ModuleNotFoundError):
        registry.get("absent")


def test_an_unknown_name_is_answered_with_the_nearest_and_the_command(registry):
    with pytest.raises(UsageError, match="unknown animal 'catt'") as caught:
        registry.get("catt")
    assert caught.value.hint == "did you mean 'cat'? allowed: cat, caterpillar (`ppbench list animals`)"
    assert str(caught.value) == f"{caught.value.message}\n{caught.value.hint}"


def test_a_name_taken_twice_is_a_bug(registry):
    with pytest.raises(ValueError, match="'cat' is registered twice"):
        registry.register("cat", 1)


def test_did_you_mean_is_empty_where_nothing_is_near():
    assert did_you_mean("zebra", ["cat"]) == ""
    assert did_you_mean("CAT", ["cat", "rat"]) == "did you mean 'cat' or 'rat'? "
