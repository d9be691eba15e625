"""Names from files reach no output as more than names."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from ppbench.cli.main import app
from ppbench.run import Run, write_run
from ppbench.tables import escapes
from tests.builders import make_bits, make_run

HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07 \x9b2J \u202egnp.\u2066 \nerror: forged\r [link=http://x.y]z[/link] :bomb: |*_`<b>&lt;"
)


def test_terminal() -> None:
    text = escapes.for_terminal(HOSTILE)
    assert text.isprintable()
    assert r"\x1b[31mred" in text
    assert r"\u202egnp." in text
    assert "[link=http://x.y]z[/link] :bomb:" in text
    assert escapes.for_terminal("half \ud800") == r"half \ud800"
    assert escapes.for_terminal("a\u200cb\xadc\U000e0041") == r"a\u200cb\xadc\U000e0041"
    assert escapes.for_terminal("ein Bär, 网, نص, 👩\u200d🔬") == "ein Bär, 网, نص, 👩\u200d🔬"


def test_markdown() -> None:
    assert escapes.for_markdown("a|b\n[x](y) ~~z~~ R&D &lt;") == r"a\|b\\n\[x](y) \~\~z\~\~ R&D \&lt;"


def test_latex() -> None:
    assert escapes.for_latex("\x1b\\input{/etc/passwd}") == (r"\textbackslash{}x1b\textbackslash{}input\{/etc/passwd\}")


def test_latex_has_options_in_typewriter() -> None:
    assert escapes.for_latex("that `--max_drop 5` prints") == r"that \texttt{-{}-max\_drop 5} prints"
    assert escapes.for_latex("a ` alone") == "a ` alone"


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "-1e3(", "\t=1"])
def test_csv_has_no_formulas(name: str) -> None:
    assert escapes.for_csv(name).startswith("'")


@pytest.mark.parametrize("value", ["-1.5", "+3", -1.5, None, "fog", "–"])
def test_csv_has_numbers_and_words_as_they_are(value: object) -> None:
    assert escapes.for_csv(value) == value


def test_json_keeps_every_text_and_is_printable() -> None:
    names = {"name": HOSTILE + "\x7f\ud800\xad\u200c\U000e0041"}
    text = escapes.to_json(names)
    assert json.loads(text) == names
    assert all(line.isprintable() for line in text.splitlines())
    with pytest.raises(ValueError, match="not JSON compliant"):
        escapes.to_json(float("nan"))


def test_xml() -> None:
    text = escapes.for_xml("\x1b \ud800 \uffff\nsecond")
    assert text == "\\x1b \\ud800 \\uffff\nsecond"
    ElementTree.fromstring(f"<a>{text}</a>")


def named(folder: Path, file: str, name: str) -> Path:
    run: Run = make_run(name=name, n=20, corruptions=("fog",))
    write_run(folder / file, run, make_bits(run))
    return folder / file


@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_every_command_and_format_escapes_a_models_name(form: str, tmp_path: Path) -> None:
    old, new = named(tmp_path, "old.json", f"={HOSTILE}"), named(tmp_path, "new.json", f"={HOSTILE}2")
    for call in (["show", old], ["compare", old, new], ["check", new, "--baseline", old]):
        done = CliRunner().invoke(app, [*map(str, call), "--format", form])
        assert done.exit_code == 0, done.output
        shown = done.stdout + done.stderr
        assert all(line.isprintable() for line in shown.split("\n")), call
        assert not any(line.lstrip().startswith("error: forged") for line in shown.split("\n"))
        if form == "csv":
            fields = [field for row in csv.reader(io.StringIO(done.stdout)) for field in row]
            assert not any(field.startswith("=") for field in fields)


def test_junit_and_summary_escape_a_models_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = named(tmp_path, "old.json", HOSTILE), named(tmp_path, "new.json", f"{HOSTILE}2")
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    call = ["check", str(new), "--baseline", str(old), "--junit", str(junit), "--github-summary"]
    assert CliRunner().invoke(app, call).exit_code == 0
    case = ElementTree.parse(junit).getroot().find(".//testcase")
    assert case is not None
    assert r"\x1b[31mred" in case.attrib["classname"]
    lines = summary.read_text(encoding="utf-8").split("\n")
    assert all(line.isprintable() for line in lines)
    assert lines[0].startswith("### PASS")


def test_errors_escape_the_names_of_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["show", str(tmp_path / "[bold]a\x1b[2J\nerror: b.json")])
    assert done.exit_code == 3
    first = done.stderr.split("\n")[0]
    assert first.isprintable()
    assert r"[bold]a\x1b[2J\nerror: b.json" in first
