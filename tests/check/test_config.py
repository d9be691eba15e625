import pytest

from ppbench.check.config import read_config
from ppbench.errors import DataError, UsageError


def test_the_table_of_a_file(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[tool.ppbench.check]\nbaseline = "base.json"\nconfidence = 0.9\non-inconclusive = "fail"\n'
        'allow = ["precision"]\n'
        '[tool.ppbench.check.max-drop]\nmean = 0.5\n"fog/3" = 2\n'
    )
    config = read_config(path)
    assert config.rules == {"mean": 0.5, "fog/3": 2.0}
    assert (config.baseline, config.confidence) == (tmp_path / "base.json", 0.9)
    assert (config.on_inconclusive, config.allow) == ("fail", ("precision",))
    path.write_text('[tool.ppbench.check]\nfail-on = "perhaps"\non-powerless = "fail"\n')
    config = read_config(path)
    assert (config.fail_on, config.on_powerless, config.on_inconclusive) == ("perhaps", "fail", None)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tool = 3", "tool"),
        ("[tool]\nppbench = 3", "tool.ppbench"),
        ('[tool]\nppbench = "x"', "tool.ppbench"),
        ("[[tool.ppbench]]\ncheck = 1", "tool.ppbench"),
        ("[tool.ppbench]\ncheck = 3", "tool.ppbench.check"),
    ],
)
def test_what_should_be_a_table_and_is_none(tmp_path, text, name):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=f"pyproject.toml: {name} is not a table"):
        read_config(tmp_path / "pyproject.toml")


def test_the_file_of_the_working_directory_is_found_and_may_say_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_config(None).rules == {}
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_config(None).rules == {}
    (tmp_path / "pyproject.toml").write_text("[tool.ppbench.check.max-drop]\nnoise = 1\n")
    assert read_config(None).rules == {"noise": 1.0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[tool", "is not TOML"),
        ("[tool.ppbench]\ncheck = 1", "is not a table"),
        ("[tool.ppbench.check]\nmax_drop = {}", "did you mean 'max-drop'"),
        ("[tool.ppbench.check]\nmax-drop = 1", "max-drop = 1"),
        ("[tool.ppbench.check]\nconfidence = true", "confidence = True"),
        ("[tool.ppbench.check.max-drop]\nmean = true", "a maximal drop of True"),
    ],
)
def test_a_file_that_will_not_do(tmp_path, content, message):
    path = tmp_path / "ppbench.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        read_config(path)


def test_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "ppbench.toml"
    with pytest.raises(DataError, match=r"cannot read .*: No such file or directory"):
        read_config(path)
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"cannot read .*: it is not UTF-8"):
        read_config(path)
