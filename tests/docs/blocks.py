"""The fenced blocks of a page, and what the page says about running them.

Blocks of Python run in order in one namespace; all others but `text` are command lines, which run
too. What a page wants otherwise stands in comments on the lines in front of the block:

    <!-- test setup: code that runs before the block -->
    <!-- test smaller: mpo-train --epochs 1; why -->       options added to that command
    <!-- test parsed only: why -->                         commands are parsed, not run
    <!-- test not run: why -->
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKS = re.compile(r"((?:^<!-- test (?:(?!-->).)*-->\n)+)\Z", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- test (setup|smaller|parsed only|not run):\s(.+?)\s-->", re.DOTALL)
LANGUAGES = {"python", "console", "bash", "text", ""}


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: of the page, where it begins.
        language: as the fence says it.
        code: its text.
        setup: code that runs before it.
        added: options that a command gets in the test, by command.
        kept: why it is not run; empty where it is.
        is_parsed: whether its commands are parsed although they are not run.
    """

    line: int
    language: str
    code: str
    setup: str = ""
    added: dict[str, list[str]] = field(default_factory=dict)
    kept: str = ""
    is_parsed: bool = False

    def commands(self) -> list[list[str]]:
        """Its command lines as words, without comments; a line that ends in a backslash goes on."""
        lines = self.code.replace("\\\n", " ").splitlines()
        split = (shlex.split(line.removeprefix("$ "), comments=True) for line in lines)
        return [words for words in split if words]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order.

    Raises:
        ValueError: if a mark is not understood, or gives no reason.
    """
    text = page.read_text(encoding="utf-8")
    found = [_block(text, match) for match in _FENCE.finditer(text)]
    marks, used = text.count("<!-- test "), sum(_marks(text, m) for m in _FENCE.finditer(text))
    if marks != used:
        raise ValueError(f"{page}: {marks} marks, but {used} stand in front of a block.")
    return found


def _marks(text: str, fence: re.Match[str]) -> int:
    marks = _MARKS.search(text[: fence.start()])
    return marks[1].count("<!-- test ") if marks else 0


def _block(text: str, fence: re.Match[str]) -> Block:
    line = text[: fence.start()].count("\n") + 1
    marks = _MARKS.search(text[: fence.start()])
    said = _MARK.findall(marks[1]) if marks else []
    if len(said) != _marks(text, fence):
        raise ValueError(f"line {line}: a mark is not understood.")
    setup, kept, is_parsed, added = [], "", False, {}
    for kind, what in said:
        if kind == "setup":
            setup.append(what)
        elif kind == "smaller":
            options, _, reason = what.partition("; ")
            if not reason:
                raise ValueError(f"line {line}: 'smaller' gives no reason.")
            command, *words = options.split()
            added[command] = words
        else:
            kept, is_parsed = what, kind == "parsed only"
    return Block(line, fence[1], fence[2], "\n".join(setup), added, kept, is_parsed)
