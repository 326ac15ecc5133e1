"""`manifest.json` of a deployment: whether it is one of ours, and which files it answers for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
NAMES = (
    "float.nir",
    "quantized.nir",
    "tensors.safetensors",
    "network.json",
    "samples.json",
    "vectors.npz",
    "target.toml",
    "report.json",
    "report.html",
    "load_xylo.py",
    "xylo.npz",
    "load_on_speck.txt",
    "speck.npz",
    "speck_sinabs.py",
)
"""All that a deployment of this or an earlier version may hold besides its manifest. Nothing else
in its folder is ever replaced or taken away."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class NotOursError(ValueError):
    """A manifest that no deployment has; the text says what is wrong with it."""


def digest(data: bytes) -> str:
    """SHA-256 of some bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def manifest_text(said: Mapping[str, Any], content: Mapping[str, bytes]) -> str:
    """A manifest: what it says of the deployment, and the hash of every file by name."""
    hashes = {name: digest(data) for name, data in content.items()}
    return json.dumps({**said, "sha256": hashes}, indent=1, ensure_ascii=False) + "\n"


def read_manifest(path: Path) -> dict[str, str]:
    """SHA-256 of every file that a manifest lists, by name.

    What every version wrote is asked for: schema_version 1, a target, hashes of plain file names.

    Raises:
        NotOursError: if it is damaged, or the manifest of something else.
        OSError: if it cannot be read.
    """
    if path.is_symlink() or not path.is_file():
        raise NotOursError("is no plain file")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise NotOursError("is not JSON") from None
    if not isinstance(content, dict):
        raise NotOursError("is no table")
    version, target = content.get("schema_version"), content.get("target")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise NotOursError(f"does not say schema_version {SCHEMA_VERSION}")
    if not isinstance(target, str) or not target:
        raise NotOursError("names no target")
    hashes = content.get("sha256")
    if not isinstance(hashes, dict) or not all(
        _is_plain(name) and isinstance(value, str) and _DIGEST.fullmatch(value)
        for name, value in hashes.items()
    ):
        raise NotOursError("has no table sha256 with a hash for each file of the folder")
    return hashes


def _is_plain(name: str) -> bool:
    """Whether a name is that of something directly in a folder."""
    return name not in ("", "..") and Path(name).name == name and "\0" not in name
