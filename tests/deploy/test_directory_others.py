"""What is not ours is never replaced or taken away, and is told by its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpo_snn.deploy import folder_lock
from mpo_snn.deploy.directory import MANIFEST, check_folder, write_directory
from mpo_snn.deploy.manifest import NAMES, NotOursError, digest, read_manifest
from mpo_snn.errors import OutputError

from .test_directory import FILES, SAID, contents

ROUNDS = 12


def refused(folder: Path, *told: str) -> None:
    """Refused by check and by writing, in a line for each finding, and nothing is changed."""
    before = contents(folder.parent)
    for attempt in (lambda: check_folder(folder), lambda: write_directory(folder, FILES, SAID)):
        with pytest.raises(OutputError) as raised:
            attempt()
        assert all(words in str(raised.value) for words in told), str(raised.value)
        assert str(raised.value).count("\n") in (0, len(raised.value.findings))
        assert "with --output" in str(raised.value)
        assert contents(folder.parent) == before


@pytest.mark.parametrize("name", [".d.new", ".d.part", ".mpo-deploy.mine", ".mpo-deploy.12345678x"])
def test_a_hidden_folder_of_somebody_stays(name: str, tmp_path) -> None:
    for home in (tmp_path, tmp_path / "d"):
        if home.name == "d":
            write_directory(home, FILES, SAID)
        (home / name).mkdir()
        (home / name / "thesis.txt").write_text("years of work")
        write_directory(tmp_path / "d", FILES, SAID)
        assert (home / name / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("elsewhere")])
def test_a_file_or_link_beside_is_not_in_the_way(make, tmp_path) -> None:
    make(tmp_path / ".d.new")
    write_directory(tmp_path / "d", FILES, SAID)
    assert os.path.lexists(tmp_path / ".d.new")
    assert contents(tmp_path / "d").keys() == {*FILES, MANIFEST}


def test_something_of_ones_own_in_what_a_kill_left_is_told(tmp_path) -> None:
    (tmp_path / "d" / ".mpo-deploy.abcd1234").mkdir(parents=True)
    (tmp_path / "d" / ".mpo-deploy.abcd1234" / "thesis.txt").write_text("years of work")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"not empty.*\.mpo-deploy\.abcd1234"):
        write_directory(tmp_path / "d", FILES, SAID)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"null", "is no table"),
        (b"[]", "is no table"),
        (b"3", "is no table"),
        (b"", "is not JSON"),
        (bytes(range(128, 256)), "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"1" * 5000, "is not JSON"),
        (b"{}", "does not say schema_version 1"),
        (b'{"schema_version": true, "target": "x", "sha256": {}}', "schema_version 1"),
        (b'{"schema_version": 2, "target": "x", "sha256": {}}', "schema_version 1"),
        (b'{"schema_version": 1, "sha256": {}}', "names no target"),
        (b'{"schema_version": 1, "target": 3, "sha256": {}}', "names no target"),
        (b'{"schema_version": 1, "target": "x"}', "no table sha256"),
        (b'{"schema_version": 1, "target": "x", "sha256": null}', "no table sha256"),
        (b'{"schema_version": 1, "target": "x", "sha256": 3}', "no table sha256"),
        (b'{"schema_version": 1, "target": "x", "sha256": {"a": 1}}', "no table sha256"),
        (b'{"schema_version": 1, "target": "x", "sha256": {"a": "g"}}', "no table sha256"),
        *(
            (json.dumps({**SAID, "sha256": {name: "0" * 64}}).encode(), "no table sha256")
            for name in ("a\0b", "../a", "/etc/passwd", "", ".", "..", "b/a")
        ),
    ],
)
def test_a_manifest_that_no_deployment_has_is_refused(manifest: bytes, told: str, tmp_path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / MANIFEST).write_bytes(manifest)
    (folder / "report.json").write_text("of somebody")
    refused(folder, "a folder with other content: its manifest.json", told, "or remove this one")


def test_a_folder_or_link_as_manifest_is_refused(tmp_path) -> None:
    (tmp_path / "d" / MANIFEST).mkdir(parents=True)
    (tmp_path / "d" / MANIFEST / "mine").touch()
    refused(tmp_path / "d", "its manifest.json is no plain file")
    write_directory(tmp_path / "e", FILES, SAID)
    (tmp_path / "e" / MANIFEST).rename(tmp_path / "real")
    (tmp_path / "e" / MANIFEST).symlink_to("../real")
    refused(tmp_path / "e", "its manifest.json is no plain file")


def test_manifests_of_all_versions_are_ours(tmp_path) -> None:
    """The keys of the first version, and those that came later."""
    first = {**SAID, "source": "run", "source_sha256": "0", "command": "c", "data": "d"}
    first |= {"accuracy_percent": {}, "versions": {"mpo-snn": "0.1"}}
    for said in (first, {**first, "neuron": {}, "format": {}}):
        write_directory(tmp_path / "d", FILES, said)
        assert read_manifest(tmp_path / "d" / MANIFEST).keys() == FILES.keys()
    (tmp_path / "none").write_text("")
    with pytest.raises(NotOursError):
        read_manifest(tmp_path / "none")


def test_what_is_listed_and_not_ours_stays(tmp_path) -> None:
    folder = tmp_path / "d"
    write_directory(folder, FILES, SAID)
    (folder / "thesis.txt").write_text("years of work")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"]["thesis.txt"] = digest(b"years of work")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    write_directory(folder, {"target.toml": "2"}, SAID)
    assert contents(folder).keys() == {"thesis.txt", "target.toml", MANIFEST}


def test_a_file_that_was_edited_is_told(tmp_path) -> None:
    folder = tmp_path / "d"
    write_directory(folder, FILES, SAID)
    (folder / "report.json").write_text("my notes")
    refused(folder, f"'{folder}/report.json' was changed since it was written; move it away")
    (folder / "report.json").rename(folder / "mine.json")
    write_directory(folder, FILES, SAID)
    assert (folder / "mine.json").read_text() == "my notes"


def test_vectors_of_another_deployment_never_stay_beside_a_new_one(tmp_path) -> None:
    """Listed, they go; not listed, they are refused."""
    folder = tmp_path / "d"
    write_directory(folder, {**FILES, "vectors.npz": "old"}, SAID)
    write_directory(folder, FILES, SAID)
    assert not (folder / "vectors.npz").exists()
    (folder / "vectors.npz").write_text("of another")
    refused(folder, f"'{folder}/vectors.npz' is not of the deployment there")


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_folder_or_link_in_the_place_of_a_file_is_told(kind: str, tmp_path) -> None:
    folder = tmp_path / "d"
    write_directory(folder, {"float.nir": "1"}, SAID)
    if kind == "folder":
        (folder / "vectors.npz" / "sub").mkdir(parents=True)
    else:
        (folder / "vectors.npz").symlink_to("float.nir")
    (folder / "float.nir").write_text("edited")
    refused(folder, f"'{folder}/vectors.npz' is a {kind}", "2 findings", "float.nir' was changed")


def test_what_was_edited_after_a_kill_is_told(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "d"
    write_directory(folder, {"float.nir": "old"}, SAID)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mpo_snn.deploy.directory.move_in", lambda *_: None)
        write_directory(folder, FILES, SAID)
    (folder / "float.nir").write_text("edited")
    refused(folder, "float.nir' was changed since")
    (folder / "float.nir").unlink()
    check_folder(folder)
    assert contents(folder).keys() == {*FILES, MANIFEST}


PROGRAM = """
import sys; from pathlib import Path
from mpo_snn.deploy.directory import check_folder, write_directory
for k in range({rounds}):
    check_folder(Path({folder!r}))
    content = (sys.argv[1] + str(k)) * 20_000
    files = {{name: content for name in {names!r}[k % 3 :]}}
    write_directory(Path({folder!r}), files, {said!r})
"""


def test_two_at_once_take_turns(tmp_path) -> None:
    """Whoever comes last has its files there, all of them and with their hashes."""
    folder = tmp_path / "d"
    text = PROGRAM.format(rounds=ROUNDS, folder=str(folder), names=NAMES, said=SAID)
    both = [
        subprocess.Popen([sys.executable, "-c", text, who], stderr=subprocess.PIPE, text=True)
        for who in ("a", "b")
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert errors == ["", ""]
    listed = read_manifest(folder / MANIFEST)
    there = contents(folder)
    del there[MANIFEST]
    assert {name: digest(data) for name, data in there.items()} == listed
    assert len(set(there.values())) == 1
    assert len(list(folder.iterdir())) == len(listed) + 1


def test_one_that_does_not_end_is_told_and_its_kill_lets_go(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "d"
    write_directory(folder, FILES, SAID)
    monkeypatch.setattr(folder_lock, "WAIT", 0.2)
    program = (
        "import time; from pathlib import Path\n"
        "from mpo_snn.deploy.folder_lock import alone_in\n"
        f"with alone_in(Path({str(folder)!r})):\n"
        "    print('inside', flush=True); time.sleep(120)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"inside\n"
        refused(folder, "another mpo-deploy is writing there now")
        holder.kill()
        holder.wait()
        write_directory(folder, FILES, SAID)
