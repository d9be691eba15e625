import csv
import io
import json

import pytest

from ppbench.cli.output import Format, written
from ppbench.report.by_image import by_image
from ppbench.report.by_image_data import BY_IMAGE_COLUMNS, by_image_dict
from ppbench.report.report import RunReport
from ppbench.report.run_data import RUN_COLUMNS
from ppbench.report.summary import summarise
from tests.report import images

FOUND = by_image(images.run(), images.bits(), images.predictions(), 0.9)


def export(form, found=FOUND):
    return written(RunReport([summarise(images.run())], by_image=found), Format(form))


def rows(found=FOUND):
    return list(csv.DictReader(io.StringIO(export("csv", found))))


def test_json_has_one_more_key_only_if_it_is_asked_for():
    assert "by_image" not in json.loads(export("json", None))
    content = json.loads(export("json"))
    assert content["by_image"] == json.loads(json.dumps(by_image_dict(FOUND)))
    assert {**content, "by_image": None} == {**json.loads(export("json", None)), "by_image": None}


def test_json_is_in_percent_with_both_ends():
    content = by_image_dict(FOUND)
    assert (content["label"], content["confidence"], content["reasons"]) == ("class_error[fog+snow,s1-2]", 0.9, {})
    first = content["class_errors"][0]
    assert (first["class"], first["number"], first["images"]) == ("cat", 0, 4)
    assert first["mean_error"]["value"] == 56.25
    assert first["mean_error"]["low"] == pytest.approx(100 * FOUND.classes[0].interval.low)
    assert first["clean_error"]["value"] == 25
    pair = content["added_confusions"][0]
    assert (pair["class"], pair["predicted"], pair["clean"], pair["corrupted"]) == ("cat", "dog", 25, 56.25)
    assert pair["added"]["value"] == 31.25
    assert pair["added"]["high"] == pytest.approx(100 * FOUND.confusions[0].added.high)
    flips = content["first_flips"]
    assert [row["corruption"] for row in flips["corruptions"]] == ["snow", "fog"]
    assert flips["corruptions"][1]["s2"]["value"] == pytest.approx(300 / 11)
    assert flips["families"][0]["family"] == "weather"
    assert sum(flips["mean"][key]["value"] for key in ("s1", "s2", "never")) == pytest.approx(100)


def test_missing_parts_are_null_with_their_reason():
    content = by_image_dict(by_image(images.run(), None, None, no_bits="lost", no_predictions="not kept"))
    assert content["class_errors"] is content["added_confusions"] is content["first_flips"] is None
    assert content["reasons"] == {"class_errors": "not kept", "added_confusions": "not kept", "first_flips": "lost"}


def test_csv_has_four_more_columns_and_the_same_rows_first():
    before = list(csv.DictReader(io.StringIO(export("csv", None))))
    found = rows()
    assert list(found[0]) == [*RUN_COLUMNS, *BY_IMAGE_COLUMNS]
    assert [{key: row[key] for key in RUN_COLUMNS} for row in found[: len(before)]] == before
    assert all(not row[key] for row in found[: len(before)] for key in BY_IMAGE_COLUMNS)


def test_every_number_is_a_row():
    found = rows()
    cat = next(row for row in found if row["metric"] == "class_error" and row["class"] == "cat")
    assert (cat["value"], cat["images"], cat["label"], cat["confidence"]) == (
        "56.25",
        "4",
        "class_error[fog+snow,s1-2]",
        "0.9",
    )
    assert float(cat["p"]) == FOUND.classes[0].p
    clean = next(row for row in found if row["metric"] == "class_clean_error" and row["class"] == "cat")
    assert (clean["value"], clean["label"]) == ("25.0", "class_clean_error")
    added = next(row for row in found if row["metric"] == "added_confusion")
    assert (added["class"], added["predicted"], added["value"]) == ("cat", "dog", "31.25")
    flips = [row for row in found if row["metric"] == "first_flip"]
    assert [(row["family"], row["corruption"], row["severity"]) for row in flips[:4]] == [
        ("", "", "1"),
        ("", "", "2"),
        ("weather", "", "1"),
        ("weather", "", "2"),
    ]
    assert {row["metric"] for row in found if row["images"] == "11"} == {"first_flip", "never_flips", "flips_back"}
