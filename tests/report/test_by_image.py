import pytest

from ppbench.report.by_image import CLASSES, CONFUSIONS, FLIPS, by_image
from tests.report import images

RUN, BITS, PREDICTIONS = images.run(), images.bits(), images.predictions()


def test_classes_come_worst_first_with_their_names_and_images():
    found = by_image(RUN, BITS, PREDICTIONS)
    assert [found.names[one.number] for one in found.classes] == ["cat", "dog", "owl"]
    assert [one.error for one in found.classes] == pytest.approx([9 / 16, 2 / 16, 1 / 16])
    assert [one.clean.value for one in found.classes] == [0.25, 0, 0]
    assert [one.n for one in found.classes] == [4, 4, 4]
    assert found.label("class_error") == "class_error[fog+snow,s1-2]"


def test_confusions_are_counted_above_those_on_clean_images_and_other_outputs_have_names():
    found = by_image(RUN, BITS, PREDICTIONS)
    pairs = {(found.names[one.label], found.names[one.predicted]): one for one in found.confusions}
    assert next(iter(pairs)) == ("cat", "dog"), "the largest first"
    assert set(pairs) == {("cat", "dog"), ("dog", "cat"), ("dog", "output 0"), ("owl", "cat")}
    assert pairs["cat", "dog"].clean == 0.25
    assert pairs["cat", "dog"].corrupted == pytest.approx(9 / 16)
    assert pairs["dog", "output 0"].added.value == pytest.approx(1 / 16)


def test_flips_are_given_by_corruption_by_family_and_over_all():
    found = by_image(RUN, BITS, PREDICTIONS)
    assert [row[:2] for row in found.flip_rows] == [("", ""), ("weather", ""), ("weather", "snow"), ("weather", "fog")]
    assert found.overall.n == 11
    fog = found.flips["fog"]
    # The third cat flips at 1 and returns at 2; the first two and the last dog flip at 2.
    assert (fog.first[1].value, fog.first[2].value) == (1 / 11, 3 / 11)
    assert (fog.never.value, fog.returned.value) == pytest.approx((7 / 11, 1 / 11))
    assert found.families["weather"] == found.overall
    assert found.overall.first[1].value == pytest.approx((1 / 11 + 0) / 2)


def test_what_is_missing_has_a_reason_and_the_rest_is_there():
    found = by_image(RUN, BITS, None, no_predictions="no file")
    assert found.reasons == {CLASSES: "no file", CONFUSIONS: "no file"}
    assert (found.classes, found.confusions) == ((), ())
    assert found.flips
    found = by_image(RUN, None, PREDICTIONS, no_bits="lost")
    assert found.reasons == {FLIPS: "lost"}
    assert found.classes
    assert found.flip_rows == []


def test_a_missing_cell_leaves_out_the_corruption_and_the_means():
    kept = [cell for cell in RUN.cells if cell.key != ("fog", 2)]
    run = RUN.model_copy(update={"cells": tuple(kept), "status": "interrupted"})
    bits = {cell: right for cell, right in BITS.items() if cell != ("fog", 2)}
    classes = {cell: own for cell, own in PREDICTIONS.classes.items() if cell != ("fog", 2)}
    found = by_image(run, bits, type(PREDICTIONS)(PREDICTIONS.labels, classes, None, images.NAMES))
    assert list(found.flips) == ["snow"]
    assert (found.overall, dict(found.families)) == (None, {})
    assert set(found.reasons.values()) == {"the run lacks 1 of 4 cells: fog s2"}
    assert set(found.reasons) == {CLASSES, CONFUSIONS, FLIPS}
