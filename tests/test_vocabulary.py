import re
from itertools import chain, combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppbench.errors import UsageError
from ppbench.vocabulary import (
    ALL_FAMILIES,
    C4,
    C15,
    C19,
    C_3D,
    C_BAR,
    C_BAR_CIFAR,
    CIFAR_P10,
    FAMILIES,
    FAMILY_OF,
    KNOWN,
    MADE,
    NAME_PATTERN,
    P4,
    P10,
    SETS,
    SEVERITIES,
    expand_corruptions,
    expand_severities,
    family_of,
    in_order,
    older_set_label,
    set_label,
    severity_label,
    severity_texts,
)


def test_the_sets_are_those_of_the_paper():
    assert (len(C15), len(C4), len(C19)) == (15, 4, 19)
    assert len(set(C19)) == 19
    assert [FAMILY_OF[name] for name in C15] == ["noise"] * 3 + ["blur"] * 4 + ["weather"] * 4 + ["digital"] * 4
    assert FAMILIES["extra"] == C4
    assert (len(C_BAR), len(C_BAR_CIFAR), len(C_3D)) == (10, 10, 12)
    assert set(C_BAR) | set(C_BAR_CIFAR) == set(ALL_FAMILIES["c-bar"])


def test_every_published_corruption_has_one_name_and_one_family_in_canonical_order():
    assert len(set(KNOWN)) == len(KNOWN) == 46
    assert tuple(chain.from_iterable(ALL_FAMILIES.values())) == KNOWN
    assert all(name in ALL_FAMILIES[family_of(name)] for name in KNOWN)
    assert all(re.fullmatch(NAME_PATTERN, name) for name in KNOWN)
    assert not set(ALL_FAMILIES) & set(SETS)
    assert {name: family_of(name) for name in MADE} == FAMILY_OF


def test_what_no_published_set_has_is_of_the_family_own():
    assert family_of("mist-2.0") == "own"
    assert "other" not in ALL_FAMILIES


corruption_names = st.lists(st.sampled_from(KNOWN) | st.from_regex(NAME_PATTERN, fullmatch=True), max_size=30)


@given(corruption_names, st.randoms(use_true_random=False))
def test_canonical_order_is_idempotent_and_keeps_every_name_once(names, random):
    ordered = in_order(names)
    assert in_order(ordered) == ordered
    assert (set(ordered), len(ordered)) == (set(names), len(set(names)))
    random.shuffle(names)
    assert in_order(names) == ordered


@given(corruption_names, st.randoms(use_true_random=False))
def test_the_label_of_a_set_does_not_depend_on_its_order(names, random):
    label = set_label(names)
    random.shuffle(names)
    assert set_label([*names, *names]) == label


def test_known_names_come_first_and_the_others_by_name():
    assert in_order(["b", "sparkles", "fog", "a", "flash"]) == ("fog", "sparkles", "flash", "a", "b")


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
    with pytest.raises(UsageError, match=r"lists all 46\. One of your own is a function, `pkg\.mod:function`"):
        expand_corruptions(["foggy"], own=True)


def test_an_unknown_corruption_gets_one_message_wherever_it_is_named():
    """The same count, that of what the command lists: not 19, 34 or 46 by how many would do in a place."""
    from ppbench.corruptions.catalog import CORRUPTIONS

    told = set()
    for ask in (
        lambda: expand_corruptions(["fgo"]),
        lambda: expand_corruptions(["fgo"], KNOWN),
        lambda: expand_corruptions(["fgo"], ("fog",)),
        lambda: CORRUPTIONS["fgo"],
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        told.add(str(caught.value))
    assert told == {"unknown corruption 'fgo'\ndid you mean 'fog'? `ppbench list corruptions` lists all 46."}


@pytest.mark.parametrize(
    ("values", "severities"),
    [(["1-5"], (1, 2, 3, 4, 5)), (["3"], (3,)), (["4-5", "1", "4"], (1, 4, 5)), (["2-2"], (2,))],
)
def test_severities_expand(values, severities):
    assert expand_severities(values) == severities


@pytest.mark.parametrize("value", ["²", "1-³", "0", "6", "3-1", "0-5", "1-6", "", "-", "1-", "x", "1.5", "-1", "1-2-3"])
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
        (FAMILIES["blur"], "blur"),
        (FAMILIES["weather"], "weather"),
        (FAMILIES["noise"], "noise"),
        ((*FAMILIES["weather"], *FAMILIES["noise"]), "noise+weather"),
        (C15[:11], "noise+blur+weather"),
        ((*FAMILIES["noise"], *C4), "c4+noise"),
        ([*C15, "spatter"], "c15+spatter"),
        ([*C15[:4], "spatter"], "noise+defocus_blur+spatter"),
        (C15[1:12], "11/15#HASH"),
        ([*C15[1:4], "spatter"], "4/19#HASH"),
        (reversed(C_BAR), "cbar"),
        (C_3D, "3dcc"),
        (C_3D[1:], "11/12#HASH"),
        (C_3D[:2], "depth of field"),
        (C_3D[4:5], "flash"),
        (C_BAR[:4], "4/10#HASH"),
        (C_BAR_CIFAR, "cifar-cbar"),
        (C_BAR_CIFAR[1:], "9/10#HASH"),
        ({*C_BAR, *C_BAR_CIFAR}, "15 corruptions#HASH"),
        ([*C15, *C_BAR], "c15+cbar"),
        (["mist", "fog", "haze-2.0"], "fog+haze-2.0+mist"),
        (["mist", "fog", "haze", "dust", "rain"], "5 corruptions#HASH"),
        (["a+b", "fog"], '"a+b"+fog'),
        (["noise"], '"noise"'),
        ([], ""),
    ],
)
def test_set_labels(names, label):
    assert re.sub(r"#[0-9a-f]{8}$", "#HASH", set_label(list(names))) == label


USER_NAMES = ("mist", "a+b", "a", "b", "noise", "blur", "c15", "cbar", "11", "noise+fog", "Fog", "fog+frost", "other")
sets_of_names = st.sets(
    st.sampled_from((*KNOWN, *USER_NAMES)) | st.sampled_from(sorted(ALL_FAMILIES)).map(lambda name: ALL_FAMILIES[name])
).map(lambda parts: frozenset(chain.from_iterable((part,) if isinstance(part, str) else part for part in parts)))
grids = st.tuples(sets_of_names, st.frozensets(st.sampled_from(SEVERITIES), min_size=1))


@given(st.lists(grids, min_size=2, max_size=12))
def test_no_two_grids_share_a_label(found):
    """Of families, sets with holes, C-bar, and corruptions of one's own that are called like a group or two names."""
    labels = {grid: f"{set_label(sorted(grid[0]))},{severity_label(sorted(grid[1]))}" for grid in found}
    assert len(set(labels.values())) == len(labels)


def test_no_two_small_sets_share_a_label():
    """Every set of one to three of names that are easily mistaken for each other, and every union of families."""
    names = ("fog", "frost", "snow", *USER_NAMES)
    small = {frozenset(chosen) for size in (0, 1, 2, 3) for chosen in combinations(names, size)}
    families = {
        frozenset(chain.from_iterable(chosen))
        for size in range(1, len(ALL_FAMILIES) + 1)
        for chosen in combinations(ALL_FAMILIES.values(), size)
    }
    sets = small | families
    assert len({set_label(sorted(names)) for names in sets}) == len(sets)


@given(st.sets(st.sampled_from((*C15, *C_BAR)) | st.sampled_from(C15)))
def test_a_label_without_a_hash_is_what_the_options_take(names):
    label = set_label(sorted(names))
    if label and "#" not in label:
        assert set(expand_corruptions(label.split("+"), KNOWN)) == names


def test_labels_of_older_run_files():
    assert [older_set_label(names) for names in (C15, FAMILIES["blur"], C15[1:12], ["mist", *C15])] == [
        "c15", "4/15", "11/15", "16 corruptions",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("severities", "label"), [((1, 2, 3, 4, 5), "s1-5"), ((3,), "s3"), ((5, 1, 3), "s1,3,5"), ((4, 5), "s4-5")]
)
def test_severity_labels(severities, label):
    assert severity_label(severities) == label


@pytest.mark.parametrize(
    ("given_", "severities"),
    [
        (3, (3,)), (np.int64(3), (3,)), (torch.tensor(3), (3,)), (np.array(3), (3,)), (np.array([1, 3]), (1, 3)),
        (torch.tensor([1, 3]), (1, 3)), ([np.uint8(1), torch.tensor(2)], (1, 2)),
        ("1-3", (1, 2, 3)), (["4", 5], (4, 5)),
    ],
)  # fmt: skip
def test_severities_may_be_integers_of_any_library(given_, severities):
    assert expand_severities(severity_texts(given_)) == severities


@pytest.mark.parametrize("value", [True, 1.5, None, np.float32(3), np.bool_(True), [True]])
def test_other_values_are_no_severities(value):
    with pytest.raises(UsageError, match="not allowed"):
        expand_severities(severity_texts(value))


def test_names_may_be_those_that_a_dataset_has():
    assert expand_corruptions(["cbar", "Mist", "SPARKLES"], ["Mist", *C_BAR]) == (*C_BAR, "Mist")
    assert expand_corruptions(["cbar"]) == expand_corruptions(["c-bar"]) == C_BAR
    for found in (expand_corruptions(["CBAR"], c_bar=C_BAR_CIFAR), expand_corruptions(["cifar-cbar"])):
        assert set(found) == set(C_BAR_CIFAR)
    assert expand_corruptions(["depth of field", "video"], C_3D) == (*C_3D[:2], *C_3D[5:8])
    for value in ("3dcc", "flash", "depth of field"):
        with pytest.raises(UsageError, match=f"unknown corruption '{value}'"):
            expand_corruptions([value])


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (P10, "p10"),
        (CIFAR_P10, "cifar-p10"),
        (P4, "p4"),
        ((*P10, *P4), "p14"),
        ((*P10, "spatter"), "p10+spatter"),
        (P10[1:], "9/10#HASH"),
        (("rotate", "tilt"), "rotate+tilt"),
    ],
)
def test_labels_of_perturbations(names, label):
    assert re.sub(r"#[0-9a-f]{8}$", "#HASH", set_label(list(names))) == label


def test_perturbations_have_an_order_and_families_of_their_own():
    assert in_order(reversed(P10)) == P10
    assert [family_of(name) for name in P10[-4:]] == ["geometry"] * 4
    assert not set(P10[-4:]) & set(KNOWN), "they are no corruptions"
    assert severity_label((1, 2, 3), "d") == "d1-3"
