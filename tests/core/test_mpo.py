"""The method's three lines in anybody's loop: its errors, copies, resuming, foreign surrogates."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Literal

import pytest
import snntorch
import snntorch.surrogate
import torch
from torch import nn

from mpo_snn.errors import MpoError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled

from .mpo_networks import TwoLayers, normal, only, pass_through, train_a_little


@pytest.mark.parametrize("call", ("regularizer", "step"))
def test_without_a_forward_before_it_is_an_error(call: str) -> None:
    mpo = MPO(TwoLayers())
    with pytest.raises(MpoError, match=rf"MPO.{call}\(\).*'lif1', 'lif2'.*forward") as told:
        getattr(mpo, call)()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("how", ("eval", "no_grad"))
def test_a_forward_in_eval_mode_or_without_gradients_does_not_count(how: str) -> None:
    network = TwoLayers().train(how != "eval")
    mpo = MPO(network)
    with torch.set_grad_enabled(how == "eval"):
        Unrolled(network, 3)(normal(3, 7, 6))
    with pytest.raises(MpoError, match="training mode, with gradients on"):
        mpo.regularizer()


def test_two_regularizers_of_one_forward_are_an_error_but_the_step_still_works() -> None:
    network = TwoLayers()
    mpo = MPO(network)
    Unrolled(network, 3)(normal(3, 7, 6))
    mpo.regularizer()
    with pytest.raises(MpoError, match="no membrane statistics"):
        mpo.regularizer()
    mpo.step()
    with pytest.raises(MpoError, match="no membrane statistics"):
        mpo.step()


@pytest.mark.parametrize("learns", (False, True))
@pytest.mark.parametrize("forwards", (1, 2))
@pytest.mark.parametrize("follows", ("spread", "reach"))
def test_the_step_finds_the_same_whether_the_regularizer_looked_before(
    learns: bool, forwards: int, follows: Literal["spread", "reach"]
) -> None:
    """Of one forward or several, and where the optimiser moves thresholds in between."""
    after = []
    for looks in (False, True):
        network = TwoLayers()
        mpo = MPO(network, MPOSettings(width_follows=follows, width_momentum=0.5))
        for layer in mpo.layers.values():
            layer.neuron.threshold.requires_grad_(learns)
        for number in range(forwards):
            Unrolled(network, 3)(normal(3, 7, 6, seed=number))
            if looks:
                mpo.regularizer()
        if learns:
            with torch.no_grad():
                for layer in mpo.layers.values():
                    layer.neuron.threshold.add_(3.0)
        mpo.step()
        after.append(
            (mpo.statistics(), [layer.neuron.width.clone() for layer in mpo.layers.values()])
        )
    for key in ("mu", "sigma", "width"):
        for without, looked in zip(*(table.values() for table, _ in after), strict=True):
            assert looked[key] == pytest.approx(without[key], rel=1e-6)
    for without, looked in zip(*(widths for _, widths in after), strict=True):
        torch.testing.assert_close(looked, without)


def test_a_network_without_mpo_neurons_is_refused_with_the_way_out() -> None:
    with pytest.raises(MpoError, match=r"mpo_snn\.adapt"):
        MPO(nn.Sequential(nn.Linear(2, 2), snntorch.Leaky(0.9)))


@pytest.mark.parametrize("bias", (0.0, 0.37))
def test_a_still_layer_is_named_in_a_warning(bias: float) -> None:
    network = TwoLayers()
    with torch.no_grad():
        network.fc2.weight.zero_()
        network.fc2.bias.fill_(bias)
    mpo = MPO(network, MPOSettings(lambda_dist=0.01, width_pull=True))
    Unrolled(network, 3)(normal(3, 7, 6))
    loss = mpo.regularizer()
    loss.backward()
    mpo.step()
    assert torch.isfinite(loss.detach())
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    with pytest.warns(UserWarning, match=r"layer 'lif2' does not move \(sigma = 0\)") as caught:
        mpo.statistics()
    assert len(caught) == 1
    assert torch.isfinite(network.lif2.width) and torch.isfinite(network.lif2.gain).all()


def test_a_regularizer_that_pulls_nothing_costs_no_backward_pass() -> None:
    values = {}
    for weight in (0.0, 1e-3):
        network = TwoLayers()
        mpo = MPO(network, MPOSettings(lambda_dist=weight))
        Unrolled(network, 3)(normal(3, 7, 6))
        dist, width = mpo.losses()
        values[weight] = (float(dist.detach()), float(width.detach()))
        assert dist.requires_grad  # whoever asks for it can still descend on it
        mpo.step()
        Unrolled(network, 3)(normal(3, 7, 6))
        assert mpo.regularizer().requires_grad == (weight > 0.0)
    assert values[0.0] == values[1e-3]


@pytest.mark.parametrize("how", ("deepcopy", "pickle"))
@pytest.mark.parametrize("update", ("ema", "gradient"))
def test_a_trained_network_can_be_copied_in_the_middle_of_a_step(how: str, update: str) -> None:
    network = TwoLayers()
    mpo = MPO(network, MPOSettings(width_update=update))  # type: ignore[arg-type]
    train_a_little(network, mpo)
    Unrolled(network, 3)(normal(3, 7, 6))
    network(normal(7, 6))
    twin = copy.deepcopy(network) if how == "deepcopy" else pickle.loads(pickle.dumps(network))
    mpo.step()
    x = normal(3, 7, 6, seed=9)
    assert torch.equal(Unrolled(twin, 3)(x), Unrolled(network, 3)(x))
    record = twin.lif1.record
    assert record is not None
    sample = record.take_all()
    assert sample is not None and sample.layer.count == 7 * 8  # of the last forward alone
    MPO(twin).layers["lif1"].neuron.scan(normal(3, 7, 8))


def test_training_leaves_nothing_in_snntorchs_list_of_instances() -> None:
    before = len(snntorch.SpikingNeuron.instances)
    network = TwoLayers()
    train_a_little(network, MPO(network))
    copy.deepcopy(network)
    assert len(snntorch.SpikingNeuron.instances) == before


def test_training_goes_on_from_the_state_dicts_as_if_it_had_not_stopped() -> None:
    whole = TwoLayers()
    mpo = MPO(whole)
    train_a_little(whole, mpo, 3)
    stopped = TwoLayers(seed=5)
    resumed = MPO(stopped)
    stopped.load_state_dict(pickle.loads(pickle.dumps(whole.state_dict())))
    resumed.load_state_dict(pickle.loads(pickle.dumps(mpo.state_dict())))
    for network, method in ((whole, mpo), (stopped, resumed)):
        train_a_little(network, method, 3)
    for (name, a), b in zip(whole.state_dict().items(), stopped.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(whole.lif1.gain, stopped.lif1.gain)


def test_state_of_other_layers_is_refused() -> None:
    state = MPO(TwoLayers()).state_dict()
    with pytest.raises(MpoError, match=r"\['lif1', 'lif2'\], the network has \['0'\]"):
        MPO(pass_through()).load_state_dict(state)


def test_a_network_with_a_surrogate_of_snntorch_is_watched_but_its_width_is_not_adapted() -> None:
    network = pass_through(spike_grad=snntorch.surrogate.fast_sigmoid(slope=5.0))
    with pytest.raises(MpoError, match=r"layer '0'.*spike_grad.*adapt_width=False"):
        MPO(network)
    mpo = MPO(network, only(neuron_gain=True))
    network[0].scan(normal(2, 20, 4))
    mpo.step()
    row = mpo.statistics()["0"]
    assert math.isnan(row["coverage"]) and row["sigma"] > 0 and row["density"] > 0


@pytest.mark.parametrize("backend", ("in_place", "reference"))
def test_a_surrogate_of_snntorch_gives_its_gradient(backend: str) -> None:
    spike_grad = snntorch.surrogate.fast_sigmoid(slope=5.0)
    neuron = MPOLeaky(0.0, 1.0, reset="none", input_gain="unit", spike_grad=spike_grad)
    neuron.backend = backend
    x = normal(1, 20, 4).requires_grad_()
    (found,) = torch.autograd.grad(neuron.scan(x)[0].sum(), x)
    (expected,) = torch.autograd.grad(spike_grad(x - 1.0).sum(), x)
    torch.testing.assert_close(found, expected)
    copy.deepcopy(neuron)
