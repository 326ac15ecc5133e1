"""A reader of NIR files as data: what it takes, what it computes, what makes a file exact in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mpo_snn.errors import ExportError
from mpo_snn.export.foldings.flow import Flow, Timing
from mpo_snn.export.foldings.subtraction import meaning

from .dynamics import differences
from .finding import Finding, merged

Pass = Callable[[Flow], Flow]
STEP_BY_STEP = """\
state, outputs = None, []
for x_t in x:
    output, state = network(x_t, state)  # each step gets the state of the one before
    outputs.append(output)

outputs = torch.stack(outputs)"""
"""`Reader.run` of torch networks that take one timestep and the state of the one before."""


@dataclass(frozen=True)
class Reader:
    """A program that runs NIR files, in the version that was measured.

    Attributes:
        name: what --reader takes.
        title: program and version.
        nir_version: of the nir package in its environment, and so of the file.
        dt: timestep in seconds that it computes with; None where the caller gives it.
        folds: what makes a graph exact for it without changing what it means, in order.
        dialect: what then states it otherwise than NIR does, where the reader reads it so.
        structure: what it refuses, drops or runs in a wrong order, whatever the dynamics.
        as_read: the graph in reference semantics that states what it computes, with the step
            after loading where one is needed.
        load: code that loads `path` at `dt` as `network`.
        run: code that runs the network on `x` of the file's `input` shape, (timesteps, samples,
            ...), and gives `outputs` in this order.
        beside: modules of this package that its code needs, written beside the file.
        members: the readers that one file is for; each has its own code.
        after: code of the step after loading, by what plain LIF stand for; "" without one.
        late: by how many steps its output comes late.
        help: the way out where its dynamics differ.
    """

    name: str
    title: str
    nir_version: str
    dt: float | None
    folds: tuple[Pass, ...]
    dialect: tuple[Pass, ...]
    structure: Callable[[Flow], list[Finding]]
    as_read: Callable[[Flow], Flow]
    load: str
    run: str
    beside: tuple[str, ...] = ()
    members: tuple[Reader, ...] = ()
    after: Callable[[Timing | None], str] = lambda timing: ""
    late: Callable[[Flow], int] = lambda flow: 0
    help: str = ""

    def fold(self, flow: Flow) -> Flow:
        """The graph that is exact in this reader.

        Raises:
            ExportError: with every reason why there is none, and the way out.
        """
        return self.exact(flow)[0]

    def exact(self, flow: Flow) -> tuple[Flow, Flow]:
        """The graph that is exact in this reader, and what it means in NIR's terms.

        In what it means thresholds are as the folds left them, before a dialect rounded them.

        Raises:
            ExportError: as in `fold`.
        """
        folded, meant = self.folded(flow)
        wrong = [f for f in self.findings(folded, meant) if f.severity != "note"]
        if wrong:
            raise ExportError(f"cannot write for {self.title}", [f"{f}." for f in merged(wrong)])
        return folded, meant

    def folded(self, flow: Flow) -> tuple[Flow, Flow]:
        """The graph after all passes, exact or not, and what it means in NIR's terms."""
        for run in self.folds:
            flow = run(flow)
        meant = meaning(flow)
        for run in self.dialect:
            flow = run(flow)
        return flow, meant

    def findings(self, flow: Flow, meant: Flow | None = None) -> list[Finding]:
        """What it would do with a graph other than is meant, node by node.

        Args:
            flow: the graph of the file.
            meant: what it means, in NIR's terms; None takes the file at its word.
        """
        found = self.structure(flow)
        failing = {f.node for f in found if f.severity == "fails"}
        read = differences(meant or meaning(flow), self.as_read(flow))
        found += [replace(f, help=self.help) for f in read if f.node not in failing]
        return found
