"""Repositories of the Hugging Face hub, from a server on this machine that answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

import pytest

from ppbench.errors import DataError
from ppbench.models.hub import fetch_repository

COMMIT = "0123456789" * 4
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"w" * 5000,
    "pytorch_model.bin": b"p" * 5000,
    "net.py": b"print('run')",
    "onnx/config.json": b"{}",
    "training.log": b"long",
}


class Hub(BaseHTTPRequestHandler):
    """One repository, ``org/net``."""

    files = FILES

    def do_GET(self) -> None:
        path = urlparse(self.path).path
        if path.startswith("/api/models/org/net/tree/"):
            self._answer_json([{"type": "file", "path": n, "size": len(c), "oid": _hash(c)} for n, c in self._files()])
        elif path in ("/api/models/org/net", "/api/models/org/net/revision/main"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in self._files()]
            self._answer_json({"id": "org/net", "sha": COMMIT, "siblings": siblings})
        elif (found := re.fullmatch(r"/org/net/resolve/\w+/(.*)", path)) and found[1] in self.files:
            content = self.files[found[1]]
            self._answer(content, {"ETag": f'"{_hash(content)}"', "X-Repo-Commit": COMMIT})
        else:
            kind = "RevisionNotFound" if path.startswith("/api/models/org/net/") else "RepoNotFound"
            self._answer(b"", {"X-Error-Code": kind}, 404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _files(self) -> list[tuple[str, bytes]]:
        return sorted(self.files.items())

    def _answer_json(self, content: Any) -> None:
        self._answer(json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _answer(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _hash(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Hub]]:
    constants = pytest.importorskip("huggingface_hub.constants")

    class Own(Hub):
        """Files that a test may change."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(tmp_path_factory.mktemp("hub")),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Own
    server.shutdown()
    server.server_close()
    thread.join()


def test_settings_and_one_kind_of_weights(hub: type[Hub]) -> None:
    said: list[tuple[int, int]] = []
    found = fetch_repository("org/net", door="hf", on_download=lambda done, total: said.append((done, total)))
    assert sorted(path.name for path in found.folder.iterdir()) == ["config.json", "model.safetensors"]
    assert found.source == f"https://huggingface.co/org/net/tree/{COMMIT}"
    assert {total for _, total in said} == {5002}
    assert max(done for done, _ in said) == 5002
    with_code = fetch_repository("org/net", door="hf", code=True).folder
    assert (with_code / "net.py").is_file()


def test_weights_of_the_older_format_if_there_are_no_others(hub: type[Hub]) -> None:
    hub.files = {name: content for name, content in FILES.items() if name != "model.safetensors"}
    folder = fetch_repository("org/net@main", door="hf").folder
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "pytorch_model.bin"]


def test_what_is_in_the_cache_is_used_without_a_network(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    first = fetch_repository("org/net", door="hf")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch_repository("org/net", door="hf") == first
    with pytest.raises(DataError, match=r"cannot fetch org/other .* it is not reachable"):
        fetch_repository("org/other", door="hf")


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("org/none", "there is no repository org/none on huggingface.co", "hf auth login"),
        ("org/net@v9", "org/net has no revision 'v9'", "branch, tag or commit"),
        ("net", "hf:net is neither a folder here nor the name of a repository", "hf:microsoft/resnet-50"),
        ("a b/c", "hf:a b/c is neither a folder here", "ORG/NAME"),
    ],
)
def test_names_that_there_are_not(hub: type[Hub], reference: str, message: str, hint: str) -> None:
    with pytest.raises(DataError, match=message.replace(".", r"\.")) as caught:
        fetch_repository(reference, door="hf")
    assert hint in caught.value.hint
