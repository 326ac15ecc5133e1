"""Recordings that are damaged, claim what they do not hold, or are no archives: a line each."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from mpo_snn.cli.verify import main
from mpo_snn.export import recorded_checks
from tests.export.test_recorded import SAMPLES, STEPS, graph, weights

Arrays = dict[str, Any]


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    """A recording in which nothing fires, of `model.nir` in the folder of the test."""
    nir.write(tmp_path / "model.nir", graph(weights(np.random.default_rng(3))))
    sizes = {"input": 5, "output": 4, "0": 9, "1": 4}
    return {name: np.zeros((STEPS, SAMPLES, size), np.float32) for name, size in sizes.items()}


def told(capsys: pytest.CaptureFixture[str], archive: Path) -> list[str]:
    """The findings about a recording that is refused, without what was attempted."""
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([str(archive.parent / "model.nir"), str(archive), "--dt", "1e-4"]) == 2
    first, *more = capsys.readouterr().err.splitlines()
    assert str(archive) in first
    return [line.removeprefix("  - ") for line in more] or [first.partition("': ")[2]]


def content(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text.encode()


def claim(shape: str, descr: str = "<f4") -> bytes:
    return header(f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}")


def write(
    path: Path, arrays: Arrays, *entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED
) -> Path:
    """An archive of arrays and of entries as they are."""
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", content(array))
        for name, raw in entries:
            archive.writestr(name, raw)
    return path


@pytest.mark.parametrize("name", ["0", "input"])
@pytest.mark.parametrize("suffix", ["", ".npy"])
def test_an_array_is_there_once(
    name: str,
    suffix: str,
    arrays: Arrays,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path / "r.npz", arrays, (name + suffix, content(arrays[name] + 1)))
    assert told(capsys, path) == [f"'{name}' is there twice: leave one."]


def test_where_nothing_fires_nothing_was_proven(
    arrays: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "r.npz", arrays)
    assert main([str(tmp_path / "model.nir"), str(path), "--dt", "1e-4"]) == 0
    out = capsys.readouterr().out
    assert out.endswith(
        "equal: nothing fires, so nothing was proven: record samples that make neurons fire.\n"
    )
    assert "only membranes" not in out and "every membrane" not in out


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (header("[" * 9000), "'0' has a damaged header ("),
        (claim("(True, True, 9)"), "'0' has a damaged header (its shape is (True, True, 9))."),
        (claim("(25,"), "'0' has a damaged header ("),
        (b"\x93NUMPY", "'0' has a damaged header ("),
        (b"\x93NUMPY\x03\x00", "'0' has a damaged header (its format is 3.0, allowed are"),
        (b"\x93NUMPY\x02\x00" + b"\xff" * 20_000, "'0' has a damaged header ("),
        (b"hello", "'0' is no array of NumPy's: write it with np.savez."),
        (b"", "'0' is no array of NumPy's: write it with np.savez."),
        (content(np.array(["a"])), "'0' is <U1, allowed are numbers and bool."),
        (claim("(25, 6, 9)", "|O"), "'0' is object, allowed are numbers and bool."),
        (claim("(25, 6, 9)", "<c8"), "'0' is complex64, allowed are numbers and bool."),
        (
            claim("(25, 6, 9)") + bytes(4),
            "'0' claims shape (25, 6, 9) of float32, 5400 bytes of values, but holds 4: allowed",
        ),
        (claim("(1000000000, 1000000000, 9)"), "'0' claims shape (1000000000, 1000000000, 9) of"),
        (claim(f"({'9' * 4000}, 6, 9)"), "'0' claims shape (9999999"),
        (content(np.float32(3)), "'0' has shape (), wanted is (time, samples, *features)."),
        (claim("(-1, 6, 9)"), "'0' has shape (-1, 6, 9), wanted is (time, samples, *features)."),
    ],
)
def test_entries_that_hold_no_such_array(
    raw: bytes,
    message: str,
    arrays: Arrays,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del arrays["0"]
    (line,) = told(capsys, write(tmp_path / "r.npz", arrays, ("0.npy", raw)))
    assert line.startswith(message)
    assert len(line) < 400


def test_a_bomb_is_not_set_off(
    arrays: Arrays,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It holds what it claims, but does not fit: of its values none is read."""
    monkeypatch.setattr("numpy.lib.format.read_array", lambda *_, **__: pytest.fail("it was read"))
    bomb = ("bomb.npy", content(np.zeros(10**7)))
    path = write(tmp_path / "r.npz", {}, bomb, ("0", claim("(1, 1, 9000)") + bytes(36_000)))
    lines = told(capsys, path)
    assert lines[0] == "there is no spiking layer 'bomb', allowed are 0, 1, input, output."
    assert [line[:18] for line in lines[1:3]] == ["there is no 'input", "there is no 'outpu"]
    assert lines[3:] == ["'0' has shape (9000,) at one timestep, the file says (9,)."]
    monkeypatch.setattr(recorded_checks, "memory_of_machine", lambda: 10_000)
    (line,) = told(capsys, write(path, arrays))
    assert line.startswith("its arrays take 2.64e-05 GB of memory, this machine has 1e-05 GB; the")


def test_sizes_that_the_archive_has_no_bytes_for(
    arrays: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, most in ((zipfile.ZIP_STORED, 1), (zipfile.ZIP_DEFLATED, 1032)):
        path = write(tmp_path / "r.npz", arrays, method=method)
        raw = bytearray(path.read_bytes())
        at = raw.find(b"PK\x01\x02")
        (held,) = struct.unpack_from("<I", raw, at + 20)
        struct.pack_into("<I", raw, at + 24, 4_000_000_000)
        path.write_bytes(raw)
        (line,) = told(capsys, path)
        assert line.startswith(f"'input' claims 4000000000 bytes, but its {held} bytes in an")
        assert line.endswith(f" hold {most * held} at most.")
    path = write(tmp_path / "r.npz", arrays, method=zipfile.ZIP_BZIP2)
    assert len(lines := told(capsys, path)) == 4
    assert lines[0].startswith("'input' is compressed by method 12, allowed are those of np.savez")
    raw = bytearray(write(path, arrays).read_bytes())
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    assert told(capsys, path) == ["'input' is encrypted: write it with np.savez."]
    raw = bytearray(write(path, arrays).read_bytes())
    raw[raw.find(b"PK\x01\x02") - 8] ^= 1  # a value of the last array
    path.write_bytes(raw)
    assert told(capsys, path)[0].startswith("'1' is damaged (Bad CRC-32")


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"input": np.ones(3)}, ["'input' has shape (3,), wanted is (time, samples, *features)."]),
        (
            {"input": np.full((STEPS, SAMPLES, 5), 1e300)},
            ["'input' has values beyond float32, allowed is up to 3.4e+38."],
        ),
        (
            {"input": np.full((STEPS, SAMPLES, 5), np.longdouble("1e4000"))},
            ["'input' has values beyond float32, allowed is up to 3.4e+38."],
        ),
        (
            {"0": np.full((STEPS, SAMPLES, 9), np.nan)},
            ["'0' has values that are NaN or infinite."],
        ),
        (
            {"0": np.zeros((STEPS - 1, SAMPLES, 8))},
            [
                "'0' has 24 timesteps of 6 samples, 'input' 25 of 6.",
                "'0' has shape (8,) at one timestep, the file says (9,).",
            ],
        ),
        (
            {"output": np.full((STEPS, SAMPLES, 4), 0.5), "1": None},
            [
                "'output' is what layer '1' fires, but has values that are no numbers of spikes:"
                " record spikes, not membranes."
            ],
        ),
        (
            {"input": None, "output": None, "mem": np.ones(2), "0": np.ones((STEPS, SAMPLES, 8))},
            [
                "there is no spiking layer 'mem', allowed are 0, 1, input, output.",
                "there is no 'input', wanted is (time, samples, *features); the archive holds '0',"
                " '1', 'mem'.",
                "there is no 'output', wanted is (time, samples, *features); the archive holds '0',"
                " '1', 'mem'.",
                "'0' has shape (8,) at one timestep, the file says (9,).",
            ],
        ),
        (
            {"a\nb": np.ones(2)},
            ["there is no spiking layer 'a\\nb', allowed are 0, 1, in"],
        ),
    ],
)
def test_each_fault_is_told_once_under_the_name_in_the_archive(
    changes: Arrays,
    lines: list[str],
    arrays: Arrays,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = {name: array for name, array in (arrays | changes).items() if array is not None}
    found = told(capsys, write(tmp_path / "r.npz", held))
    assert len(found) == len(lines)
    assert all(map(str.startswith, found, lines))


def test_many_names_that_do_not_belong_are_counted(
    arrays: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [(f"a{i}", b"") for i in range(30)]
    lines = told(capsys, write(tmp_path / "r.npz", arrays, *names))
    assert len(lines) == 11
    assert lines[-1] == "20 more names are no spiking layers either."


def test_what_is_no_file_or_no_archive(
    arrays: Arrays, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.npz"
    nir_file = (tmp_path / "model.nir").read_bytes()
    for raw, message in (
        (content(np.ones(3)), "it is a single array, an .npy. Write it with np.savez."),
        (b"", "it is no archive, or it is damaged (File is not a zip file). Write it with np"),
        (b"some text", "it is no archive, or it is damaged ("),
        (nir_file, "it is no archive, or it is damaged ("),
    ):
        path.write_bytes(raw)
        assert told(capsys, path)[0].startswith(message)
    path.unlink()
    os.mkfifo(path)
    assert told(capsys, path) == ["not a regular file."]
    path.unlink()
    for target, message in (
        ("/dev/zero", "not a regular file."),
        ("/dev/null", "not a regular file."),
        (str(path), "Too many levels of symbolic links."),
        (str(tmp_path), "Is a directory."),
        (str(tmp_path / "absent"), "there is no such file."),
    ):
        path.symlink_to(target)
        assert told(capsys, path) == [message]
        path.unlink()


def test_a_file_that_may_not_be_read(
    arrays: Arrays,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Root may read everything, so the refusal of the system is played."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path / "r.npz", arrays)
    monkeypatch.setattr("mpo_snn.data.npz_headers.open_regular", refuse)
    assert told(capsys, path) == ["Permission denied."]


def test_a_suffix_in_capitals(arrays: Arrays, tmp_path: Path) -> None:
    path = write(tmp_path / "GOOD.NPZ", arrays)
    assert main([str(tmp_path / "model.nir"), str(path), "--dt", "1e-4"]) == 0
    assert main([str(path), str(tmp_path / "model.nir"), "--dt", "1e-4"]) == 0
