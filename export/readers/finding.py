"""What a reader would do with a node, other than what the file says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

MOST_NAMES = 3
"""Nodes of which the same is true are named up to here, and counted beyond."""
Severity = Literal["fails", "different", "note"]


@dataclass(frozen=True)
class Finding:
    """One line about a node.

    Attributes:
        node: name, or "" for the whole graph.
        what: what the reader does with it.
        severity: `fails` at load or at the first step, `different` silently, or a `note` that
            changes no spike (or exact ties only).
        help: what the user can do, or "".
        more: of how many further nodes the same is true, beyond those named.
    """

    node: str
    what: str
    severity: Severity
    help: str = ""
    more: int = 0

    @property
    def where(self) -> str:
        """`'lif1', 'lif2' and 3 more: `, or nothing for the whole graph."""
        if not self.node:
            return ""
        return f"'{self.node}'" + (f" and {self.more} more" if self.more else "") + ": "

    def __str__(self) -> str:
        """`'lif1': r is ignored; help`."""
        return f"{self.where}{self.what}" + (f"; {self.help}" if self.help else "")


def merged(findings: list[Finding]) -> list[Finding]:
    """The findings with the same thing about several nodes told once."""
    alike: dict[tuple[str, Severity, str], list[Finding]] = {}
    for f in findings:
        alike.setdefault((f.what, f.severity, f.help), []).append(f)
    return [_of_all(found) for found in alike.values()]


def _of_all(findings: list[Finding]) -> Finding:
    names = list(dict.fromkeys(f.node for f in findings))
    named = names if len(names) <= MOST_NAMES + 1 else names[:MOST_NAMES]
    more = len(names) - len(named) + sum(f.more for f in findings)
    return replace(findings[0], node="', '".join(named), more=more)
