import pytest

from ppbench.cli import browser
from ppbench.cli.browser import open_in_browser


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser was asked for, on a desktop with Linux."""
    for name in ("BROWSER", "SSH_CONNECTION", "SSH_TTY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("sys.platform", "linux")
    asked = []
    monkeypatch.setattr(browser.webbrowser, "open", lambda address: not asked.append(address))
    return asked


def test_it_is_opened_and_named(opened, tmp_path, capsys):
    path = tmp_path / "a report #1.html"
    open_in_browser(path)
    assert opened == [path.as_uri()]
    assert opened[0].startswith("file:///")
    assert "%23" in opened[0], "a number sign in a name is no fragment"
    assert "a report #1.html" in "".join(capsys.readouterr().err.split("\n"))


@pytest.mark.parametrize("name", ["SSH_CONNECTION", "SSH_TTY"])
def test_over_ssh_only_the_place_is_said(opened, monkeypatch, tmp_path, capsys, name):
    monkeypatch.setenv(name, "10.0.0.1")
    open_in_browser(tmp_path / "report.html")
    assert opened == []
    assert "report.html (there is no display here" in capsys.readouterr().err.replace("\n", "")


def test_without_a_display_only_the_place_is_said(opened, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("DISPLAY")
    open_in_browser(tmp_path / "report.html")
    assert opened == []
    assert "no display" in capsys.readouterr().err
    monkeypatch.setattr("sys.platform", "darwin")
    open_in_browser(tmp_path / "report.html")
    assert len(opened) == 1, "other systems always have one"


def test_the_user_s_own_browser_is_asked_anywhere(opened, monkeypatch, tmp_path):
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    monkeypatch.setenv("BROWSER", "code")
    open_in_browser(tmp_path / "report.html")
    assert len(opened) == 1


def test_if_no_browser_opens_it_that_is_said(opened, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(browser.webbrowser, "open", lambda address: False)
    open_in_browser(tmp_path / "report.html")
    assert "no browser was found" in capsys.readouterr().err.replace("\n", " ")
