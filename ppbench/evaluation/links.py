"""Connections by which processes notice that another one has died: the system closes them with the process.

A process that is busy for minutes, or stopped, keeps its connection, since the system answers for it. A machine that is
gone does not answer: the system asks now and then, and finally gives the connection up.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress

SILENCE = 25.0
"""Seconds after which a machine that does not answer counts as gone."""

_RANK = struct.Struct("!i")
_BYE = b"."
_TOLD = b"!"
"""The first process ends, and has told the user why."""


class Links:
    """The connections of this process: the first process has one with each other, the others one with the first.

    Args:
        rank: Rank of this process.
        size: Number of processes.
    """

    def __init__(self, rank: int, size: int) -> None:
        self._first, self._waited_for = rank == 0, size - 1
        self._server: socket.socket | None = None
        self._open: dict[int, socket.socket] = {}
        self._rank = rank
        self.is_told = False
        """Whether the lost process has told the user why it ended."""

    def listen(self, master: str) -> tuple[str, int]:
        """Wait for connections, in the first process.

        Args:
            master: Name of a machine that all processes can reach.

        Returns:
            Address and port of this process.
        """
        family, _, _, _, where = socket.getaddrinfo(master, 1, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)  # sends nothing, but selects the address of this machine on the route to it
            address = probe.getsockname()[0]
        self._server = socket.create_server((address, 0), family=family, backlog=max(self._waited_for, 1))
        return address, self._server.getsockname()[1]

    def connect(self, address: str, port: int, timeout: float = 60.0) -> None:
        """Connect with the first process, in any other one.

        Raises:
            OSError: If it cannot be reached.
        """
        link = socket.create_connection((address, port), timeout)
        link.sendall(_RANK.pack(self._rank))
        self._keep(0, link)

    def lost(self) -> int | None:
        """Return the rank of a process that ended unexpectedly; None if none has."""
        self._accept()
        for rank, link in list(self._open.items()):
            if not select.select([link], [], [], 0)[0]:
                continue
            with suppress(OSError):
                word = link.recv(1)
                if word == _BYE:
                    self._open.pop(rank).close()
                    continue
                if word == _TOLD:
                    self.is_told = True
                    link.shutdown(socket.SHUT_RD)  # it stays lost whenever somebody asks again
            return rank
        return None

    def leave(self) -> None:
        """In the first process, which will tell the user why it ends: let the others end silently."""
        self._accept()  # also those that have connected since the last look
        for link in self._open.values():
            with suppress(OSError):
                link.sendall(_TOLD)

    def close(self) -> None:
        """Close all connections: a process that ends from now on is not lost.

        The first process leaves last, since it may hold the store that the others read from.
        """
        until = time.monotonic() + SILENCE
        # A lost process must not keep the first one from ending.
        while self._first and time.monotonic() < until:
            gone = self.lost()  # looks first: a process may have connected since the last look
            if gone is not None:
                self._open.pop(gone).close()
            elif self._open or self._waited_for:
                time.sleep(0.005)
            else:
                break
        for link in self._open.values():
            with suppress(OSError):
                link.sendall(_BYE)
            link.close()
        self._open.clear()
        if self._server is not None:
            self._server.close()

    def _accept(self) -> None:
        while self._server is not None and self._waited_for and select.select([self._server], [], [], 0)[0]:
            link, _ = self._server.accept()
            link.settimeout(SILENCE)
            rank = link.recv(_RANK.size, socket.MSG_WAITALL)
            if len(rank) < _RANK.size:  # a stranger, or a process that died at once, which the store notices
                link.close()
                continue
            self._waited_for -= 1
            self._keep(int(_RANK.unpack(rank)[0]), link)

    def _keep(self, rank: int, link: socket.socket) -> None:
        link.settimeout(None)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", SILENCE / 2), ("TCP_KEEPINTVL", SILENCE / 8), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):  # Linux; elsewhere the system's own patience
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), int(value))
        self._open[rank] = link
