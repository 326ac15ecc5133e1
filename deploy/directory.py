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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpo_snn.errors import OutputError
from mpo_snn.files import make_folder, write_file

MANIFEST = "manifest.json"


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than a deployment.

    Raises:
        OutputError: if it does.
    """
    if folder.is_file() or (
        folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file()
    ):
        what = "a file" if folder.is_file() else "a folder with other content"
        raise OutputError(
            f"cannot write the deployment '{folder}': it is {what}; name another with --output."
        )


def write_directory(
    folder: Path, files: Mapping[str, bytes | str], manifest: Mapping[str, Any]
) -> list[Path]:
    """Write all files and, last, the manifest that names them.

    A deployment that is there is replaced; files of it that the new one lacks are taken away.

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
    folder = make_folder(folder)
    _take_away(folder, but=files)
    hashes = {}
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        write_file(folder / name, data)
        hashes[name] = hashlib.sha256(data).hexdigest()
    text = json.dumps({**manifest, "sha256": hashes}, indent=1, ensure_ascii=False) + "\n"
    write_file(folder / MANIFEST, text)
    return [folder / name for name in (*files, MANIFEST)]


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
