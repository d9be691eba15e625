"""A server on this machine that answers as the Hugging Face hub does, with one repository."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

COMMIT = "0123456789" * 4


class Hub(BaseHTTPRequestHandler):
    """One repository: its kind and name, and the contents of its files by revision."""

    kind, name = "models", "org/net"
    revisions: dict[str, dict[str, bytes]]
    asked: list[str]
    """Files that were downloaded."""

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        at = "" if self.kind == "models" else f"/{self.kind}"
        api = f"/api/{self.kind}/{self.name}"
        if found := re.fullmatch(rf"{at}/{self.name}/resolve/([^/]*)/(.*)", path):
            files = self._files(found[1])
            if files is not None and found[2] in files:
                content = files[found[2]]
                if self.command == "GET":
                    self.asked.append(found[2])
                self._answer(content, {"ETag": f'"{_hash(content)}"', "X-Repo-Commit": _commit(found[1])})
                return
        elif found := re.fullmatch(rf"{api}(?:/revision/(.*)|/tree/([^/]*|refs/.*))?", path):
            revision = found[1] or found[2] or "main"
            if (files := self._files(revision)) is not None:
                listed = sorted(files.items())
                tree = [{"type": "file", "path": n, "size": len(c), "oid": _hash(c)} for n, c in listed]
                siblings = [{"rfilename": name, "size": len(content)} for name, content in listed]
                of = {"id": self.name, "sha": _commit(revision), "siblings": siblings}
                self._answer(json.dumps(tree if found[2] else of).encode(), {"Content-Type": "application/json"})
                return
        kind = "RevisionNotFound" if path.startswith(api) else "RepoNotFound"
        self._answer(b"", {"X-Error-Code": kind}, 404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _files(self, revision: str) -> dict[str, bytes] | None:
        return next((files for name, files in self.revisions.items() if revision in (name, _commit(name))), None)

    def _answer(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _commit(revision: str) -> str:
    if revision == "main" or re.fullmatch("[0-9a-f]{40}", revision):
        return COMMIT if revision == "main" else revision
    return _hash(revision.encode())


def _hash(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, cache: Path, **repository: Any) -> Iterator[type[Hub]]:
    """Let huggingface_hub talk to such a server, with an empty cache.

    Args:
        monkeypatch: Sets the addresses.
        cache: Folder of the cache.
        repository: ``revisions``, and ``kind`` and ``name`` if they are others.
    """
    constants = pytest.importorskip("huggingface_hub.constants")
    own = type("Own", (Hub,), {**repository, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
