from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.figures.kinds import KINDS
from tests.compare.runs import make_measured, write_measured
from tests.figures.runs import better, plain
from tests.streams.runs import uneven, write_stream_run

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def run(*arguments: object) -> object:
    return CliRunner().invoke(app, ["plot", *map(str, arguments)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return write_measured(folder / "plain.json", plain()), write_measured(folder / "better.json", better())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written(kind: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    ending = list(STARTS)[list(KINDS).index(kind) % 3 - 1]
    target = tmp_path / f"figure{ending}"
    if kind == "stream":
        files = tuple(write_stream_run(tmp_path / f"{name}.json", uneven(), name) for name in ("a", "b"))  # type: ignore[assignment]
    result = run(files[1], "--kind", kind, "--baseline", files[0], "-o", target)
    assert result.exit_code == 0, result.output
    assert target.read_bytes().startswith(STARTS[ending])
    assert result.stdout == ""
    assert "the figure is in" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["RUN", "-o", "figure.jpg"], 2, "--output figure.jpg is not allowed"),
        (["RUN", "-o", "figure.svg", "--kind", "pie"], 2, "unknown kind of figure 'pie'"),
        (["RUN", "-o", "figure.svg", "--width", "wide"], 2, "unknown width 'wide'"),
        (["RUN", "RUN", "-o", "figure.svg", "--kind", "forest"], 2, "is given twice"),
        (["missing.json", "-o", "figure.svg"], 3, "cannot read the run missing.json"),
        (["RUN", "OTHER", "-o", "figure.svg", "--kind", "severity"], 4, "was not measured like plain"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    arguments: list[str], code: int, words: str, files: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    monkeypatch.chdir(tmp_path)
    other = make_measured({("clean", 0): 0.1, ("fog", 1): 0.5}, corruptions=("fog",), severities=(1,))
    paths = {"RUN": files[0], "OTHER": write_measured(tmp_path / "other.json", other)}
    before = sorted(tmp_path.iterdir())
    result = run(*(paths.get(argument, argument) for argument in arguments))
    assert result.exit_code == code
    assert words in " ".join(result.stderr.split())
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    (tmp_path / "file").touch()
    result = run(files[0], "-o", tmp_path / "file" / "figure.svg")
    assert result.exit_code == 3
    assert "cannot write" in result.stderr


def test_without_matplotlib_the_extra_is_named(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run(files[0], "-o", tmp_path / "figure.svg")
    assert result.exit_code == 2
    assert "`ppbench plot` needs matplotlib, which is not installed" in result.stderr
    assert "--extra plots" in result.stderr


def test_no_input_is_overwritten(files: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    csv = tmp_path / "denominators.svg"
    csv.write_text("corruption,severity,accuracy\nfog,1,0.5\n")
    before = csv.read_bytes()
    result = run(files[0], "--normalizer", csv, "-o", csv)
    assert result.exit_code == 2
    assert "would overwrite the input" in result.stderr
    assert csv.read_bytes() == before
