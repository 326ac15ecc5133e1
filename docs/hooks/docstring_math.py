"""Docstrings as the site shows them: equations in MathML, which browsers draw without a script.

`.. math::` and `:math:` become MathML, a table of reStructuredText becomes one of Markdown.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert

_BLOCK = re.compile(
    r"^([ \t]*)\.\. math::(.*)\n((?:\1[ \t]+\S.*\n|[ \t]*\n(?=\1[ \t]+\S))*)", re.MULTILINE
)
_INLINE = re.compile(r":math:`([^`]+)`")
_TABLE = re.compile(r"^(=+ [= ]+\n)((?:.*\n)+?)\1(?=\s*$|\n)", re.MULTILINE)


class DocstringMath(Extension):
    """Rewrites the docstring of every object that griffe loads."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Turn what Markdown does not know into what it does."""
        if obj.docstring:
            text = _TABLE.sub(_table, obj.docstring.value + "\n")
            text = _INLINE.sub(lambda match: f"<span>{convert(_flat(match[1]))}</span>", text)
            obj.docstring.value = _BLOCK.sub(_display, text).rstrip()


def _display(match: re.Match[str]) -> str:
    indent, first, rest = match.groups()
    equation = convert(_flat(f"{first}\n{textwrap.dedent(rest)}"), display="block")
    return f'\n{indent}<div class="equation">{equation}</div>\n\n'


def _table(match: re.Match[str]) -> str:
    rule, body = match[1], match[2]
    begins = [column.start() for column in re.finditer(r"(?<!=)=", rule)]
    ends = [*begins[1:], None]
    lines = [line for line in body.splitlines() if line + "\n" != rule]
    rows = [
        [line[a:b].strip().replace("|", "\\|") for a, b in zip(begins, ends, strict=True)]
        for line in lines
    ]
    rows.insert(1, ["---"] * len(begins))
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _flat(tex: str) -> str:
    return " ".join(tex.split())
