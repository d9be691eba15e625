"""The strip of pictures: which images, their pixels, captions and marks, and why there may be none."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ppbench
from ppbench.data.arrays import embedded_images
from ppbench.errors import DataError
from ppbench.pictures.strip import LONGEST_CAPTION_NAME, chosen_images, class_on_picture, picture_strip
from ppbench.vocabulary import CLEAN
from tests.pictures.runs import CORRUPTIONS, embedded_run


@pytest.fixture(scope="module")
def strip():
    return picture_strip(embedded_run(), None)


def pixels(uri):
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_pictures_have_the_pixels_that_were_evaluated(strip):
    images = embedded_images()
    for row in strip.rows:
        clean = images.images[images.ids.index(row.image)]
        for one in row.pictures:
            wanted = (
                clean
                if one.severity == 0
                else ppbench.corrupt(
                    clean[None], row.corruption, one.severity, recipe="cifar-c", seed=0, ids=[row.image]
                )
            )
            assert (pixels(one.uri) == wanted.reshape(28, 28)).all()


def test_each_corruption_has_a_row_from_clean_to_severity_5(strip):
    assert [row.corruption for row in strip.rows] == [name for name in CORRUPTIONS for _ in range(2)]
    assert all([one.severity for one in row.pictures] == [0, 1, 2, 3, 4, 5] for row in strip.rows)
    assert (strip.side, strip.is_small, strip.reason, strip.severities) == (28, True, None, (0, 1, 2, 3, 4, 5))


def test_the_first_flip_is_marked_once_and_said(strip):
    for row in strip.rows:
        (flip,) = [one for one in row.pictures if one.is_first_flip]
        assert flip.severity == 3  # the two images that flip in the middle are chosen
        assert "the prediction flips here" in flip.alt
        assert [one.is_right for one in row.pictures] == [True, True, True, False, False, False]


def test_captions_have_the_predicted_class_and_its_probability(strip):
    run = embedded_run()
    first = strip.rows[0]
    place = [embedded_images().ids[place] for place in (7, 700, 1400, 1999)].index(first.image)
    sure = round(100 * int(run.predictions.confidences[CORRUPTIONS[0], 3][place]) / 255)
    wrong = run.predictions.class_names[int(run.predictions.classes[CORRUPTIONS[0], 3][place])]
    assert first.pictures[3].caption == f"{wrong} {sure} %"
    assert first.pictures[0].alt.startswith(f"{first.label} without corruption: predicted {first.label} ")
    assert first.pictures[3].alt == (
        f"{first.label} {CORRUPTIONS[0]}, severity 3: predicted {wrong} {sure} %, wrong; the prediction flips here"
    )


def test_without_predictions_pictures_say_right_or_wrong():
    strip = picture_strip(replace(embedded_run(), predictions=None), None)
    assert [one.caption for one in strip.rows[0].pictures] == ["right"] * 3 + ["wrong"] * 3
    assert strip.rows[0].pictures[5].alt.endswith("severity 5: the model is wrong")
    assert any("no predictions" in note for note in strip.notes)


def test_long_class_names_are_cut_in_captions():
    run = embedded_run()
    names = tuple(f"{number} {'long ' * 800}" for number in range(10))
    strip = picture_strip(replace(run, predictions=replace(run.predictions, class_names=names)), None)
    captions = [one.caption for row in strip.rows for one in row.pictures]
    assert max(map(len, captions)) <= LONGEST_CAPTION_NAME + len(" 100 %")
    assert all("…" in caption for caption in captions)


def test_images_that_flip_nearest_to_the_middle_are_chosen():
    run = embedded_run(flips=(1, 5, 6, 2))
    assert chosen_images(run, 4)["contrast"] == [3, 0, 1, 2]  # severity 2, 1, 5, never


def test_a_choice_does_not_depend_on_the_order_of_the_images():
    one, other = embedded_run((7, 700, 1400, 1999)), embedded_run((700, 7, 1400, 1999))
    rows = [picture_strip(run, None).rows for run in (one, other)]
    assert {row.image for row in rows[0]} == {row.image for row in rows[1]}


def test_cells_that_are_missing_have_no_picture():
    run = embedded_run()
    cells = tuple(cell for cell in run.run.cells if cell.key != ("contrast", 5) and cell.corruption != CLEAN)
    bits = {cell.key: run.bits[cell.key] for cell in cells}
    source = run.run.model_copy(update={"cells": cells, "status": "interrupted"})
    strip = picture_strip(replace(run, run=source, bits=bits), None)
    assert [one.severity for one in strip.rows[-1].pictures] == [1, 2, 3, 4]
    assert not any(one.is_first_flip for row in strip.rows for one in row.pictures)


def test_imagenets_classes_are_named_in_words():
    names = ("n02123045", "n02124075", "n00000001", "fog")
    assert [class_on_picture(name) for name in names] == ["tabby", "Egyptian cat", "n00000001", "fog"]


def test_too_many_pictures_become_fewer():
    whole = picture_strip(embedded_run(), None)
    length = [sum(len(one.uri) for one in row.pictures) for row in whole.rows]
    fewer = picture_strip(embedded_run(), None, most=sum(length) - 1)
    assert [row.corruption for row in fewer.rows] == list(CORRUPTIONS)
    one = picture_strip(embedded_run(), None, most=length[0] + 1)
    assert [row.corruption for row in one.rows] == ["brightness"]
    assert one.notes[-1] == "1 corruption is left out, so that the page stays small."


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"engine": "ppbench corruptions 0"}, "engine ppbench corruptions 1, in the run ppbench corruptions 0"),
        ({"fingerprint": "3" * 64}, "fingerprint "),
        ({"ids_sha256": "4" * 64}, "ids_sha256 "),
        ({"preprocessing": "28 px otherwise"}, "cut otherwise"),
    ],
)
def test_a_strip_says_why_embedded_images_are_not_those_evaluated(fields, why):
    strip = picture_strip(embedded_run(**fields), None)
    assert strip.rows == ()
    assert strip.reason.startswith("The embedded images are not the images that were evaluated: ")
    assert why in strip.reason


def test_a_strip_says_that_a_folder_is_needed():
    strip = picture_strip(embedded_run(dataset="fashion-mnist"), None)
    assert strip.reason == "The images are not in the run. To see them: ppbench report RUN --data DIR"
    without = picture_strip(replace(embedded_run(), bits={}), None)
    assert without.reason == "The run has no results image by image. Evaluate again to get them."


def test_a_folder_for_embedded_images_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="come with ppbench"):
        picture_strip(embedded_run(), tmp_path)
