"""The folder in which a deployment is written before it takes the place of another.

It lies in the deployment's own folder, under a name that nobody else gives, and whoever holds that
folder uses it (`mpo_snn.deploy.folder_lock`). Its manifest comes last and says that all is there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .manifest import MANIFEST, NAMES, NotOursError, digest, read_manifest

_PREFIX = ".mpo-deploy."
_STAGING = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}")
_PART, _OLD = "manifest.part", "manifest.old"


def stagings(folder: Path) -> list[Path]:
    """What killed deployments have left in a folder."""
    names = sorted(name for name in os.listdir(folder) if _STAGING.fullmatch(name))
    return [path for name in names if (path := folder / name).is_dir() and not path.is_symlink()]


def stage(folder: Path, content: Mapping[str, bytes]) -> Path:
    """Write files into a new staging folder; nothing of it stays where one fails.

    Args:
        folder: of the deployment.
        content: bytes by name; the manifest is the last.

    Raises:
        OSError: if the disk refuses.
    """
    staging = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    try:
        for name, data in content.items():
            path = staging / (_PART if name == MANIFEST else name)
            path.write_bytes(data)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(staging / _PART, staging / MANIFEST)
    except BaseException:
        with suppress(OSError):
            clear(staging)
        raise
    return staging


def is_whole(folder: Path, staging: Path) -> bool:
    """Whether all files of a deployment were written, and are there or moved in already.

    Raises:
        OSError: if one cannot be read.
    """
    try:
        listed = _read(staging / MANIFEST) if os.path.lexists(staging / MANIFEST) else {}
    except NotOursError:
        return False
    return bool(listed) and all(
        any(_is(home / name, sha256) for home in (staging, folder))
        for name, sha256 in listed.items()
    )


def is_begun(staging: Path) -> bool:
    """Whether the old deployment has given its manifest to it, and has no new one."""
    return os.path.lexists(staging / MANIFEST) and os.path.lexists(staging / _OLD)


def hashes_of(staging: Path) -> list[dict[str, str]]:
    """What the manifests there list: the new deployment's, and the old one's once that goes.

    Raises:
        NotOursError: if one is damaged.
        OSError: if one cannot be read.
    """
    manifests = (staging / MANIFEST, staging / _OLD)
    return [_read(path) for path in manifests if os.path.lexists(path)]


def move_in(folder: Path, staging: Path) -> None:
    """Put a staged deployment in place of the old one.

    The old manifest goes first and the new one comes last, so that a folder with a manifest is
    whole, and files of two deployments never stand together. Whatever part of this is done already
    is not done again.

    Raises:
        NotOursError: if a manifest is damaged.
        OSError: if the disk refuses.
    """
    if os.path.lexists(staging / MANIFEST):
        new = _read(staging / MANIFEST)
        if (folder / MANIFEST).is_file():
            os.replace(folder / MANIFEST, staging / _OLD)
        old = _read(staging / _OLD) if (staging / _OLD).is_file() else {}
        for name in NAMES:
            if name in old and (name not in new or (staging / name).is_file()):
                (folder / name).unlink(missing_ok=True)
        for name in NAMES:
            if name in new and (staging / name).is_file():
                os.replace(staging / name, folder / name)
        os.replace(staging / MANIFEST, folder / MANIFEST)
    clear(staging)


def clear(staging: Path) -> None:
    """Take a staging folder away, with files of ours and nothing else.

    Raises:
        OSError: if the disk refuses, or somebody has put something of theirs into it.
    """
    if not staging.is_dir():
        return
    for name in (MANIFEST, *NAMES, _PART, _OLD):  # without its manifest it is worth nothing
        if os.path.lexists(staging / name):
            (staging / name).unlink()
    staging.rmdir()


def _is(path: Path, sha256: str) -> bool:
    return path.is_file() and not path.is_symlink() and digest(path.read_bytes()) == sha256


def _read(manifest: Path) -> dict[str, str]:
    try:
        return read_manifest(manifest)
    except NotOursError as error:
        raise NotOursError(f"'{manifest}' {error}") from error
