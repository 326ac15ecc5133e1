"""A deployment is written as a whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mpo_snn.deploy.directory import MANIFEST, check_folder, write_directory
from mpo_snn.errors import OutputError

FILES = {"a": "1", "b": b"\x00" * 100, "c": "3"}


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_full_disk_leaves_what_was_there(done: int, tmp_path, monkeypatch) -> None:
    """The disk takes so many files, and refuses the next: the old deployment is still whole."""
    write_directory(tmp_path / "d", {"a": "old", "z": "old"}, {})
    before, write, left = contents(tmp_path), Path.write_bytes, [done]

    def refuse(path: Path, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        write_directory(tmp_path / "d", FILES, {})
    with pytest.raises(OutputError, match="No space left on device"):
        write_directory(tmp_path / "new", FILES, {})
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


def test_an_interruption_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    write_directory(tmp_path / "d", {"a": "old"}, {})
    before = contents(tmp_path)

    def stop(path: Path, data: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        write_directory(tmp_path / "d", FILES, {})
    assert contents(tmp_path) == before


def test_a_link_stays_one(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_directory(tmp_path / "link", FILES, {})
    assert (tmp_path / "link").is_symlink()
    assert sorted(contents(tmp_path / "real")) == ["a", "b", "c", MANIFEST]


def test_what_could_not_be_written_is_known_before_the_work(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file' is a file; name another"):
        check_folder(tmp_path / "file" / "d" / "e")
    write_directory(tmp_path / "d", FILES, {})
    check_folder(tmp_path / "d", tmp_path / "file")
    with pytest.raises(OutputError, match="it holds 'a', which is deployed"):
        check_folder(tmp_path / "d" / ".." / "d", tmp_path / "d" / "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_known_before_the_work(tmp_path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="nothing may be written into"):
        check_folder(tmp_path / "closed" / "d")
