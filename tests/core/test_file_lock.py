"""A lock keeps others away for as long as its holder lives, and nobody where there are none."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mpo_snn import file_lock
from mpo_snn.errors import RunError
from mpo_snn.file_lock import kept_from_others

BUSY = RunError("another one is there.")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is to stay as it is."""
    path = tmp_path / "held"
    path.write_text("content")
    return path


def test_the_second_is_refused_until_the_first_is_through(path: Path) -> None:
    with kept_from_others(path, BUSY):
        with pytest.raises(RunError, match="another one is there"), kept_from_others(path, BUSY):
            pytest.fail("both are in")
        with pytest.raises(RunError), kept_from_others(path, BUSY):  # the first holds it still
            pytest.fail("both are in")
    with kept_from_others(path, BUSY):
        pass
    assert path.read_text() == "content"
    assert [found.name for found in path.parent.iterdir()] == ["held"]


def test_an_error_inside_lets_go(path: Path) -> None:
    with pytest.raises(KeyError), kept_from_others(path, BUSY):
        raise KeyError
    with kept_from_others(path, BUSY):
        pass


def test_who_waits_comes_in_when_the_first_leaves(path: Path) -> None:
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with kept_from_others(path, BUSY):
            inside.set()
            leave.wait(60)

    holder = threading.Thread(target=first)
    holder.start()
    inside.wait(60)
    threading.Timer(0.2, leave.set).start()
    with kept_from_others(path, BUSY, wait=60):
        assert leave.is_set()
    holder.join()


def test_a_kill_lets_go(path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from mpo_snn.errors import RunError; from mpo_snn.file_lock import kept_from_others\n"
        f"with kept_from_others(Path({str(path)!r}), RunError('busy')):\n"
        "    print('inside', flush=True); time.sleep(120)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"inside\n"
        with pytest.raises(RunError), kept_from_others(path, BUSY):
            pytest.fail("both are in")
        holder.kill()
        holder.wait()
        with kept_from_others(path, BUSY):
            pass


def test_without_locks_nobody_is_kept_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with kept_from_others(path, BUSY), kept_from_others(path, BUSY):
        pass
    monkeypatch.setattr(file_lock, "fcntl", None)
    with kept_from_others(path, BUSY), kept_from_others(path, BUSY):
        pass
    with kept_from_others(path.with_name("absent"), BUSY):
        pass
