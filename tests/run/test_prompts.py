import hashlib
import json

import pytest
from pydantic import ValidationError

from ppbench.run import Prompts, read_run, write_run
from tests.builders import make_errors, make_run

ASKED = Prompts.of_card({"classes": ("cat", "dog"), "templates": ("a photo of a {}.",)})


def test_prompts_of_a_card() -> None:
    assert ASKED is not None
    assert ASKED.classes_sha256 == hashlib.sha256(b"cat\ndog").hexdigest()
    assert str(ASKED) == "'a photo of a {}.'"
    assert str(ASKED.model_copy(update={"templates": ("a {}", "the {}")})) == "2 templates"
    assert Prompts.of_card(None) is Prompts.of_card({"classes": ("cat",)}) is None
    with pytest.raises(ValidationError):
        Prompts(templates=(), classes_sha256="0")


def test_only_files_of_zero_shot_models_have_the_field(tmp_path) -> None:
    for name, prompts in (("a.json", ASKED), ("b.json", None)):
        write_run(tmp_path / name, make_run(make_errors(0), prompts=prompts))
    assert read_run(tmp_path / "a.json").protocol.prompts == ASKED
    assert json.loads((tmp_path / "a.json").read_text())["protocol"]["prompts"] == {
        "templates": ["a photo of a {}."],
        "classes_sha256": hashlib.sha256(b"cat\ndog").hexdigest(),
    }
    assert "prompts" not in (tmp_path / "b.json").read_text()
