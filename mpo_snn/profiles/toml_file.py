"""Profiles as files: by the name of a shipped one, or by the path of a user's own."""

from __future__ import annotations

import io
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpo_snn.errors import ProfileError
from mpo_snn.regular_file import open_regular

_LONG = re.compile(r"(?<![\w.+-])([+-]?)([0-9][0-9_]{4000,})(?![\w.+-])")
"""A whole number, more or less as long as Python reads them."""


@dataclass(frozen=True)
class ProfileFile:
    """The content of a profile.

    Attributes:
        name: file name without suffix.
        content: its tables.
        where: what messages call it: the name of a shipped profile, the path of another.
        file: all of its bytes.
    """

    name: str
    content: dict[str, Any]
    where: str
    file: bytes


def names_in(folder: Path) -> tuple[str, ...]:
    """Names of the profiles that a folder holds, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def read_profile(name: str | Path, folder: Path, kind: str) -> ProfileFile:
    """Read a shipped profile by name, or a user's by path.

    Args:
        name: of a profile in the folder; anything with a folder in it or ending in `.toml` is a
            path.
        folder: of the shipped ones.
        kind: what messages call it, e.g. `chip profile`.

    Raises:
        ProfileError: if there is no such profile, or it is not TOML.
    """
    path = Path(name)
    if path.suffix != ".toml" and len(path.parts) == 1:
        path = folder / f"{name}.toml"
        if str(name) not in names_in(folder):
            raise ProfileError(
                f"unknown {kind} '{name}'. Available: {', '.join(names_in(folder))}; "
                "or give the path of a .toml file."
            )
    try:
        with open_regular(path) as stream:
            file = stream.read()
        text = io.StringIO(file.decode("utf-8-sig"), newline=None).read()
        content = _tables(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProfileError(f"{kind} '{path}' is not TOML: {error}.") from error
    except (OSError, ValueError) as error:  # a path with a zero byte is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ProfileError(f"cannot read the {kind} '{path}': {reason}.") from error
    return ProfileFile(path.stem, content, str(path if path.parent != folder else name), file)


def _tables(text: str) -> dict[str, Any]:
    """What TOML says.

    Python reads no whole number of more than some thousand digits. Others as large take their place
    then, in hexadecimal digits, so that whoever holds values against ranges tells the key: no key
    of a profile has them in its range.

    Raises:
        TOMLDecodeError, RecursionError, ValueError: if it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        return tomllib.loads(_LONG.sub(_as_large, text))


def _as_large(found: re.Match[str]) -> str:
    digits = found[2].replace("_", "")
    return "-inf" if found[1] == "-" else hex(10 ** (len(digits) - 1))
