"""What is not one timestep is refused in a line that names the place and the way out."""

from __future__ import annotations

import linecache
import operator
import re
from collections.abc import Callable
from typing import Any

import pytest
import snntorch
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from mpo_snn.errors import UnrollError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.synaptic import MPOSynaptic
from mpo_snn.trace import trace_timestep
from mpo_snn.unroll import Unrolled


class Base(nn.Module):
    """A linear layer, a neuron and a readout, put together by a function of the test."""

    def __init__(self, step: Callable[..., Any], hidden: bool = True) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 5)
        self.lif = MPOLeaky(0.9, init_hidden=hidden)
        self.lif2 = MPOLeaky(0.9, init_hidden=hidden)
        self.out = nn.Linear(5, 3)
        self.relu = nn.ReLU(inplace=True)
        self.scale = nn.Parameter(torch.ones(4))
        self.loose = [nn.Linear(4, 4)]
        self.step = step

    def forward(self, x: Tensor) -> Any:
        return self.step(self, x)


class WithState(Base):
    def forward(self, x: Tensor, mem: Any = None) -> Any:
        return self.step(self, x, mem)


def refusal(network: nn.Module) -> UnrollError:
    with pytest.raises(UnrollError) as told:
        trace_timestep(network)
    return told.value


def check(network: nn.Module, expected: str, code: str | None = None) -> None:
    """One readable line, which matches and points at the line of code that holds `code`."""
    error = refusal(network)
    text = str(error)
    assert "\n" not in text and len(text) < 520, text
    assert text.startswith(f"cannot read forward of {type(network).__name__} as one timestep: ")
    assert re.search(expected, text), text
    if code is not None:
        file, line = re.findall(r"\((\S+\.py):(\d+)\)", text)[0]
        assert file.endswith("test_trace.py")
        assert code in linecache.getline(file, int(line)), linecache.getline(file, int(line))


def a_known_loop(net: Base, x: Tensor) -> Any:
    steps = []
    for _ in range(4):
        steps.append(net.out(net.lif(net.fc(x))))
    return torch.stack(steps)


def a_loop_over_the_input(net: Base, x: Tensor) -> Any:
    steps = []
    for step in x:
        steps.append(net.out(net.lif(net.fc(step))))
    return torch.stack(steps)


def a_loop_over_its_length(net: Base, x: Tensor) -> Any:
    steps = []
    for t in range(x.size(0)):
        steps.append(net.out(net.lif(net.fc(x[t]))))
    return torch.stack(steps)


def a_loop_with_states(net: Base, x: Tensor) -> Any:
    mem, steps = net.lif.init_leaky(), []
    for _ in range(4):
        spk, mem = net.lif(net.fc(x), mem)
        steps.append(net.out(spk))
    return torch.stack(steps)


@pytest.mark.parametrize(
    ("step", "expected", "code", "hidden"),
    [
        (a_known_loop, r"calls 'lif' 4 times", "steps.append(", True),
        (a_loop_over_the_input, "loops over its input", "for step in x", True),
        (a_loop_over_its_length, "loops over its input", "range(x.size(0))", True),
        (a_loop_with_states, r"calls 'lif' 4 times", "net.lif(net.fc(x), mem)", False),
    ],
)
def test_a_loop_over_time(step: Any, expected: str, code: str, hidden: bool) -> None:
    rewrite = r".*Write forward\(x\) for ONE timestep.*Unrolled\(network, timesteps\)"
    check(Base(step, hidden), expected + rewrite, code)


def decides(net: Base, x: Tensor) -> Any:
    if x.sum() > 0:
        x = x + 1
    return net.out(net.lif(net.fc(x)))


def reshapes(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x.view(-1, 4))))


def averages(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x.mean(0))))


def indexes(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x[0])))


def indexes_a_layer(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x)[0]))


def pools(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(F.max_pool2d(x, 2)))


def scales(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x * net.scale)))


def strays(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(net.loose[0](x))))


def breaks(net: Base, x: Tensor) -> Any:
    return net.missing(x)


def runs_over(net: Base, x: Tensor) -> Any:
    return net.out(net.loose[1](x))


def unpacks_spikes(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x))[0])


def changes_its_input(net: Base, x: Tensor) -> Any:
    x += 1.0
    return net.out(net.lif(net.fc(x)))


def drops_a_change(net: Base, x: Tensor) -> Any:
    current = net.fc(x)
    current.add_(1.0)
    return net.out(net.lif(current))


def changes_what_is_read_later(net: Base, x: Tensor) -> Any:
    current = net.fc(x)
    spikes = net.lif(F.relu(current, inplace=True))
    return net.out(spikes + current)


def changes_through_a_view(net: Base, x: Tensor) -> Any:
    current = net.fc(x)
    flat = current.flatten(1)
    flat += 1.0
    return net.out(net.lif(flat) + current)


def changes_in_a_layer(net: Base, x: Tensor) -> Any:
    current = net.fc(x)
    return net.out(net.lif(net.relu(current)) + current)


def changes_what_a_view_reads_later(net: Base, x: Tensor) -> Any:
    current = net.fc(x)
    flat = current.flatten(1)
    current *= 2.0
    return net.out(net.lif(current) + flat)


def passes_by_keyword(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(input=x)))


@pytest.mark.parametrize(
    ("step", "expected", "code"),
    [
        (decides, "decides by the values of a tensor", "if x.sum() > 0"),
        (reshapes, r"\.view\(\) .*not supp.* for other reshapes write x.flatten\(1\)", "x.view("),
        (averages, r"\.mean\(\) .*is not supported in a timestep\. Supp", "x.mean(0)"),
        (indexes, "indexing .*is not supported", "x[0]"),
        (indexes_a_layer, "indexing .*is not supported", "net.fc(x)[0]"),
        (pools, r"max_pool2d\(\) .*is not supported", "F.max_pool2d"),
        (scales, "the tensor 'scale' .*is not supported", "net.scale"),
        (strays, "no submodule of it .*nn.ModuleList", "net.loose[0](x)"),
        (breaks, "has no attribute 'missing'", "net.missing"),
        (runs_over, "list index out of range", "net.loose[1](x)"),
        (unpacks_spikes, "neuron 'lif' .*keeps its own state", "[0]"),
        (changes_its_input, "in place .*changes 'x'.*x = x \\+ y", "x += 1.0"),
        (drops_a_change, "in place .*changes 'fc'", "current.add_(1.0)"),
        (changes_what_is_read_later, "in place .*changes 'fc'", "F.relu("),
        (changes_through_a_view, "in place .*changes 'fc'", "flat += 1.0"),
        (changes_what_a_view_reads_later, "in place .*changes 'fc'", "current *= 2.0"),
        (changes_in_a_layer, "in place .*changes 'fc'", "net.relu("),
        (passes_by_keyword, "layer 'fc' .*by keyword", "input=x"),
    ],
)
def test_operations(step: Any, expected: str, code: str) -> None:
    check(Base(step), expected, code)


def takes_the_last(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x))[-1])


def takes_the_pair(net: Base, x: Tensor) -> Any:
    return net.out(net.lif(net.fc(x)))


def reads_the_membrane(net: Base, x: Tensor) -> Any:
    _, mem = net.lif(net.fc(x))
    return net.out(mem)


@pytest.mark.parametrize(
    ("step", "expected", "code"),
    [
        (takes_the_last, "returns 2 values: write `spk, mem", "[-1]"),
        (takes_the_pair, "returns spikes and its state: write `spk, mem", "net.out("),
        (reads_the_membrane, "the state of neuron 'lif' .*inside the timestep", "_, mem ="),
    ],
)
def test_neurons_that_return_their_membrane(step: Any, expected: str, code: str) -> None:
    check(Base(step, hidden=False), expected, code)


def test_a_state_that_is_computed_in_the_timestep() -> None:
    def step(net: Base, x: Tensor, mem: Any) -> Any:
        spk, mem = net.lif(net.fc(x), net.fc(x))
        return net.out(spk), mem

    check(WithState(step, hidden=False), "state of neuron 'lif' .*is computed", "net.fc(x)")


def test_states_of_a_synaptic_neuron() -> None:
    class Net(nn.Module):
        def __init__(self, step: Any) -> None:
            super().__init__()
            self.lif, self.out, self.step = MPOSynaptic(0.5, 0.9), nn.Linear(4, 3), step

        def forward(self, x: Tensor, syn: Any, mem: Any) -> Any:
            return self.step(self, x, syn, mem)

    def passes_both(net: Any, x: Tensor, syn: Any, mem: Any) -> Any:
        spk, syn, mem = net.lif(x, syn, mem)
        return net.out(spk), syn, mem

    def computes_one(net: Any, x: Tensor, syn: Any, mem: Any) -> Any:
        return net.out(net.lif(x, syn, x * 2.0)[0])

    def takes_all(net: Any, x: Tensor, syn: Any, mem: Any) -> Any:
        return net.out(net.lif(x, syn, mem))

    def reads_the_current(net: Any, x: Tensor, syn: Any, mem: Any) -> Any:
        return net.out(net.lif(x, syn, mem)[1])

    trace_timestep(Net(passes_both))
    check(Net(computes_one), "state of neuron 'lif' .*is computed", "x * 2.0")
    check(Net(takes_all), "write `spk, syn, mem = ...`", "net.out(")
    check(Net(reads_the_current), "the state of neuron 'lif' .*inside", "[1])")


def test_a_second_input() -> None:
    def step(net: Base, x: Tensor, other: Any) -> Any:
        return net.out(net.lif(net.fc(x + other)))

    check(WithState(step), "argument 'mem' of forward is neither the input")


def test_snntorch_neurons_without_adapt() -> None:
    network = nn.Sequential(nn.Linear(2, 3), snntorch.Leaky(0.9, init_hidden=True))
    check(network, r"neuron '1' is snntorch's Leaky: .*mpo_snn\.adapt\(network\)")


@pytest.mark.parametrize("layer", (nn.Softmax(1), nn.LSTM(3, 3), nn.LayerNorm(3), nn.SiLU()))
def test_unsupported_layers(layer: nn.Module) -> None:
    network = nn.Sequential(nn.Linear(2, 3), MPOLeaky(0.9, init_hidden=True), layer)
    check(network, rf"layer '2' \({type(layer).__name__}\) is not supported. Supported: .*MPOLeaky")


def test_a_bare_layer() -> None:
    check(MPOLeaky(0.9), "it is a single layer; wrap it")


def test_lines_are_known_without_the_stack_traces_of_fx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those import a compiler within C++ code, where an interruption is lost."""
    monkeypatch.delattr(fx.proxy, "CapturedTraceback")

    def helper(net: Base, x: Tensor) -> Any:
        return net.fc(x).sigmoid()

    check(
        Base(lambda net, x: net.out(net.lif(helper(net, x)))),
        r"\.sigmoid\(\)",
        code="net.fc(x).sigmoid()",
    )


def test_all_findings_are_told_at_once_each_on_its_line() -> None:
    def step(net: Base, x: Tensor) -> Any:
        current = net.fc(x.mean(0))
        return net.lstm(net.lif(current)).sum()

    network = Base(step)
    network.lstm = nn.LSTM(5, 3)
    error = refusal(network)
    assert len(error.findings) == 3
    assert str(error).splitlines()[0].endswith("as one timestep: 3 findings")
    assert len(str(error).splitlines()) == 4
    found = " ".join(error.findings)
    assert all(part in found for part in ("'lstm' (LSTM)", ".mean()", ".sum()"))


def test_beside_a_loop_only_layers_are_told() -> None:
    def step(net: Base, x: Tensor) -> Any:
        steps = [net.out(net.lif(net.fc(x)).sigmoid()) for _ in range(3)]
        return net.softmax(torch.stack(steps))

    network = Base(step)
    network.softmax = nn.Softmax(1)
    error = refusal(network)
    assert len(error.findings) == 2
    assert "3 times" in error.findings[0] and "'softmax' (Softmax)" in error.findings[1]


def targets(network: nn.Module) -> list[Any]:
    return [node.target for node in trace_timestep(network).nodes if node.op.startswith("call")]


def test_layers_and_neurons_are_leaves_and_own_modules_are_looked_into() -> None:
    block = nn.Sequential(nn.Linear(4, 4), MPOLeaky(0.9, init_hidden=True))
    network = nn.Sequential(block, Base(lambda net, x: net.out(net.lif(net.fc(x)))))
    assert targets(network) == ["0.0", "0.1", "1.fc", "1.lif", "1.out"]


def test_harmless_operations_in_place_become_ordinary_ones() -> None:
    def step(net: Base, x: Tensor) -> Any:
        current = net.fc(x)
        current += current * 0.5
        current *= 2.0
        return net.out(net.lif(F.relu(current, inplace=True)).add_(1.0).mul_(2.0))

    graph = trace_timestep(Base(step))
    nodes = {node.name: node for node in graph.nodes}
    found = [node.target for node in graph.nodes if node.op != "call_module"]
    assert found[1:-1] == [operator.mul, operator.add, operator.mul, F.relu, "add", "mul"]
    assert nodes["relu"].kwargs == {}


@pytest.mark.parametrize("relu", [F.relu, torch.relu, lambda x: x.relu(), nn.ReLU()])
def test_every_spelling_of_relu_is_taken(relu: Any) -> None:
    network = Base(lambda net, x: net.out(net.lif(relu(net.fc(x)))))
    network.relu = relu if isinstance(relu, nn.Module) else nn.Identity()
    unrolled, x = Unrolled(network.eval(), 3), torch.randn(3, 5, 4)
    with torch.no_grad():
        network.lif.reset_mem()
        looped = torch.stack([network(step) for step in x])
        assert torch.equal(unrolled(x), looped)


def test_what_the_output_does_not_need_is_dropped() -> None:
    def step(net: Base, x: Tensor) -> Any:
        net.lif2(net.fc(x))
        return net.out(net.lif(net.fc(x)))

    assert targets(Base(step)) == ["fc", "lif", "out"]


def test_states_may_be_passed_in_and_out() -> None:
    def step(net: Base, x: Tensor, mem: Any) -> Any:
        spk, mem = net.lif(net.fc(x), mem)
        return net.out(spk), mem

    graph = trace_timestep(WithState(step, hidden=False))
    assert isinstance(graph, fx.Graph)
    assert sum(node.op == "placeholder" for node in graph.nodes) == 2
