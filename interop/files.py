"""The files of the round trip: every network as each profile writes it, plain NIR among them."""

from __future__ import annotations

from dataclasses import dataclass

import nir

from mpo_snn.errors import ExportError
from mpo_snn.export.foldings.flow import Flow
from mpo_snn.export.readers import READERS

from .cases import Case
from .graphs import DT

PLAIN = "nir"


@dataclass(frozen=True, eq=False)
class File:
    """A network as it is written.

    Attributes:
        case: the network.
        profile: name of the profile, `mpo_snn.export.readers`.
        graph: what is written; None where the profile refuses.
        refusal: the reasons of a refusal, one line each, without the names of nodes.
        dt: seconds that the file is written for.
        after: code to run once the file is loaded.
        late: steps by which the output comes late, as the profile says.
    """

    case: Case
    profile: str
    graph: nir.NIRGraph | None
    refusal: tuple[str, ...] = ()
    dt: float = DT
    after: str = ""
    late: int = 0


def write(case: Case, profile: str) -> File:
    """What a profile makes of a network."""
    reader = READERS[profile]
    flow = Flow.of(case.graph, case.dt)
    try:
        folded = reader.fold(flow)
    except ExportError:
        wrong = [f for f in reader.findings(*reader.folded(flow)) if f.severity != "note"]
        reasons = dict.fromkeys(f"{f.what}; {f.help}" if f.help else f.what for f in wrong)
        return File(case, profile, None, tuple(reasons))
    after, late = reader.after(folded.stands_for), reader.late(folded)
    return File(case, profile, folded.graph(), dt=folded.dt, after=after, late=late)


def predict(file: File, reader: str) -> str | None:
    """What the profile of a reader expects of a file: exact, different, fails; None without one."""
    if reader not in READERS or file.graph is None:
        return None
    findings = READERS[reader].findings(Flow.of(file.graph, file.dt))
    severities = {f.severity for f in findings}
    return next((s for s in ("fails", "different") if s in severities), "exact")
