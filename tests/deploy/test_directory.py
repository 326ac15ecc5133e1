"""A deployment is written as a whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from mpo_snn.deploy.directory import MANIFEST, check_folder, write_directory
from mpo_snn.deploy.manifest import manifest_text
from mpo_snn.deploy.staging import stage
from mpo_snn.errors import OutputError

SAID = {"schema_version": 1, "target": "x"}
FILES = {"float.nir": "1", "quantized.nir": b"\x00" * 100, "report.json": "3"}


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_full_disk_leaves_what_was_there(done: int, tmp_path, monkeypatch) -> None:
    """The disk takes so many files, and refuses the next: the old deployment is still whole."""
    write_directory(tmp_path / "d", {"float.nir": "old", "xylo.npz": "old"}, SAID)
    before, write, left = contents(tmp_path), Path.write_bytes, [done]

    def refuse(path: Path, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        write_directory(tmp_path / "d", FILES, SAID)
    with pytest.raises(OutputError, match="No space left on device"):
        write_directory(tmp_path / "new", FILES, SAID)
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


def test_an_interruption_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    write_directory(tmp_path / "d", {"float.nir": "old"}, SAID)
    before = contents(tmp_path)

    def stop(path: Path, data: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stop)
    with pytest.raises(KeyboardInterrupt):
        write_directory(tmp_path / "d", FILES, SAID)
    assert contents(tmp_path) == before


def test_a_link_stays_one(tmp_path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write_directory(tmp_path / "link", FILES, SAID)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real").keys() == {*FILES, MANIFEST}


def test_what_could_not_be_written_is_known_before_the_work(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file' is a file; name another"):
        check_folder(tmp_path / "file" / "d" / "e")
    write_directory(tmp_path / "d", FILES, SAID)
    check_folder(tmp_path / "d", tmp_path / "file")
    with pytest.raises(OutputError, match=r"it holds 'float\.nir', which is deployed"):
        check_folder(tmp_path / "d" / ".." / "d", tmp_path / "d" / "float.nir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_known_before_the_work(tmp_path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="nothing may be written into"):
        check_folder(tmp_path / "closed" / "d")


@pytest.mark.parametrize("step", range(16))
def test_what_a_kill_leaves_is_finished_by_the_next_run(step: int, tmp_path, monkeypatch) -> None:
    """Killed at every change of the disk: never a mixture, and the next check makes it whole."""
    folder = tmp_path / "d"
    old = {"float.nir": "old", "vectors.npz": "old", "quantized.nir": "old"}
    write_directory(folder, old, SAID)
    (folder / "mine").write_text("notes")
    left = [step]

    def at_most(change):
        def changed(*arguments, **options):
            if not left[0]:
                os._exit(7)
            left[0] -= 1
            return change(*arguments, **options)

        return changed

    pid = os.fork()
    if pid == 0:
        for place, name in (
            (os, "replace"),
            (Path, "unlink"),
            (Path, "rmdir"),
            (Path, "write_bytes"),
        ):
            setattr(place, name, at_most(getattr(place, name)))
        write_directory(folder, FILES, SAID)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (7 if step < 15 else 0)

    def there() -> dict[str, bytes]:
        found = contents(folder).items()
        return {name: data for name, data in found if name != "mine" and "/" not in name}

    whole = {name: x.encode() if isinstance(x, str) else x for name, x in FILES.items()}
    before = {name: text.encode() for name, text in old.items()}
    found = there()
    if MANIFEST in found:
        del found[MANIFEST]
        assert found in (before, whole)
    else:
        assert found.items() <= before.items() or found.items() <= whole.items()
    check_folder(folder)
    found = there()
    assert json.loads(found.pop(MANIFEST))["sha256"].keys() == found.keys()
    assert found in (before, whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]
    assert sorted(p.name for p in folder.iterdir()) == sorted((*found, MANIFEST, "mine"))
    assert (folder / "mine").read_text() == "notes"


def test_an_interruption_at_the_end_is_put_off_until_the_folder_is_whole(
    tmp_path, monkeypatch
) -> None:
    write_directory(tmp_path / "d", {"float.nir": "old"}, SAID)
    replace, calls = os.replace, []

    def stop_once(source, target) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop_once)
    with pytest.raises(KeyboardInterrupt):
        write_directory(tmp_path / "d", FILES, SAID)
    assert sorted(contents(tmp_path)) == sorted(f"d/{name}" for name in (*FILES, MANIFEST))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="Linux has a folder that takes nothing")
def test_a_folder_that_takes_no_files_is_known_before_the_work() -> None:
    with pytest.raises(OutputError, match="nothing may be written into '/proc'"):
        check_folder(Path("/proc/x/y"))


@pytest.mark.parametrize("with_old", [True, False])
def test_a_damaged_part_of_a_killed_deployment_is_not_moved_in(with_old, tmp_path) -> None:
    """As a power cut leaves it: the manifest is there, of a file nothing."""
    folder = tmp_path / "d"
    write_directory(folder, {"float.nir": "old"}, SAID)
    before = contents(folder)
    content = {**FILES, MANIFEST: manifest_text(SAID, {n: as_bytes(x) for n, x in FILES.items()})}
    staging = stage(folder, {name: as_bytes(x) for name, x in content.items()})
    (staging / "report.json").write_text("")
    if with_old:
        check_folder(folder)
        assert contents(folder) == before
        return
    (folder / MANIFEST).rename(staging / "manifest.old")
    with pytest.raises(OutputError, match="is part of a killed deployment, and damaged; name ano"):
        check_folder(folder)


def as_bytes(x: str | bytes) -> bytes:
    return x.encode() if isinstance(x, str) else x


def test_a_disk_that_refuses_the_last_moves_is_told_to_have_left_a_part(
    tmp_path, monkeypatch
) -> None:
    write_directory(tmp_path / "d", {"float.nir": "old"}, SAID)
    replace, left = os.replace, [3]

    def refuse(source, target) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match=r"replaced in part; the next run into it finishes that"):
        write_directory(tmp_path / "d", FILES, SAID)
    monkeypatch.setattr(os, "replace", replace)
    check_folder(tmp_path / "d")
    assert contents(tmp_path / "d").keys() == {*FILES, MANIFEST}


def test_a_link_in_a_circle_is_known_before_the_work(tmp_path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="it is a link that leads back to itself"):
        check_folder(tmp_path / "loop")
