"""What launchers say in the environment: used where it is whole, refused in one line where it is not."""

from __future__ import annotations

import pytest

from ppbench.errors import UsageError
from ppbench.launch import Launch, environment_number, launched

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for pair in text.split():
        monkeypatch.setenv(*pair.split("=", 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WORLD_SIZE=",
        "RANK= WORLD_SIZE=",
        "RANK=0 WORLD_SIZE=",
        "RANK=0",
        "WORLD_SIZE=2",  # Lightning's own second process
        "RANK=0 WORLD_SIZE=1",
        "SLURM_NTASKS=4 SLURM_PROCID=2",
        "OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=1 PMI_SIZE=2 PMI_RANK=1",
    ],
)
def test_alone(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    say(monkeypatch, text)
    assert launched() is None


def test_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, "RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 MASTER_ADDR=node1 MASTER_PORT=29500")
    assert launched() == Launch(3, 4, 1, "node1")
    monkeypatch.setenv("LOCAL_RANK", "")
    assert launched() == Launch(3, 4, 3, "node1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RANK=0 WORLD_SIZE=2", "WORLD_SIZE=2 is set, MASTER_ADDR and MASTER_PORT not"),
        ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=", "WORLD_SIZE=2 is set, MASTER_PORT not"),
        ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=99999", "MASTER_PORT=99999 is not a port"),
        ("RANK=2 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=1", "RANK=2 and WORLD_SIZE=2 do not fit"),
        ("RANK=-1 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=1", "RANK=-1 and WORLD_SIZE=2 do not fit"),
        ("RANK=0 WORLD_SIZE=0 MASTER_ADDR=h MASTER_PORT=1", "RANK=0 and WORLD_SIZE=0 do not fit"),
        ("RANK=x WORLD_SIZE=2", "RANK=x is not a whole number"),
        ("RANK=0 WORLD_SIZE=two", "WORLD_SIZE=two is not a whole number"),
    ],
)
def test_what_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    say(monkeypatch, text)
    with pytest.raises(UsageError) as caught:
        launched()
    assert caught.value.message == message
    assert caught.value.hint


def test_a_number_is_read_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", " 4 ")
    assert environment_number("LOCAL_WORLD_SIZE") == 4
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4x")
    with pytest.raises(UsageError, match="LOCAL_WORLD_SIZE=4x"):
        environment_number("LOCAL_WORLD_SIZE")
