"""What launchers say in the environment: used where it is whole, refused in one line where it is not."""

from __future__ import annotations

import os

import pytest

from ppbench.errors import UsageError
from ppbench.launch import Launch, check_environment, environment_number, launched

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK")
OTHERS = ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NUM_TASKS")
VARIABLES = (*RANKS, *OTHERS, "MASTER_ADDR", "SLURM_NODEID", "SLURM_NTASKS", "JSM_NAMESPACE_RANK")


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
        ("RANK=0 WORLD_SIZE=2 LOCAL_RANK=-1 MASTER_ADDR=h MASTER_PORT=1", "LOCAL_RANK=-1 is not a rank"),
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


@pytest.mark.parametrize("name", [*RANKS, *OTHERS])
def test_what_libraries_would_read_is_removed_where_empty_and_named_where_wrong(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for empty in ("", " "):
        monkeypatch.setenv(name, empty)
        check_environment()
        assert name not in os.environ
    monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match=f"{name}=x is not a whole number") as caught:
        check_environment()
    assert f"`unset {name}`" in caught.value.hint


@pytest.mark.parametrize("name", RANKS)
def test_a_rank_without_a_world_is_removed_and_stays_with_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    say(monkeypatch, f"{name}=1 WORLD_SIZE=2")
    check_environment()
    assert os.environ[name] == "1"
    monkeypatch.setenv("WORLD_SIZE", "")
    check_environment()
    assert name not in os.environ
