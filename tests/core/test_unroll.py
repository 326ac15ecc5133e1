"""`Unrolled` against the loop over timesteps that it stands for."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mpo_snn.encoding import encode
from mpo_snn.errors import RecipeError, ShapeError, UnrollError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.networks.convnet import ConvNet
from mpo_snn.neurons import neurons_of, reset_hidden
from mpo_snn.readout import read_out
from mpo_snn.settings import NeuronSettings
from mpo_snn.unroll import Unrolled

T, B = 4, 3


def lif(**kwargs: Any) -> MPOLeaky:
    return MPOLeaky(0.7, 0.1, init_hidden=True, **kwargs)


class Residual(nn.Module):
    """Two branches that meet, in each of the ways to write it."""

    def __init__(self, how: str = "+") -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), lif())
        self.branch = nn.Sequential(
            nn.Conv2d(4, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            lif(reset="subtract", reset_timing="next"),
            nn.Conv2d(4, 4, 1),
        )
        self.shortcut = nn.Conv2d(2, 4, 1)
        self.last = lif(learn_beta=True)
        self.out = nn.Linear(4, 5)
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        skip = self.shortcut(x)
        y = self.branch(self.stem(x))
        if self.how == "+":
            y = y + skip
        elif self.how == "+=":
            y += skip
        elif self.how == "add":
            y = torch.add(y, skip, alpha=0.5)
        else:
            y = y.add_(skip).mul(0.5)
        y = F.avg_pool2d(self.last(y), 4)
        return self.out(torch.flatten(y, 1))  # type: ignore[no-any-return]


class WithDropout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop2d = nn.Conv2d(2, 4, 3), nn.Dropout2d(0.5)
        self.lif, self.pool, self.drop = lif(), nn.AvgPool2d(2), nn.Dropout(0.5)
        self.out = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.lif(self.drop2d(self.conv(x))))
        return self.out(self.drop(x.flatten(start_dim=1)))  # type: ignore[no-any-return]


class Flattening(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.flatten = how, nn.Flatten()
        self.fc, self.lif, self.out = nn.Linear(32, 9), lif(), nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "layer":
            x = self.flatten(x)
        elif self.how == "function":
            x = torch.flatten(x, start_dim=1)
        else:
            x = x.flatten(1)
        return self.out(self.lif(self.fc(x)))  # type: ignore[no-any-return]


class Stateful(nn.Module):
    """States passed in and out, spikes of the last layer as output, as snnTorch users write it."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.fc1, self.fc2 = nn.Linear(32, 9), nn.Linear(9, 5)
        self.lif1 = MPOLeaky(0.7, 0.1, reset="subtract", reset_timing="next")
        self.lif2 = MPOLeaky(0.7, 0.1)

    def forward(self, x: Tensor, mem1: Any = None, mem2: Any = None) -> Any:
        spk1, mem1 = self.lif1(self.fc1(self.flatten(x)), mem1)
        spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
        return spk2, mem1, mem2


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "convnet": lambda: ConvNet((2, 4, 4), 5, (6, 8), NeuronSettings(beta=0.7, threshold=0.1)),
    "residual +": Residual,
    "residual +=": lambda: Residual("+="),
    "residual add": lambda: Residual("add"),
    "residual methods": lambda: Residual("methods"),
    "dropout": WithDropout,
    "flatten layer": lambda: Flattening("layer"),
    "flatten function": lambda: Flattening("function"),
    "flatten method": lambda: Flattening("method"),
    "stateful": Stateful,
}


def build(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    network = NETWORKS[name]().to(dtype)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.2)
    return network


def inputs(constant: bool, dtype: torch.dtype = torch.float32, batch: int = B) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    if constant:
        return encode(torch.randn(batch, 2, 4, 4, generator=generator).to(dtype), T)
    return torch.randn(T, batch, 2, 4, 4, generator=generator).to(dtype)


def loop(network: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The naive loop over timesteps: outputs, and the spikes of every neuron."""
    spikes: dict[str, list[Tensor]] = {name: [] for name in neurons_of(network)}

    def keep(name: str) -> Callable[..., None]:
        return lambda _module, _args, out: spikes[name].append(
            out[0] if isinstance(out, tuple) else out
        )

    hooks = [n.register_forward_hook(keep(name)) for name, n in neurons_of(network).items()]
    reset_hidden(network)
    outputs = []
    state: list[Tensor] = [
        n.init_leaky() for n in neurons_of(network).values() if not n.init_hidden
    ]
    for step in x:
        result = network(step, *state)
        if isinstance(result, tuple):
            result, *state = result
        outputs.append(result)
    for hook in hooks:
        hook.remove()
    return torch.stack(outputs), {name: torch.stack(s) for name, s in spikes.items()}


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("constant", (True, False))
@pytest.mark.parametrize("name", NETWORKS)
def test_in_eval_it_is_the_loop_spike_for_spike(
    name: str, constant: bool, dtype: torch.dtype
) -> None:
    network = build(name, dtype).eval()
    x = inputs(constant, dtype)
    expected, spikes = loop(network, x)
    run, seen = Unrolled(network, T).eval(), {}
    found = run(x, observe=lambda name, spk, v: seen.update({name: spk}))
    assert list(seen) == list(run.neurons)
    for layer, spk in spikes.items():
        assert torch.equal(seen[layer], spk), layer
        assert 0 < spk.sum() < spk.numel()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("constant", (True, False))
@pytest.mark.parametrize("momentum", (0.1, None))
@pytest.mark.parametrize("name", ("convnet", "residual +", "residual +="))
def test_in_training_per_step_batchnorm_is_the_loop(
    name: str, momentum: float | None, constant: bool
) -> None:
    network = build(name, torch.float64).train()
    set_momentum(network, momentum)
    looped = copy.deepcopy(network)
    run = Unrolled(network, T, batchnorm="per_step")
    for _ in range(2):
        x = inputs(constant, torch.float64)
        expected, _ = loop(looped, x)
        found = run(x)
        torch.testing.assert_close(found, expected)
        for outputs in (found, expected):
            (
                outputs * torch.linspace(-1, 1, outputs.numel()).reshape(outputs.shape)
            ).sum().backward()
    for (key, a), b in zip(network.named_parameters(), looped.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, msg=lambda text, key=key: f"{key}: {text}")
    for (key, a), b in zip(network.named_buffers(), looped.buffers(), strict=True):
        if not key.endswith("mem"):
            torch.testing.assert_close(a, b, msg=lambda text, key=key: f"{key}: {text}")


def set_momentum(network: nn.Module, momentum: float | None) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = momentum


def folded_by_definition(network: nn.Sequential, x: Tensor) -> Tensor:
    """Conv, batchnorm over all of T*B as one batch, neuron: with the running statistics."""
    conv, norm, neuron = network
    current = norm(conv(x.flatten(0, 1))).unflatten(0, x.shape[:2])
    spk: Tensor = neuron.scan(current)[0]
    return spk


@pytest.mark.parametrize("constant", (True, False))
@pytest.mark.parametrize("momentum", (0.1, 0.0, 1.0, None))
@pytest.mark.parametrize("affine", (True, False))
@pytest.mark.parametrize("tracked", (True, False))
def test_in_training_folded_batchnorm_is_its_definition(
    tracked: bool, affine: bool, momentum: float | None, constant: bool
) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, momentum=momentum, affine=affine, track_running_stats=tracked)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), norm, lif(learn_beta=True)).double().train()
    other = copy.deepcopy(network)
    run = Unrolled(network, T)
    assert run.batchnorm == "folded"
    for batch in (B, B + 2):
        x = inputs(constant, torch.float64, batch)
        expected, found = folded_by_definition(other, x), run(x)
        torch.testing.assert_close(found, expected)
        weight = torch.linspace(-1, 1, found.numel()).reshape(found.shape)
        for outputs in (found, expected):
            (outputs * weight).sum().backward()
    for a, b in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    if tracked:
        torch.testing.assert_close(network[1].running_mean, other[1].running_mean)
        torch.testing.assert_close(network[1].running_var, other[1].running_var)
        assert int(network[1].num_batches_tracked) == int(other[1].num_batches_tracked) == 2


@pytest.mark.parametrize("constant", (True, False))
def test_folded_batchnorm_of_a_single_sample_is_its_definition(constant: bool) -> None:
    """T copies of one value each: the variance is 0, in training and in the running average."""
    network = nn.Sequential(nn.BatchNorm1d(3), lif()).train()
    other = copy.deepcopy(network)
    x = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    x = x.expand(T, 1, 3) if constant else x.expand(T, 1, 3).contiguous()
    found = Unrolled(network, T)(x)
    expected = other[0](x.flatten(0, 1)).unflatten(0, (T, 1))
    assert torch.equal(found, other[1].scan(expected)[0])
    torch.testing.assert_close(network[0].running_var, other[0].running_var)


@pytest.mark.parametrize("constant", (True, False))
@pytest.mark.parametrize("mode", ("folded", "per_step"))
def test_in_eval_batchnorm_without_running_statistics_is_the_loop(
    mode: Any, constant: bool
) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), norm, lif()).double().eval()
    x = inputs(constant, torch.float64)
    expected, _ = loop(network, x)
    assert torch.equal(Unrolled(network, T, mode).eval()(x), expected)


def test_folded_and_per_step_differ_where_the_input_moves() -> None:
    network = build("convnet").train()
    x = inputs(False)
    outputs = [Unrolled(copy.deepcopy(network), T, mode)(x) for mode in ("folded", "per_step")]
    assert not torch.allclose(outputs[0], outputs[1])


def test_gradient_of_a_constant_input_is_that_of_its_copies() -> None:
    network = build("residual +", torch.float64).train()
    x = inputs(True, torch.float64)[0].clone().requires_grad_()
    grads = []
    for repeated in (x.expand(T, *x.shape), torch.stack([x] * T)):
        outputs = Unrolled(copy.deepcopy(network), T)(repeated)
        weight = torch.linspace(-1, 1, outputs.numel(), dtype=x.dtype).reshape(outputs.shape)
        grads.append(torch.autograd.grad((outputs * weight).sum(), x)[0])
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.parametrize("training", (True, False))
def test_dropout_differs_over_time_in_training_only(training: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Dropout(0.5)).train(training)
    x = encode(torch.ones(B, 64), T)
    found = Unrolled(network, T).train(training)(x)
    same = all(torch.equal(found[0], found[t]) for t in range(1, T))
    assert same != training
    assert not training or 0.4 < float((found > 0).float().mean()) < 0.6


def count_calls(network: nn.Module, *names: str) -> dict[str, list[torch.Size]]:
    """Shapes of what each layer was called with."""
    calls: dict[str, list[torch.Size]] = {name: [] for name in names}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda _module, args, _out, name=name: calls[name].append(args[0].shape)
        )
    return calls


@pytest.mark.parametrize("training", (True, False))
def test_what_does_not_depend_on_time_is_computed_once(training: bool) -> None:
    network = build("residual +").train(training)
    calls = count_calls(network, "stem.0", "stem.1", "shortcut", "branch.0", "out")
    Unrolled(network, T).train(training)(inputs(True))
    for name in ("stem.0", "stem.1", "shortcut"):
        assert [shape[0] for shape in calls[name]] == [B], name
    for name in ("branch.0", "out"):
        assert [shape[0] for shape in calls[name]] == [T * B], name


def test_a_moving_input_is_one_batch_for_every_layer() -> None:
    network = build("residual +").eval()
    calls = count_calls(network, "stem.0", "shortcut", "out")
    Unrolled(network, T)(inputs(False))
    assert {name: [shape[0] for shape in shapes] for name, shapes in calls.items()} == {
        name: [T * B] for name in calls
    }


def test_a_network_without_neurons_still_answers_for_every_step() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(32, 5))
    x = inputs(True)
    found = Unrolled(network, T)(x)
    assert found.shape == (T, B, 5)
    torch.testing.assert_close(found, torch.stack([network(step) for step in x]))


def test_operations_in_place_leave_input_and_observed_spikes_alone() -> None:
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lif = lif()

        def forward(self, x: Tensor) -> Tensor:
            spk: Tensor = self.lif(x)
            spk += 1.0
            return spk

    seen: list[Tensor] = []
    found = Unrolled(Adds(), T)(inputs(False), observe=lambda name, spk, v: seen.append(spk))
    assert set(seen[0].unique().tolist()) == {0.0, 1.0}
    assert torch.equal(found, seen[0] + 1.0)


@pytest.mark.parametrize("steps", (1, 2, 7))
def test_any_number_of_timesteps(steps: int) -> None:
    network = build("convnet").eval()
    x = inputs(True)[:1].expand(steps, -1, -1, -1, -1)
    expected, _ = loop(network, x)
    torch.testing.assert_close(Unrolled(network, steps).eval()(x), expected)


@pytest.mark.parametrize("timesteps", (0, -1))
def test_no_timesteps_are_refused(timesteps: int) -> None:
    with pytest.raises(RecipeError, match=rf"timesteps is {timesteps}, allowed is 1 or more"):
        Unrolled(build("convnet"), timesteps)


def test_an_unknown_batchnorm_mode_is_refused() -> None:
    with pytest.raises(RecipeError, match="'tdbn', allowed are folded, per_step"):
        Unrolled(build("convnet"), T, "tdbn")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ((B, T, 2, 4, 4), (T + 1, B, 2, 4, 4), (T,), (0, B, 2, 4, 4)))
def test_input_must_have_time_first(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=rf"expected \({T}, batch, ...\): time first") as told:
        Unrolled(build("convnet"), T)(torch.zeros(shape))
    assert str(shape) in str(told.value)


def test_an_operation_that_mixes_samples_is_named_when_it_runs() -> None:
    class Mixes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.flatten(x)

    with pytest.raises(UnrollError, match=r"'flatten' mixes the samples .*torch.flatten\(x, 1\)"):
        Unrolled(Mixes(), T)(inputs(True))


@pytest.mark.parametrize("result", (lambda y: None, lambda y: {"logits": y}, lambda y: (None, y)))
def test_an_output_that_is_no_tensor_is_told(result: Callable[[Tensor], Any]) -> None:
    class Returns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Any:
            return result(self.fc(x))

    with pytest.raises(UnrollError, match="first thing that forward returns"):
        Unrolled(Returns(), T)(inputs(False))


@pytest.mark.parametrize("how", ("deepcopy", "pickle"))
def test_copies_are_whole_and_independent(how: str) -> None:
    run = Unrolled(build("residual +"), T, batchnorm="per_step")
    MPO(run)
    run(inputs(True)).sum().backward()
    twin = copy.deepcopy(run) if how == "deepcopy" else pickle.loads(pickle.dumps(run))
    x = inputs(False)
    assert twin.batchnorm == "per_step" and twin.timesteps == T
    assert torch.equal(twin.eval()(x), run.eval()(x))
    with torch.no_grad():
        twin.network.out.weight.zero_()
        twin.network.out.bias.zero_()
    assert not twin(x).any() and run(x).any()


def test_values_are_released_after_their_last_use() -> None:
    run = Unrolled(build("residual +"), T)
    last = [name for operation in run._operations for name in operation.done]
    assert len(last) == len(set(last)) == len(list(run.graph.nodes)) - 1


@pytest.mark.parametrize("kind", ("mean", "sum", "last"))
def test_readout_by_hand(kind: str) -> None:
    logits = torch.tensor([[[1.0, 2.0]], [[3.0, -4.0]]])
    expected = {"mean": [[2.0, -1.0]], "sum": [[4.0, -2.0]], "last": [[3.0, -4.0]]}
    assert read_out(logits, kind).tolist() == expected[kind]


def test_direct_coding_is_a_view_that_does_not_move() -> None:
    x = torch.randn(2, 3)
    encoded = encode(x, 5)
    assert encoded.shape == (5, 2, 3) and encoded.stride(0) == 0
    assert all(torch.equal(step, x) for step in encoded)


def test_unknown_coding_and_readout_are_refused_with_the_list() -> None:
    with pytest.raises(RecipeError, match="'morse': choose one of direct"):
        encode(torch.zeros(1), 2, "morse")
    with pytest.raises(RecipeError, match="'median': choose one of mean, sum, last"):
        read_out(torch.zeros(1, 1, 1), "median")


def test_convnet_that_pools_its_image_away_is_refused() -> None:
    with pytest.raises(RecipeError, match="3 blocks pool an image of 3x3 away"):
        ConvNet((1, 3, 3), 10, (4, 4, 4))
