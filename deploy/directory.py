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

What is replaced or taken away is, besides the manifest, only what that lists and is as it was
written: an edited file, one of our names that no deployment has listed (a `vectors.npz` of another
one), a folder or link in the place of a file is told by its path, and nothing is changed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpo_snn.errors import OutputError

from .folder_lock import alone_in
from .manifest import MANIFEST, NAMES, NotOursError, digest, manifest_text, read_manifest
from .staging import clear, hashes_of, is_begun, is_whole, move_in, stage, stagings

__all__ = ["MANIFEST", "check_folder", "write_directory"]


def check_folder(folder: Path, source: Path | None = None) -> None:
    """Refuse a folder that holds something else than a deployment, or cannot be written.

    A deployment whose writing was killed is finished before.

    Args:
        folder: where a deployment is to go.
        source: what is deployed; it must not be replaced by its own deployment.

    Raises:
        OutputError: if it does, or another process is writing there.
    """
    real = Path(os.path.realpath(folder))
    what = _no_place(folder, real)
    if what:
        raise _refused(folder, [what], "name another with --output")
    if real.is_dir():
        with alone_in(real):
            _prepare(folder, real)
    if source is not None and source.resolve().parent == real:
        what = f"it holds '{source.name}', which is deployed"
        raise _refused(folder, [what], "name another with --output")


def write_directory(
    folder: Path, files: Mapping[str, bytes | str], manifest: Mapping[str, Any]
) -> list[Path]:
    """Write all files and, last, the manifest that names them.

    A deployment that is there is replaced, all files of it are taken away; others stay. Everything
    is written into a folder of its own first, in the deployment's: a full disk leaves what was
    there. After a kill the folder has the old deployment; or, without a manifest, a part of one of
    the two, and the whole new one together with that folder: the next `check_folder` finishes it.
    Of two processes the second waits for the first, and replaces what it wrote.

    Args:
        folder: is made if it is absent.
        files: content by name, out of `mpo_snn.deploy.manifest.NAMES`.
        manifest: what it says besides the hashes.

    Returns:
        the paths, the manifest's last.

    Raises:
        OutputError: if the folder holds something else, is in use, or cannot be written.
    """
    assert files.keys() <= set(NAMES), "a name that no later deployment would take away"
    content = {name: x.encode() if isinstance(x, str) else x for name, x in files.items()}
    content[MANIFEST] = manifest_text(manifest, content).encode()
    real = Path(os.path.realpath(folder))
    what = _no_place(folder, real)
    if what:
        raise _refused(folder, [what], "name another with --output")
    with alone_in(real):
        _prepare(folder, real)
        try:
            staging = stage(real, content)
            try:
                move_in(real, staging)
            except KeyboardInterrupt:
                move_in(real, staging)
                raise
        except OSError as error:
            raise _cannot_write(folder, error, stagings(real)) from error
    return [folder / name for name in content]


def _no_place(folder: Path, real: Path) -> str:
    """Why nothing can be written there, whatever it holds; empty where something can."""
    if folder.exists() and not folder.is_dir():
        return "it is a file"
    if real.is_symlink():
        return "it is a link that leads back to itself"
    home = next(path for path in (real, *real.parents) if path.exists())
    if not home.is_dir():
        return f"'{home}' is a file"
    return "" if _takes_files(home) else f"nothing may be written into '{home}'"


def _prepare(folder: Path, real: Path) -> None:
    """Finish what was killed in a folder, or refuse it; it is held.

    Raises:
        OutputError: if there is something that is not ours, or the disk refuses.
    """
    try:
        for staging in stagings(real):
            if is_whole(real, staging):
                listed = hashes_of(staging)
                if os.path.lexists(real / MANIFEST):
                    listed.append(_listed(real))
                _refuse_others(folder, listed)
                move_in(real, staging)
            elif is_begun(staging):
                raise NotOursError(f"'{staging}' is part of a killed deployment, and damaged")
            else:
                clear(staging)
        if any(real.iterdir()):
            _refuse_others(folder, [_listed(real)])
    except NotOursError as error:
        advice = "name another with --output, or remove this one if you need nothing of it"
        raise _refused(folder, [f"it is a folder with other content: {error}"], advice) from error
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _listed(folder: Path) -> dict[str, str]:
    """Hashes of the deployment in a folder.

    Raises:
        NotOursError: if it holds none.
    """
    if not os.path.lexists(folder / MANIFEST):
        raise NotOursError(f"there is no {MANIFEST} of a deployment")
    try:
        return read_manifest(folder / MANIFEST)
    except NotOursError as error:
        raise NotOursError(f"its {MANIFEST} {error}") from error


def _refuse_others(folder: Path, manifests: list[dict[str, str]]) -> None:
    """Refuse files of our names that are not as a manifest has them.

    Raises:
        OutputError: with the path of each.
        OSError: if one cannot be read.
    """
    found = []
    for name in NAMES:
        path = folder / name
        if not os.path.lexists(path):
            continue
        hashes = [listed[name] for listed in manifests if name in listed]
        if path.is_symlink() or not path.is_file():
            kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "special file"
            found.append(f"'{path}' is a {kind}, expected a file")
        elif not hashes:
            found.append(
                f"'{path}' is not of the deployment there, its {MANIFEST} does not list it"
            )
        elif digest(path.read_bytes()) not in hashes:
            found.append(f"'{path}' was changed since it was written")
    if found:
        raise _refused(folder, found, "move it away, or name another folder with --output")


def _takes_files(folder: Path) -> bool:
    """Whether something can be made in a folder; permissions do not tell of `/proc`."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _refused(folder: Path, found: list[str], advice: str) -> OutputError:
    return OutputError(
        f"cannot write the deployment '{folder}'", [f"{what}; {advice}." for what in found]
    )


def _cannot_write(folder: Path, error: OSError, left: list[Path] | None = None) -> OutputError:
    where = f" ('{error.filename}')" if error.filename else ""
    told = ". It is replaced in part; the next run into it finishes that" if left else ""
    return OutputError(
        f"cannot write the deployment '{folder}': {error.strerror or error}{where}{told}."
    )
