import pytest

from ppbench.compare.comparability import (
    FIELDS,
    NEEDED_TO_PAIR,
    NEVER_ALLOWED,
    check_allowed,
    differing,
    require_comparable,
)
from ppbench.errors import NotComparableError, UsageError
from ppbench.run import Adaptation, Sequences, StreamRecord
from tests.builders import make_classes, make_run

OTHER = {
    "dataset": "imagenet-c",
    "fingerprint": "3" * 64,
    "source": "published",
    "recipe": "cifar-c",
    "engine": "ppbench corruptions 1",
    "seed": 1,
    "corruptions": ("fog",),
    "severities": (1, 2),
    "n": 500,
    "total": 2000,
    "ids_sha256": "4" * 64,
    "precision": "bf16",
    "normalizer": "alexnet",
    "classes": make_classes(logits="all"),
    "own_corruptions": {"fog": "5" * 64},
    "adaptation": Adaptation(),
    "labels": "predicted",
    "head_precision": "fp32",
    "decoder": "nvjpeg",
    "sequences": Sequences(frames={"fog": 31}, encoding="lossless"),
    "passes": 4,
    "stream": StreamRecord(level="easy", speed=1000, calibration="c"),
}
ONE = make_run().protocol


def changed(field):
    return ONE.model_copy(update={field: OTHER[field]})


def test_there_is_a_case_for_every_field():
    assert set(OTHER) == set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_the_protocol_is_compared_and_named(field):
    with pytest.raises(NotComparableError, match=f"{field} .*, old ") as caught:
        require_comparable(ONE, changed(field), ("old", "new"))
    assert caught.value.exit_code == 4
    wanted = "same images" if field in NEEDED_TO_PAIR else f"--allow {field}"
    wanted = NEVER_ALLOWED[field][2] if field in NEVER_ALLOWED else wanted
    assert wanted in caught.value.hint


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in (*NEEDED_TO_PAIR, *NEVER_ALLOWED)])
def test_what_is_meant_can_be_allowed(field):
    words = require_comparable(ONE, changed(field), ("old", "new"), [field])
    assert len(words) == 1
    assert words[0].startswith(field)


@pytest.mark.parametrize("field", NEEDED_TO_PAIR)
def test_other_images_are_never_paired_but_those_of_both_may_be(field):
    with pytest.raises(UsageError, match="image by image") as caught:
        require_comparable(ONE, ONE, ("old", "new"), [field])
    assert "`--allow ids` compares them over the images that both saw" in caught.value.hint
    check_allowed(["ids", "precision"])
    with pytest.raises(NotComparableError, match=field):
        require_comparable(ONE, changed(field), ("old", "new"), ["ids"])  # pairing has left none that differ


def test_own_corruptions_are_compared_where_both_runs_have_them():
    one = ONE.model_copy(update={"corruptions": ("fog", "haze"), "own_corruptions": {"haze": "1" * 64}})
    other = ONE.model_copy(update={"corruptions": ("fog", "mist"), "own_corruptions": {"mist": "2" * 64}})
    assert differing(one, other) == ["corruptions"]
    edited = one.model_copy(update={"own_corruptions": {"haze": "3" * 64}})
    message = "own_corruptions haze 333333333333, old haze 111111111111"
    with pytest.raises(NotComparableError, match=message):
        require_comparable(one, edited, ("old", "new"))
    dataset_has_it = one.model_copy(update={"own_corruptions": None})
    with pytest.raises(NotComparableError, match="own_corruptions none, old haze 111111111111"):
        require_comparable(one, dataset_has_it, ("old", "new"))


def test_an_unknown_field_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'precision'"):
        require_comparable(ONE, ONE, ("old", "new"), ["precison"])


def test_preprocessing_and_order_are_free():
    other = ONE.model_copy(update={"preprocessing": "32 px", "corruptions": ONE.corruptions[::-1]})
    assert differing(ONE, other) == []


def test_all_that_differs_is_named_at_once():
    other = ONE.model_copy(update={"seed": 7, "precision": "bf16"})
    with pytest.raises(
        NotComparableError, match=r": seed, precision differ\nseed 7, old 0\nprecision bf16, old fp32\n"
    ) as caught:
        require_comparable(ONE, other, ("old", "new"), ())
    assert "`--allow seed --allow precision`" in caught.value.hint
