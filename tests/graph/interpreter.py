"""A naive interpreter: one sample, one step, one node at a time, in float64 numpy.

Written from the semantics alone, with none of the simulator's code: the value of a node at a step
is asked for recursively, and the rule of loops is applied where an edge closes one.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

STATEFUL = ("I", "LI", "IF", "LIF", "CubaLI", "CubaLIF", "Delay")
Edge = tuple[str, str]


class HiddenLoopError(Exception):
    """Taking the delays once leaves a loop; the rule must be applied again."""


class Interpreter:
    def __init__(self, graph: nir.NIRGraph, dt: float, x: np.ndarray) -> None:
        self.nodes, self.edges, self.dt, self.x = graph.nodes, list(graph.edges), dt, x
        self.back = self._back_edges()
        self.loops = {edge: self._loop(*edge) for edge in self.back}
        self.values: dict[tuple[str, int], np.ndarray] = {}
        self.states: dict[tuple[str, int], Any] = {}
        self.asked: set[Any] = set()

    def run(self) -> np.ndarray:
        return np.stack([self.value("output", t) for t in range(len(self.x))])

    def value(self, name: str, t: int) -> np.ndarray:
        if (name, t) not in self.values:
            if (name, t) in self.asked:
                raise HiddenLoopError
            self.asked.add((name, t))
            if name == "input":
                self.values[name, t] = self.x[t]
            elif self._is_stateful(name):
                self.values[name, t] = self._advance(name, self._total(name, t), t)
            else:
                self.values[name, t] = self._apply(name, self._total(name, t))
        return self.values[name, t]

    def _total(self, name: str, t: int) -> np.ndarray:
        return np.sum([self._read(edge, t) for edge in self.edges if edge[1] == name], axis=0)

    def _read(self, edge: Edge, t: int) -> np.ndarray:
        if edge in self.back:
            return self._late(edge[0], self.loops[edge], t)
        return self.value(edge[0], t)

    def _late(self, name: str, loop: set[str], t: int) -> np.ndarray:
        """The value of a node as its loop sees it."""
        if self._is_stateful(name):
            return self.value(name, t - 1) if t else np.zeros_like(self.x[0])
        terms = []
        for edge in self.edges:
            if edge[1] == name:
                inside = edge[0] in loop and edge not in self.back
                terms.append(self._late(edge[0], loop, t) if inside else self._read(edge, t))
        return self._apply(name, np.sum(terms, axis=0))

    def _is_stateful(self, name: str) -> bool:
        return type(self.nodes[name]).__name__ in STATEFUL

    def _apply(self, name: str, x: np.ndarray) -> np.ndarray:
        node = self.nodes[name]
        match type(node).__name__:
            case "Output":
                return x
            case "Affine":
                return node.weight @ x + node.bias
            case "Linear":
                return node.weight @ x
            case "Scale":
                return node.scale * x
            case "Threshold":
                return np.where(x > node.threshold, 1.0, 0.0)
            case kind:
                raise AssertionError(kind)

    def _advance(self, name: str, x: np.ndarray, t: int) -> np.ndarray:
        node, dt = self.nodes[name], self.dt
        kind = type(node).__name__
        zero = np.zeros_like(x)
        if kind == "Delay":
            history = [*self.states.get((name, t - 1), []), x]
            self.states[name, t] = history
            steps = np.round(node.delay / dt).astype(int)
            return np.array([history[t - k][j] if t >= k else 0.0 for j, k in enumerate(steps)])
        v, i = self.states.get((name, t - 1), (zero, zero))
        if kind in ("CubaLI", "CubaLIF"):
            i = i + dt / node.tau_syn * (-i + node.w_in * x)
            v = v + dt / node.tau_mem * (node.v_leak - v + node.r * i)
        elif kind in ("LI", "LIF"):
            v = v + dt / node.tau * (node.v_leak - v + node.r * x)
        else:
            v = v + dt * node.r * x
        if kind in ("I", "LI", "CubaLI"):
            self.states[name, t] = (v, i)
            return v
        spk = v > node.v_threshold
        self.states[name, t] = (np.where(spk, node.v_reset, v), i)
        return spk.astype(float)

    def _back_edges(self) -> set[Edge]:
        back: set[Edge] = set()
        open_: list[str] = []
        done: set[str] = set()

        def visit(name: str) -> None:
            open_.append(name)
            for source, target in self.edges:
                if source == name:
                    if target in open_:
                        back.add((source, target))
                    elif target not in done:
                        visit(target)
            done.add(open_.pop())

        visit("input")
        return back

    def _loop(self, end: str, head: str) -> set[str]:
        """Every node on a way from head to end without back edges."""

        def leads(start: str, goal: str) -> bool:
            return start == goal or any(
                leads(target, goal)
                for source, target in self.edges
                if source == start and (source, target) not in self.back
            )

        return {name for name in self.nodes if leads(head, name) and leads(name, end)}
