"""The deployment directory: everything that goes to the chip, with its report.

- `float.nir`: the network as it was read, before rounding;
- `quantized.nir`: the network with the chip's values, in real units;
- `tensors.safetensors`: the integers;
- `network.json`: in which order and along which ways they are run;
- `samples.json`: which samples were measured and calibrated, with label and answers of each;
- `vectors.npz`: where asked for, events, spikes and states of every step in integers;
- `target.toml`: the profile of the chip that these integers are for;
- `manifest.json`: what was deployed where, with the hash of every file;
- `report.json`, `report.html`: what it costs in accuracy, energy and room;
- `load_*.py`: where the vendor has a toolchain, what to run with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpo_snn.errors import OutputError
from mpo_snn.files import make_folder

MANIFEST = "manifest.json"
_PART = "manifest.part"
_OLD = "manifest.old"


def check_folder(folder: Path, source: Path | None = None) -> None:
    """Refuse a folder that holds something else than a deployment, or cannot be written.

    A deployment whose writing was killed is finished before.

    Args:
        folder: where a deployment is to go.
        source: what is deployed; it must not be replaced by its own deployment.

    Raises:
        OutputError: if it does.
    """
    what = ""
    _finish(folder)
    if folder.exists() and not folder.is_dir():
        what = "it is a file"
    elif folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        what = "it is a folder with other content"
    elif source is not None and source.resolve().parent == folder.resolve():
        what = f"it holds '{source.name}', which is deployed"
    else:
        real = Path(os.path.realpath(folder))
        homes = [next(path for path in real.parents if path.exists())]
        homes += [real] if real.is_dir() else []
        for home in homes:
            if not home.is_dir():
                what = f"'{home}' is a file"
            elif not _takes_files(home):
                what = f"nothing may be written into '{home}'"
    if what:
        raise OutputError(
            f"cannot write the deployment '{folder}': {what}; name another with --output."
        )


def write_directory(
    folder: Path, files: Mapping[str, bytes | str], manifest: Mapping[str, Any]
) -> list[Path]:
    """Write all files and, last, the manifest that names them.

    A deployment that is there is replaced, all files of it are taken away; others stay. Everything
    is written beside the folder first, into `.NAME.new`: a full disk leaves what was there. After a
    kill the folder has the old deployment; or, without a manifest, a part of one of the two, and
    the whole new one is in both folders together: the next `check_folder` finishes it.

    Args:
        folder: is made if it is absent.
        files: content by name.
        manifest: what it says besides the hashes.

    Returns:
        the paths, the manifest's last.

    Raises:
        OutputError: if the folder holds something else, or cannot be written.
    """
    check_folder(folder)
    content = {name: x.encode() if isinstance(x, str) else x for name, x in files.items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    text = json.dumps({**manifest, "sha256": hashes}, indent=1, ensure_ascii=False) + "\n"
    content[MANIFEST] = text.encode()
    beside = _beside(folder)
    make_folder(beside.parent)
    try:
        _write_beside(beside, content)
        try:
            _move_in(folder, beside)
        except KeyboardInterrupt:
            _move_in(folder, beside)
            raise
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return [folder / name for name in content]


def _beside(folder: Path) -> Path:
    """Where a deployment is written before it replaces another."""
    real = Path(os.path.realpath(folder))
    return real.with_name(f".{real.name}.new") if real.name else real / ".new"


def _write_beside(beside: Path, content: Mapping[str, bytes]) -> None:
    """Write files, the last of which says that they are all; none stays where one fails."""
    try:
        beside.mkdir()
        *_, last = content
        for name, data in content.items():
            path = beside / (_PART if name == last else name)
            path.write_bytes(data)
        os.replace(beside / _PART, beside / last)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _finish(folder: Path) -> None:
    """Move in what was written beside a folder as a whole; take away what was not.

    Raises:
        OutputError: if the disk refuses.
    """
    beside = _beside(folder)
    try:
        if (beside / MANIFEST).is_file():
            _move_in(folder, beside)
        elif beside.is_dir():
            shutil.rmtree(beside)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _move_in(folder: Path, beside: Path) -> None:
    """Put the deployment that was written beside in place of the old one.

    The old manifest goes first and the new one comes last, so that a folder with a manifest is
    whole, and files of two deployments never stand together. Whatever part of this is done already
    is not done again.
    """
    if not beside.is_dir():
        return
    folder = Path(os.path.realpath(folder))
    folder.mkdir(exist_ok=True)
    if (beside / MANIFEST).is_file():
        new = _names(beside / MANIFEST)
        if (folder / MANIFEST).is_file():
            os.replace(folder / MANIFEST, beside / _OLD)
        for name in _names(beside / _OLD):
            if name not in new or (beside / name).is_file():
                (folder / name).unlink(missing_ok=True)
        for name in new:
            if (beside / name).is_file():
                os.replace(beside / name, folder / name)
        os.replace(beside / MANIFEST, folder / MANIFEST)
    shutil.rmtree(beside)


def _names(manifest: Path) -> list[str]:
    """The files that a manifest names; none where it cannot be read."""
    try:
        named = json.loads(manifest.read_text(encoding="utf-8")).get("sha256", {})
    except (OSError, ValueError, AttributeError):
        return []
    return [name for name in named if isinstance(name, str) and Path(name).name == name]


def _takes_files(folder: Path) -> bool:
    """Whether something can be made in a folder; permissions do not tell of `/proc`."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write the deployment '{folder}': {error.strerror or error}.")
