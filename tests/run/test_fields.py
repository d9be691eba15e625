"""Names in a run file."""

import pytest
from pydantic import ValidationError

from ppbench.errors import DataError
from ppbench.run import read_run
from tests.builders import make_run
from tests.run.files import damage


@pytest.mark.parametrize("name", ["", "-fog", ".fog", "fo g", "fog/1", "fog\n", "nébel", "a" * 65])
def test_a_name_that_could_not_be_a_folder_s_is_refused(name):
    with pytest.raises(ValidationError, match="is not a corruption's name, which matches"):
        make_run(corruptions=(name,), severities=(2,))


def test_bits_are_looked_for_only_beside_the_run(written, tmp_path):
    path, _, _ = written
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path.with_name("run.bits.npy").rename(elsewhere / "run.bits.npy")
    for name in ("elsewhere/run.bits.npy", "/etc/passwd", "../../x", "", ".", "..", "a\x00b", "a" * 300):
        damage(path, lambda content, name=name: content["bits"].update(file=name))
        with pytest.raises(DataError, match=r"bits.file: .* is not a file name: what belongs to a run"):
            read_run(path)
