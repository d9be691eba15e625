import json

import pytest
from pydantic import ValidationError

from ppbench.errors import UsageError
from ppbench.run import Adaptation, parse_adaptation, read_run, write_run
from tests.builders import make_errors, make_run


@pytest.mark.parametrize(("text", "images"), [("batchnorm", 0), ("batchnorm:1", 1), ("batchnorm:1000000", 10**6)])
def test_values_of_the_option(text, images):
    parsed = parse_adaptation(text)
    assert (str(parsed), parsed.label) == (text, f"{text}-adapted")
    assert parsed == Adaptation(source_images=images, batch=128)


@pytest.mark.parametrize(
    "text", ["", "BatchNorm", "batchnorm:0", "batchnorm:-1", "batchnorm:x", "batchnorm:²", "batchnorm:1000001"]
)
def test_other_values_are_refused(text):
    with pytest.raises(UsageError, match="is not allowed") as caught:
        parse_adaptation(text)
    assert "`batchnorm:16` mixes" in caught.value.hint


def test_only_files_of_adapted_runs_have_the_field(tmp_path):
    adapted = write_run(tmp_path / "a.json", make_run(make_errors(0), adaptation=Adaptation(source_images=3)))
    assert read_run(tmp_path / "a.json").protocol == adapted.protocol
    write_run(tmp_path / "b.json", make_run(make_errors(0)))
    written = [json.loads((tmp_path / name).read_text())["protocol"].get("adaptation") for name in ("a.json", "b.json")]
    assert written == [{"method": "batchnorm", "source_images": 3, "batch": 128}, None]
    assert "adaptation" not in (tmp_path / "b.json").read_text()
    with pytest.raises(ValidationError):
        Adaptation(method="tent")
