"""The record of a model in a run file."""

import hashlib

import pytest
from pydantic import ValidationError

from ppbench.run import ModelRecord, conversion


def record(**fields):
    return ModelRecord(**{"name": "net", "weights_sha256": "1" * 64, "parameters": 10, "card": {}, **fields})


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({}, None),
        ({"origin": {"initial_weights": "net.pth"}}, None),
        ({"origin": {"name": "resnet50"}}, "ppbench convert of resnet50"),
        ({"origin": {"seed": 1}}, "ppbench convert of another network"),
        ({"rectified_push": False}, "push not rectified"),
        (
            {"rectified_push": False, "origin": {"name": "resnet50"}},
            "push not rectified (ppbench convert of resnet50)",
        ),
    ],
)
def test_how_a_model_was_made_of_a_plain_one(card, words):
    assert conversion(card) == record(card=card).conversion == words


def test_weights_that_are_not_known_are_no_other_models():
    assert record().has_weights_of("1" * 64)
    assert not record().has_weights_of("2" * 64)
    assert not record(weights_sha256=None).has_weights_of(None)


def test_the_hash_of_nothing_is_no_hash():
    assert record(weights_sha256=hashlib.sha256().hexdigest()).weights_sha256 is None


def test_corruptions_of_the_training_come_from_the_card():
    assert record().trained_on_corruptions == ()
    assert record(card={"trained_on_corruptions": ["fog"]}).trained_on_corruptions == ("fog",)


@pytest.mark.parametrize(
    ("card", "message"),
    [({"clean_accuracy": 2}, "card.clean_accuracy: "), ({"trained_on_corruptions": "fog"}, "card.trained_on_corr")],
)
def test_a_card_with_what_no_reader_expects_is_refused(card, message):
    with pytest.raises(ValidationError, match=message):
        record(card=card)
