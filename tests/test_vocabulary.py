import pytest

from ppbench.errors import UsageError
from ppbench.vocabulary import (
    C4,
    C15,
    C19,
    FAMILIES,
    FAMILY_OF,
    expand_corruptions,
    expand_severities,
    set_label,
    severity_label,
)


def test_the_sets_are_those_of_the_paper():
    assert (len(C15), len(C4), len(C19)) == (15, 4, 19)
    assert len(set(C19)) == 19
    assert [FAMILY_OF[name] for name in C15] == ["noise"] * 3 + ["blur"] * 4 + ["weather"] * 4 + ["digital"] * 4
    assert FAMILIES["extra"] == C4


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["c15"], C15),
        (["c4", "c15"], C19),
        (["fog", " FOG ", "gaussian_noise"], ("gaussian_noise", "fog")),
        (["noise", "shot_noise"], FAMILIES["noise"]),
        ([], ()),
    ],
)
def test_corruptions_expand_to_canonical_order_each_once(values, names):
    assert expand_corruptions(values) == names


def test_an_unknown_corruption_gets_a_suggestion():
    with pytest.raises(UsageError, match="unknown corruption 'foggy'") as caught:
        expand_corruptions(["foggy"])
    assert "did you mean 'fog'" in caught.value.hint
    assert "ppbench list corruptions" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("values", "severities"),
    [(["1-5"], (1, 2, 3, 4, 5)), (["3"], (3,)), (["4-5", "1", "4"], (1, 4, 5)), (["2-2"], (2,))],
)
def test_severities_expand(values, severities):
    assert expand_severities(values) == severities


@pytest.mark.parametrize("value", ["0", "6", "3-1", "0-5", "1-6", "", "-", "1-", "x", "1.5", "-1", "1-2-3"])
def test_severities_outside_1_to_5_are_refused(value):
    with pytest.raises(UsageError, match="not allowed") as caught:
        expand_severities([value])
    assert "--severities 1-5" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (C15, "c15"),
        (reversed(C19), "c19"),
        (C4, "c4"),
        (["frost", "fog"], "fog+frost"),
        (C15[:11], "11/15"),
        ([*C15[:4], "spatter"], "5/19"),
    ],
)
def test_set_labels(names, label):
    assert set_label(list(names)) == label


@pytest.mark.parametrize(
    ("severities", "label"), [((1, 2, 3, 4, 5), "s1-5"), ((3,), "s3"), ((5, 1, 3), "s1,3,5"), ((4, 5), "s4-5")]
)
def test_severity_labels(severities, label):
    assert severity_label(severities) == label
