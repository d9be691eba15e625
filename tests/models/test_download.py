"""Downloads from a server on this machine: what is right is kept, what is wrong leaves nothing behind."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppbench.errors import DataError
from ppbench.models.download import fetch, hash_in, verify
from ppbench.models.statedict import why_no_weights
from tests.models.server import Answer, Server, serve

BODY = bytes(range(256)) * 12_000
NAME = f"net-{hashlib.sha256(BODY).hexdigest()[:8]}.pth"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def answers() -> dict[str, Answer]:
    return {f"/{NAME}": Answer(BODY)}


@pytest.fixture
def server(answers: dict[str, Answer]) -> Iterator[Server]:
    with serve(answers) as running:
        yield running


def refusal(url: str, folder: Path, megabytes: float | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        fetch(url, folder, megabytes=megabytes, why_wrong=why_no_weights)
    assert "\n" not in caught.value.message
    assert url in caught.value.message
    return caught.value


def test_a_good_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    url, folder, steps = f"{server.base}/{NAME}", tmp_path / "new" / "cache", []
    path = fetch(url, folder, megabytes=len(BODY) / 2**20, on_download=lambda *step: steps.append(step))
    assert path == folder / NAME
    assert path.read_bytes() == BODY
    assert steps[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert fetch(url, folder) == path
    assert server.asked == [f"/{NAME}"]
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(BODY[:-1000], length=len(BODY)), "broke off after 3,071,000 of 3,072,000 bytes"),
        (Answer(b"<!DOCTYPE html><title>Sign in</title>"), "begins like a web page"),
        (Answer(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"), "is a Git LFS pointer"),
        (Answer(b""), "it is empty"),
        (Answer(BODY[::-1]), "its SHA-256 begins with"),
        (Answer(b"gone", 404), "answered 404 Not Found"),
        (Answer(b"<html>", 503), "answered 503"),
    ],
)
def test_a_wrong_answer_leaves_nothing(
    server: Server, answers: dict[str, Answer], tmp_path: Path, answer: Answer, reason: str
) -> None:
    answers[f"/{NAME}"] = answer
    assert reason in refusal(f"{server.base}/{NAME}", tmp_path).message
    assert list(tmp_path.iterdir()) == []


def test_the_hint_tells_how_to_fetch_by_hand(server: Server, tmp_path: Path) -> None:
    url = f"{server.base}/nothing.pth"
    assert f"`wget -P DIR {url}`; then copy the file from DIR to {tmp_path} here" in refusal(url, tmp_path).hint


def test_another_size_than_expected(server: Server, tmp_path: Path) -> None:
    message = refusal(f"{server.base}/{NAME}", tmp_path, megabytes=44.661).message
    assert "it has 2.930 MB instead of 44.661" in message
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/{NAME}"
        error = refusal(url, tmp_path)
    assert error.message.startswith(f"cannot fetch {url}: ")
    assert "On a machine with internet access" in error.hint
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_in_the_cache_is_named_and_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(BODY[:5000])
    error = refusal(f"{server.base}/{NAME}", tmp_path)
    assert str(tmp_path / NAME) in error.message
    assert f"`rm {tmp_path / NAME}`" in error.hint
    assert server.asked == []
    assert (tmp_path / NAME).read_bytes() == BODY[:5000]


def test_a_cache_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cannot store net-.*\nFree some space there"):
        fetch(f"{server.base}/{NAME}", tmp_path / "file")


def test_an_interruption_leaves_nothing(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(f"{server.base}/{NAME}", tmp_path, on_download=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_do_no_harm(server: Server, tmp_path: Path) -> None:
    both, paths = threading.Barrier(2, timeout=20), []

    def run() -> None:
        first = [both.wait]
        paths.append(fetch(f"{server.base}/{NAME}", tmp_path, on_download=lambda *_: first and first.pop()()))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [tmp_path / NAME] * 2
    assert server.asked == [f"/{NAME}"] * 2
    assert list(tmp_path.iterdir()) == [tmp_path / NAME]
    assert (tmp_path / NAME).read_bytes() == BODY


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("resnet50-0676ba61.pth", "0676ba61"),
        ("mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce67e"),
        ("alexnet-owt-7be5be79.pth", "7be5be79"),
        ("resnet50.pth", ""),
        ("my-weights.pth", ""),
    ],
)
def test_the_hash_in_a_name(name: str, digits: str) -> None:
    assert hash_in(f"https://download.pytorch.org/models/{name}") == digits


def test_a_name_without_hash_verifies_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"x")
    verify(tmp_path / "a.pth", "https://host/a.pth")


def test_importing_it_costs_no_torch() -> None:
    code = "import sys, ppbench.models.download; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
