"""The deployment directory: everything that goes to the chip, with its report.

- `float.nir`: the network as it was read, before rounding;
- `quantized.nir`: the network with the chip's values, in real units;
- `tensors.safetensors`: the integers;
- `manifest.json`: what was deployed where, with the hash of every file;
- `report.json`, `report.html`: what it costs in accuracy, energy and room;
- `load_*.py`: where the vendor has a toolchain, what to run with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpo_snn.errors import OutputError
from mpo_snn.files import make_folder

MANIFEST = "manifest.json"


def check_folder(folder: Path, source: Path | None = None) -> None:
    """Refuse a folder that holds something else than a deployment, or cannot be written.

    Args:
        folder: where a deployment is to go.
        source: what is deployed; it must not be replaced by its own deployment.

    Raises:
        OutputError: if it does.
    """
    what = ""
    if folder.exists() and not folder.is_dir():
        what = "it is a file"
    elif folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        what = "it is a folder with other content"
    elif source is not None and source.resolve().parent == folder.resolve():
        what = f"it holds '{source.name}', which is deployed"
    else:
        home = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not home.is_dir():
            what = f"'{home}' is a file"
        elif not os.access(home, os.W_OK | os.X_OK):
            what = f"nothing may be written into '{home}'"
    if what:
        raise OutputError(
            f"cannot write the deployment '{folder}': {what}; name another with --output."
        )


def write_directory(
    folder: Path, files: Mapping[str, bytes | str], manifest: Mapping[str, Any]
) -> list[Path]:
    """Write all files and, last, the manifest that names them.

    A deployment that is there is replaced; files of it that the new one lacks are taken away.
    Everything is written beside the folder first: a full disk leaves what was there.

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
    real = Path(os.path.realpath(folder))
    content = {name: x.encode() if isinstance(x, str) else x for name, x in files.items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    text = json.dumps({**manifest, "sha256": hashes}, indent=1, ensure_ascii=False) + "\n"
    content[MANIFEST] = text.encode()
    make_folder(real.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{real.name}.", dir=real.parent) as name:
            scratch = Path(name)
            for name, data in content.items():
                (scratch / name).write_bytes(data)
            real.mkdir(exist_ok=True)
            _take_away(real, but=files)
            for name in content:
                os.replace(scratch / name, real / name)
    except OSError as error:
        raise OutputError(
            f"cannot write the deployment '{folder}': {error.strerror or error}."
        ) from error
    return [folder / name for name in content]


def _take_away(folder: Path, but: Mapping[str, Any]) -> None:
    """Files of a deployment that was here before; its manifest first, so that none is half."""
    path = folder / MANIFEST
    try:
        old = json.loads(path.read_text(encoding="utf-8")).get("sha256", {})
    except (OSError, ValueError, AttributeError):
        old = {}
    path.unlink(missing_ok=True)
    for name in old:
        if isinstance(name, str) and Path(name).name == name and name not in but:
            (folder / name).unlink(missing_ok=True)
