"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ppbench.errors import DataError, UsageError
from ppbench.files import append, atomic_write, check_writable, is_same_file, locked, replacing, try_lock, whole_lines


def test_writes_text_and_bytes_into_folders_that_it_makes(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a" / "b" / "text.json", "é\n")
    assert (tmp_path / "a" / "b" / "text.json").read_bytes() == b"\xc3\xa9\n"
    atomic_write(tmp_path / "a" / "b" / "text.json", b"\0")
    assert (tmp_path / "a" / "b" / "text.json").read_bytes() == b"\0"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["text.json"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "ours", "x")
    (tmp_path / "plain").write_text("x")
    ours, plain = (stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain"))
    assert ours == plain


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    def fail(*args: object) -> None:
        raise failure

    path = tmp_path / "run.json"
    path.write_text("old")
    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises((DataError, KeyboardInterrupt)) as caught:
        atomic_write(path, "new")
    if isinstance(caught.value, DataError):
        assert caught.value.message == f"cannot write {path}: No space left on device"
        assert "--output FILE" in caught.value.hint
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_option_that_chose_the_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "run.json", tmp_path):
        with pytest.raises(DataError) as caught:
            atomic_write(path, "x", "--junit FILE")
        assert caught.value.hint == "Choose another place with `--junit FILE`."
        with pytest.raises(DataError) as caught:
            check_writable(path, "--junit FILE")
        assert caught.value.hint.endswith("`--junit FILE`.")


def test_one_file_by_several_names(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "twin").hardlink_to(tmp_path / "file")
    for name in ("file", "link", "twin", "folder/../file"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        assert is_same_file(tmp_path / "file", tmp_path / name)
    assert not is_same_file(tmp_path / "file", tmp_path / "none")
    assert is_same_file(tmp_path / "none", tmp_path / "folder" / ".." / "none")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for call in (lambda path: atomic_write(path, "x"), check_writable):
        with pytest.raises(DataError, match=r"cannot write .*file/run.json: "):
            call(tmp_path / "file" / "run.json")
        with pytest.raises(DataError, match="cannot write"):
            call(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_writable_place_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("old")
    check_writable(tmp_path / "run.json")
    check_writable(tmp_path / "new" / "run.json")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "run.json"]
    assert (tmp_path / "run.json").read_text() == "old"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for text in ("first", "second"):
        atomic_write(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_text() == text


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe, received = tmp_path / "pipe", []
    os.mkfifo(pipe)  # stands for /dev/stdout and /dev/null
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()), daemon=True)
    check_writable(pipe)
    reader.start()
    atomic_write(pipe, "through")
    reader.join(10)
    assert received == ["through"]
    assert pipe.is_fifo()


def test_a_journal_is_read_up_to_a_line_that_a_kill_has_torn(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("ab", buffering=0) as journal:
        append(journal, b"one\ntwo\n")
        append(journal, b"thr")
    with path.open("rb") as journal:
        assert list(whole_lines(journal)) == [b"one\n", b"two\n"]


def test_appending_goes_on_until_all_is_written() -> None:
    class Slow(io.FileIO):
        taken = b""

        def __init__(self) -> None: ...

        def write(self, content: object) -> int | None:
            self.taken += bytes(content[:2])  # type: ignore[index]
            return min(2, len(content))  # type: ignore[arg-type]

    slow = Slow()
    append(slow, b"a line\n")
    assert slow.taken == b"a line\n"


def test_a_replaced_file_may_have_permissions_of_its_own(tmp_path: Path) -> None:
    with replacing(tmp_path / "folder" / "weights", mode=0o640) as file:
        file.write(b"x")
    assert stat.S_IMODE((tmp_path / "folder" / "weights").stat().st_mode) == 0o640


def test_a_lock_is_held_by_one_and_left_by_none(tmp_path: Path) -> None:
    refusal = UsageError("somebody else is at it")
    (tmp_path / "lock").write_text("of an earlier version")
    for _ in range(2):
        with locked(tmp_path / "lock", refusal):
            with pytest.raises(UsageError, match="somebody else"), locked(tmp_path / "lock", refusal):
                raise AssertionError
            with (tmp_path / "lock").open("ab") as file:
                assert not try_lock(file)
    assert (tmp_path / "lock").read_text() == "of an earlier version"
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none" / "lock", refusal):
        raise AssertionError


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from ppbench.files import try_lock; file = open(sys.argv[1], 'ab'); "
        "print(try_lock(file), flush=True); time.sleep(60)"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with (tmp_path / "lock").open("ab") as file:
            assert not try_lock(file)
            process.kill()
            process.wait()
            assert try_lock(file)


def test_where_there_are_no_locks_nobody_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with locked(tmp_path / "lock", UsageError("no")), locked(tmp_path / "lock", UsageError("no")):
        pass
