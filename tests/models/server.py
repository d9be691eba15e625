"""A web server on this machine, for tests of downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Answer(NamedTuple):
    """What the server says to a path."""

    body: bytes
    status: int = 200
    length: int | None = None
    """Content-Length, if another than the body's."""


class Server(NamedTuple):
    """A running server."""

    base: str
    """URL without the last slash."""
    asked: list[str]
    """Paths in the order they were asked for."""


@contextmanager
def serve(answers: dict[str, Answer]) -> Iterator[Server]:
    """Answer the paths in ``answers``, which may be changed meanwhile; 404 for others."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = answers.get(self.path, Answer(b"not here", 404))
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
