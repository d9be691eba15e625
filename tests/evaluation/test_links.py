"""Of several processes one dies: the others notice, keep what there is, and say who."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from ppbench.evaluation.links import Links
from tests.evaluation.models import tiny_checkpoint
from tests.forks import Forked, fork

pytestmark = pytest.mark.usefixtures("_small_forwards")

SCRIPT = """
import os, signal, sys, time
import torch
import ppbench.cli.main
import ppbench.evaluation.collector as collector, ppbench.evaluation.feed as feed

torch.set_num_threads(1)
sys.argv = ["ppbench", *sys.argv[1:]]
rank, wanted = os.environ["RANK"], os.environ["DYING"]
real = feed.Feed.batches

def batches(*arguments):
    for number, batch in enumerate(real(*arguments)):
        if rank == wanted and number == 3:
            print(time.monotonic(), file=sys.stderr, flush=True)
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        yield batch
        collector._FLUSH = 0.0

feed.Feed.batches = batches
ppbench.cli.main.main()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_two(dying: int, number: int, *arguments: str) -> list[Forked]:
    """``ppbench eval`` in two processes without torchrun, of which one gets a signal at its fourth batch."""
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    group |= {"DYING": str(dying), "SIGNAL": str(number)}
    return [fork(SCRIPT, "eval", *arguments, RANK=str(rank), **group) for rank in (0, 1)]


def said(process: Forked, timeout: float) -> tuple[str, str]:
    stdout, stderr = process.communicate(timeout)
    return stdout.decode(), stderr.decode()


@pytest.mark.parametrize("dying", [0, 1])
def test_the_other_one_of_two_notices_a_kill(tmp_path: Path, dying: int) -> None:
    net = str(tiny_checkpoint(tmp_path / "net.safetensors"))
    call = ["-m", net, "-c", "fog,contrast", "-s", "1-2", "--limit", "400", "--batch-size", "16"]
    processes = start_two(dying, signal.SIGKILL, *call, "-o", str(tmp_path / "run.json"))
    left = said(processes[1 - dying], 120)  # it waited for ever
    ended = time.monotonic()
    killed = said(processes[dying], 10)
    told = [left, killed] if dying else [killed, left]
    assert ended - float(killed[1].split()[-1]) < 30  # the start of the processes does not count
    codes = [process.returncode for process in processes]
    assert codes[dying] == -signal.SIGKILL
    assert codes[1 - dying] == 1, told
    assert "Traceback" not in told[1 - dying][1]
    assert [line.startswith("error:") for line in left[1].splitlines()].count(True) == 1
    assert f"error: process {dying} of 2 ended unexpectedly" in left[1]
    if dying == 1:
        assert (tmp_path / "run.json.journal").stat().st_size > 0
    else:
        assert told[1][0] == ""


class TestLinks:
    def test_a_process_that_parts_is_not_missed_and_one_that_dies_is(self) -> None:
        first, second, third = (Links(rank, 3) for rank in range(3))
        where = first.listen("localhost")
        second.connect(*where)
        third.connect(*where)
        assert first.lost() is None
        second.close()
        assert first.lost() is None
        third._open[0].close()  # what the system does for a process that is killed
        assert self.soon(first) == 2

    @staticmethod
    def soon(links: Links) -> int | None:
        until = time.monotonic() + 10
        while links.lost() is None and time.monotonic() < until:
            time.sleep(0.01)
        return links.lost()

    def test_the_first_one_is_missed_too(self) -> None:
        first, second = Links(0, 2), Links(1, 2)
        second.connect(*first.listen("127.0.0.1"))
        assert (first.lost(), second.lost()) == (None, None)
        first._open[1].close()
        assert self.soon(second) == 0

    def test_a_first_one_that_tells_why_it_ends_is_told_from_one_that_died(self) -> None:
        first, second = Links(0, 2), Links(1, 2)
        second.connect(*first.listen("127.0.0.1"))
        assert first.lost() is None
        first.leave()
        assert self.soon(second) == 0
        assert second.is_told

    def test_the_first_one_stays_for_others_it_has_not_looked_at(self) -> None:
        """It is the slower one wherever they meet, so it never had to wait for another and never looked."""
        first, second, third = (Links(rank, 3) for rank in range(3))
        where = first.listen("127.0.0.1")
        second.connect(*where)
        with ThreadPoolExecutor() as threads:
            closed = threads.submit(first.close)
            second.close()
            third.connect(*where)
            wait([closed], 0.2)
            assert (third.lost(), closed.done()) == (None, False)
            third.close()
            closed.result(5)

    def test_the_first_one_tells_others_it_has_not_looked_at(self) -> None:
        first, second = Links(0, 2), Links(1, 2)
        second.connect(*first.listen("127.0.0.1"))
        first.leave()
        assert self.soon(second) == 0
        assert second.is_told
