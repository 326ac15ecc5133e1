"""Texts out of files and the like, cut so that they do not fill the screen."""

from __future__ import annotations

LONGEST = 80


def short(text: str) -> str:
    """The text, of a long one the beginning."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
