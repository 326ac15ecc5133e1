"""What a reader would do with a node, other than what the file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
    """

    node: str
    what: str
    severity: Severity
    help: str = ""

    def __str__(self) -> str:
        """`'lif1': r is ignored; help`."""
        where = f"'{self.node}': " if self.node else ""
        return f"{where}{self.what}" + (f"; {self.help}" if self.help else "")


def merged(findings: list[Finding]) -> list[Finding]:
    """The findings with the same thing about several nodes told once."""
    nodes: dict[tuple[str, Severity, str], list[str]] = {}
    for f in findings:
        nodes.setdefault((f.what, f.severity, f.help), []).append(f.node)
    return [
        Finding("', '".join(dict.fromkeys(names)), what, severity, help)
        for (what, severity, help), names in nodes.items()
    ]
