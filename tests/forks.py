"""Python processes that start at once: forked from one that has torch, Lightning and all of ppbench loaded.

Starting Python and loading all that takes 4 to 10 seconds of a core. A forked process is otherwise like any other: its
arguments, environment, signals, streams and session are its own, and it ends as Python ends. Worker processes that it
starts ("spawn") are forked likewise.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import importlib.util
import json
import multiprocessing.spawn
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = str(Path(__file__).parents[1])
PPBENCH = "from ppbench.cli.main import main\nmain()\n"
"""What ``python -m ppbench`` runs."""

KNOWN_AS = "PPBENCH_TESTS_SERVER"
"""Environment variable of programs that tests start: the name of the process that forks."""

PROGRAM = "PPBENCH_TESTS_PYTHON"
"""Environment variable of forked processes: the program that `python` made."""

FORWARDS = "PPBENCH_TESTS_FORWARDS"
"""Environment variable of the images in a forward pass, small and large ones; `conftest.forwards_of` sets it."""

LOADED = (
    "lightning.pytorch", "ppbench.cli.main", "ppbench.copies.api", "ppbench.evaluation.api", "ppbench.report.report",
    "ppbench.tables.report", "ppbench.train.fit",
)  # fmt: skip
"""Modules that take long to load, with all that they load."""


class Forked:
    """A process in a session of its own, as `subprocess.Popen` describes one, with pipes for stdout and stderr.

    Args:
        status: Where its number is read from and, at its end, how it ended.
        stdout: A pipe.
        stderr: A pipe.
    """

    def __init__(self, status: socket.socket, stdout: int, stderr: int) -> None:
        self._status = status
        self.pid = int(status.recv(64))
        self.stdout, self.stderr = os.fdopen(stdout, "rb"), os.fdopen(stderr, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; None if it runs."""
        with suppress(BlockingIOError):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; how it ended."""
        if self.returncode is None:
            self._status.settimeout(timeout)
            self.returncode = int(self._status.recv(64))
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Wait for its end; what was left on stdout and stderr."""
        with ThreadPoolExecutor(2) as readers:
            reading = [readers.submit(stream.read) for stream in (self.stdout, self.stderr) if not stream.closed]
            try:
                stdout, stderr = (one.result(timeout) for one in reading) if reading else (b"", b"")
            except TimeoutError:
                self.kill()  # else the readers never end
                raise
        self.stdout.close()
        self.stderr.close()
        self.wait(timeout)
        return stdout, stderr

    def kill(self) -> None:
        """Kill all processes of its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def fork(code: str, *arguments: str, name: str = "-c", **environment: str) -> Forked:
    """Run Python code in a new process.

    Args:
        code: What is run as ``__main__``.
        arguments: The rest of ``sys.argv``.
        name: The first of ``sys.argv``.
        environment: What is added to this process's.
    """
    (stdout, out), (stderr, err) = os.pipe(), os.pipe()
    status = _asked(code, [name, *arguments], out, err, {**os.environ, **environment})
    for file in (out, err):
        os.close(file)
    return Forked(status, stdout, stderr)


def _asked(
    code: str,
    argv: list[str],
    out: int,
    err: int,
    environment: dict[str, str],
    files: list[int] | None = None,
    *,
    ignores: bool = False,
) -> socket.socket:
    """Have a process forked that writes to two files; where its number is read from and, at its end, how it ended.

    Other files that it inherits have the same numbers there. It may ignore Ctrl-C from the start.
    """
    files, environment = files or [], {**environment, PROGRAM: python()}
    asked = {"code": code, "argv": argv, "folder": str(Path.cwd()), "environment": environment}
    asked |= {"files": files, "ignores": ignores}
    ours, status = socket.socketpair()
    socket.send_fds(_server(), [json.dumps(asked).encode()], [status.fileno(), out, err, *files])
    status.close()
    return ours


def run(code: str, *arguments: str, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a new process and wait for its end."""
    process = fork(code, *arguments, **environment)
    stdout, stderr = process.communicate(timeout)
    return subprocess.CompletedProcess([code, *arguments], process.wait(), stdout.decode(), stderr.decode())


@cache
def python() -> str:
    """A program for those who start Python by themselves: it takes ``-c CODE`` and ``-m MODULE``, and forks."""
    if PROGRAM in os.environ:
        return os.environ[PROGRAM]
    _server()
    folder = Path(tempfile.mkdtemp(prefix="ppbench-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "python"
    command = f"{KNOWN_AS}={_name()} exec {shlex.quote(sys.executable)} -E -S {shlex.quote(__file__)}"
    program.write_text(f'#!/bin/sh\n{command} "$@"\n')
    program.chmod(0o755)
    return str(program)


def _as_python(arguments: list[str]) -> NoReturn:
    """What that program does; signals to it are signals to the forked process."""
    while arguments[0] not in ("-c", "-m"):  # -u, or an option of -X
        del arguments[0]
    kind, code, *others = arguments
    if kind == "-m":
        code = PPBENCH if code == "ppbench" else f"import runpy\nrunpy.run_module({code!r}, None, '__main__', True)\n"
    files = [int(file.name) for file in Path("/dev/fd").iterdir()]
    files = [file for file in files if file > 2 and _is_inherited(file)]
    ignores = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    status = _asked(code, [kind, *others], 1, 2, dict(os.environ), files, ignores=ignores)
    for file in files:
        os.close(file)
    process = int(status.recv(64))

    def send(number: int, frame: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, send)
    ended = int(status.recv(64))
    if ended < 0:
        with suppress(OSError):  # SIGKILL
            signal.signal(-ended, signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    os._exit(ended)


def _is_inherited(file: int) -> bool:
    """Whether a file was there before this process, which opens none for others."""
    try:
        return os.get_inheritable(file)
    except OSError:  # the listing itself
        return False


def _name() -> str:
    own = "ppbench-tests-" + os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return os.environ.get(KNOWN_AS, own)


@cache
def _server() -> socket.socket:
    """A connection to the process that forks for all workers of pytest. The first test that needs it starts it."""
    name = f"\0{_name()}"
    ours, started = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), False
    while ours.connect_ex(name):
        if not started:
            subprocess.Popen(
                [sys.executable, "-c", "import sys; from tests.forks import serve; serve(sys.argv[1])", name[1:]],
                env={**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # hence buffered in every fork, as a pipe is
                start_new_session=True,
            )
            started = True
        time.sleep(0.01)
    atexit.register(ours.close)
    return ours


def serve(name: str) -> NoReturn:
    """Fork a process for every request, until the tests end."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listening.bind(f"\0{name}")
    except OSError:  # another worker was faster
        os._exit(0)
    listening.listen()
    for module in LOADED:
        importlib.import_module(module)
    _load_compiler()
    for loaded in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        loaded.atexit = False  # torch would take each of its libraries apart at the end of every fork
    gc.freeze()
    clients = [listening.accept()[0]]
    while clients:
        for ready in select.select([listening, *clients], [], [])[0]:
            if ready is listening:
                clients.append(listening.accept()[0])
            else:
                request, files, *_ = socket.recv_fds(ready, 2**20, 200)
                if request:
                    _answer(request, files, [listening, *clients])
                else:
                    clients.remove(ready)
    os._exit(0)


def _load_compiler() -> None:
    """What the first compiled kernel loads in a process, which takes numba half a second: it makes a noisy image."""
    import numpy as np

    from ppbench.corruptions.apply import corrupt

    corrupt(np.zeros((28, 28), np.uint8), "gaussian_noise", 1)


def _answer(request: bytes, files: list[int], connections: list[socket.socket]) -> None:
    """Fork once."""
    if os.fork() == 0:
        for connection in connections:
            connection.close()
        _keep(json.loads(request), *files)
    for file in files:
        os.close(file)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(asked: dict[str, Any], status: int, *files: int) -> NoReturn:
    """Fork once more, and tell how that process ends."""
    child = os.fork()
    if child == 0:
        os.close(status)
        _begin(asked, files)
        _end(_run(asked["code"]))
    for file in files:
        os.close(file)
    os.write(status, str(child).encode())
    ends = select.poll()
    for file in (status, os.pidfd_open(child)):
        ends.register(file, select.POLLIN)
    if status in dict(ends.poll()):  # whoever asked for it was killed
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):
        os.write(status, str(ended).encode())
    os._exit(0)


def _begin(asked: dict[str, Any], files: tuple[int, ...]) -> None:
    """What a process has when it starts."""
    os.setsid()
    numbers = [1, 2, *asked["files"]]
    above = [fcntl.fcntl(file, fcntl.F_DUPFD, max(numbers) + 1) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(above, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.SIG_IGN if asked["ignores"] else signal.default_int_handler)
    multiprocessing.spawn.set_executable(asked["environment"][PROGRAM])
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = asked["argv"]
    if FORWARDS in os.environ:
        from ppbench.evaluation import feed, inference

        small, large = map(int, os.environ[FORWARDS].split(","))
        for module in (feed, inference):
            module.forward_size = lambda device, side: small if side <= inference.SMALL_SIDE else large


def _run(code: str) -> int:
    """Run the code as Python runs a program; the exit code."""
    main = types.ModuleType("__main__")
    if code.endswith(PPBENCH):  # so that workers, and Lightning's other processes, find what to start
        main.__spec__ = importlib.util.find_spec("ppbench.__main__")
    sys.modules["__main__"] = main
    try:
        exec(compile(code, "<forked>", "exec"), main.__dict__)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        traceback.print_exc()
        return -signal.SIGINT
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> NoReturn:
    """End as Python ends, but for taking all objects apart, which takes long."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    ctypes.CDLL(None).fflush(None)
    if code == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


if __name__ == "__main__":
    _as_python(sys.argv[1:])
