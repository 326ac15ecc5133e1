"""Whatever goes wrong while a file is written: the old content stays, and no scratch is left."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mpo_snn.errors import MpoError, OutputError
from mpo_snn.files import delete_file, make_folder, replace_file, write_file
from mpo_snn.regular_file import open_regular


@pytest.fixture(params=("absent", "present"))
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that may or may not exist already; what it holds says which."""
    path = tmp_path / "model.nir"
    if request.param == "present":
        path.write_text("old")
    return path


def assert_untouched(path: Path, existed: bool) -> None:
    assert [p.name for p in path.parent.iterdir()] == ([path.name] if existed else [])
    assert not existed or path.read_text() == "old"


@pytest.mark.parametrize("content", ("new", b"new"))
def test_success_replaces_the_whole_file(target: Path, content: str | bytes) -> None:
    write_file(target, content)
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["model.nir"]


def test_while_it_is_written_the_old_file_is_there(target: Path) -> None:
    existed = target.exists()
    with replace_file(target) as scratch:
        assert scratch.parent == target.parent and scratch != target
        scratch.write_text("half of the n")
        assert target.exists() == existed
        assert not existed or target.read_text() == "old"
    assert target.read_text() == "half of the n"


@pytest.mark.parametrize("error", (RuntimeError("no"), KeyboardInterrupt(), SystemExit(3)))
def test_an_exception_inside_passes_through_and_changes_nothing(
    target: Path, error: BaseException
) -> None:
    existed = target.exists()
    with pytest.raises(type(error)), replace_file(target) as scratch:
        scratch.write_text("half")
        raise error
    assert_untouched(target, existed)


@pytest.mark.parametrize("step", ("fsync", "replace", "chmod"))
def test_a_disk_that_refuses_changes_nothing(
    target: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "whatever")

    existed = target.exists()
    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(OutputError, match=r"No space left on device\. Nothing was changed") as told:
        write_file(target, "new")
    monkeypatch.undo()
    assert str(target) in str(told.value)
    assert_untouched(target, existed)


def test_content_reaches_the_disk_before_the_name_does(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content")
        fsync(handle)

    def record_replace(a: Path, b: Path) -> None:
        order.append("name")
        replace(a, b)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_file(target, "new")
    assert order == ["content", "name", "folder"]


def test_a_folder_that_cannot_be_flushed_is_told_for_what_it_is(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse_folders(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "whatever")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with pytest.raises(OutputError, match=r"Invalid argument\. The new file is there"):
        write_file(target, "new")
    assert target.read_text() == "new"


def run_limited(target: Path, write: str) -> subprocess.CompletedProcess[str]:
    """Write in a process that may not make files of more than 4096 bytes, as on a full disk."""
    program = f"""
        import resource, signal, sys
        from mpo_snn.errors import OutputError
        from mpo_snn.files import replace_file, write_file
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        target = {str(target)!r}
        try:
            {write}
        except OutputError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_too_large_for_the_disk_changes_nothing(target: Path) -> None:
    existed = target.exists()
    done = run_limited(target, "write_file(target, bytes(1_000_000))")
    assert done.returncode == 2, done.stderr
    expected = f"cannot write '{target}': File too large. Nothing was changed.\n"
    assert done.stderr == expected
    assert_untouched(target, existed)


def test_the_two_lines_that_hdf5_makes_of_an_error_become_one(tmp_path: Path) -> None:
    target = tmp_path / "model.nir"
    target.write_text("old")
    write = (
        "import h5py, numpy\n"
        "            with replace_file(target) as part, h5py.File(part, 'w') as file:\n"
        "                file['w'] = numpy.zeros(100_000)"
    )
    done = run_limited(target, write)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "File too large" in done.stderr
    assert_untouched(target, existed=True)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_one_of_the_two_files(tmp_path: Path) -> None:
    target = tmp_path / "state"
    sizes = {b"a" * 300_000, b"b" * 400_000}
    program = f"""
        from mpo_snn.files import write_file
        print("ready", flush=True)
        while True:
            write_file({str(target)!r}, b"a" * 300_000)
            write_file({str(target)!r}, b"b" * 400_000)
    """
    write_file(target, b"a" * 300_000)
    for wait in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(timeout=0.01 + 0.013 * wait)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert target.read_bytes() in sizes


@pytest.mark.parametrize(
    ("below", "reason"), (("missing", "No such file"), ("regular", "Not a directory"))
)
def test_a_folder_that_is_none_is_told(tmp_path: Path, below: str, reason: str) -> None:
    (tmp_path / "regular").write_text("a file")
    with pytest.raises(OutputError, match=reason) as told:
        write_file(tmp_path / below / "model.nir", "new")
    assert "\n" not in str(told.value) and "model.nir" in str(told.value)
    assert [p.name for p in tmp_path.iterdir()] == ["regular"]


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.nir").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        write_file(tmp_path / "model.nir", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["model.nir"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            write_file(tmp_path / "model.nir", "new")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(("mask", "mode"), ((0o022, 0o644), (0o077, 0o600)))
def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_file(tmp_path / "a", "new")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "a" / "b")
    assert folder.is_dir() and make_folder(folder) == folder
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot create the folder .*Not a directory"):
        make_folder(tmp_path / "file" / "b")


def test_one_finding_joins_the_line_and_several_get_lines_of_their_own() -> None:
    assert str(MpoError("cannot do it")) == "cannot do it"
    assert str(MpoError("cannot do it", ["a is wrong."])) == "cannot do it: a is wrong."
    error = MpoError("cannot do it", ["a is wrong.", "b is absent."])
    assert str(error) == "cannot do it: 2 findings\n  - a is wrong.\n  - b is absent."
    assert error.findings == ("a is wrong.", "b is absent.")
    assert isinstance(error, ValueError)


def test_a_device_or_folder_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, found in (("pipe", "not a regular file"), ("folder", "Is a directory")):
        with pytest.raises(OutputError, match=found):
            write_file(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == [
        "folder",
        "pipe",
    ]


def test_a_file_to_read_has_an_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"content")
    for path, found in (
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "loop", "Too many levels"),
        (tmp_path / "absent", "No such file"),
    ):
        with pytest.raises(OSError, match=found):
            open_regular(path)
    with open_regular(tmp_path / "file") as stream:
        assert stream.read() == b"content"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").read_text() == "new"


def test_a_file_is_deleted_if_it_is_there(target: Path) -> None:
    delete_file(target)
    assert not list(target.parent.iterdir())
    target.mkdir()
    with pytest.raises(OutputError, match="cannot delete") as told:
        delete_file(target)
    assert "\n" not in str(told.value) and "model.nir" in str(told.value)
