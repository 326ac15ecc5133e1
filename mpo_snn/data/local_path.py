"""A path as a user writes it, `~` for the home of a user."""

from __future__ import annotations

from pathlib import Path

from mpo_snn.errors import DataError


def local_path(path: str) -> Path:
    """The path with its home in place of `~`.

    Raises:
        DataError: if that is the home of nobody.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise DataError(
            f"cannot use the path '{path}': there is no home for '{path.split('/')[0]}'; write it"
            " out."
        ) from error
