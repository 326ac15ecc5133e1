"""What MPO keeps between steps: nobody else's tensors, and nothing that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mpo_snn.encoding import encode
from mpo_snn.errors import MpoError
from mpo_snn.leaky import MPOLeaky
from mpo_snn.mpo import MPO
from mpo_snn.settings import MPOSettings
from mpo_snn.unroll import Unrolled

FULL = MPOSettings(neuron_gain=True, height_norm="rms")


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    first, second = (MPOLeaky(0.5, init_hidden=True, backend="in_place") for _ in range(2))
    made = nn.Sequential(nn.Linear(6, 5), first, nn.Linear(5, 4), second)
    return made if dtype == torch.float32 else made.to(dtype)


def step(net: nn.Module, mpo: MPO, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = 3.0 * torch.rand(8, 6, generator=generator)
    loss = Unrolled(net, 3)(encode(x.to(next(net.parameters()).dtype), 3)).mean()
    (loss + mpo.regularizer()).backward()  # type: ignore[no-untyped-call]
    mpo.step()
    return loss.detach()


def test_gains_that_phi_gives_stay_its_own() -> None:
    given: list[Tensor] = []

    def phi(sigma: Tensor) -> Tensor:
        given.append(torch.full_like(sigma, float(len(given) + 1)))
        return given[-1]

    net = network()
    mpo = MPO(net, MPOSettings(neuron_gain=True), phi)
    for seed in range(3):
        step(net, mpo, seed)
    assert [float(gain.mean()) for gain in given] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert float(net[3].gain.mean()) == 6.0


def test_a_gain_may_be_a_view_of_one_number() -> None:
    net = network()
    mpo = MPO(net, MPOSettings(neuron_gain=True), lambda s: s.new_ones(()).expand(s.shape))
    for seed in range(2):
        step(net, mpo, seed)
    assert net[1].gain.shape == (5,)


def test_what_begins_in_inference_mode_goes_on_outside() -> None:
    net = network()
    mpo = MPO(net, FULL)
    step(net, mpo)
    state = mpo.state_dict()
    fresh = network()
    other = MPO(fresh, FULL)
    with torch.inference_mode():
        other.load_state_dict(state)
        other.progress = 0.5
    for seed in range(2):
        step(fresh, other, seed)


def test_states_are_nobody_elses() -> None:
    net = network()
    mpo = MPO(net, FULL)
    step(net, mpo)
    state = mpo.state_dict()
    before = {name: values["gain"].clone() for name, values in state.items()}
    mpo.load_state_dict(state)
    step(net, mpo, 1)
    assert all(torch.equal(state[name]["gain"], gain) for name, gain in before.items())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rms": None}, "rms of layer '1' is no tensor of floating point"),
        ({"gain": torch.ones(5, dtype=torch.int32)}, "gain of layer '1' is no tensor of floating"),
        ({"rms": torch.ones(3)}, r"rms of layer '1' has shape \(3,\), expected one number"),
        ({"sigma_of_neurons": torch.ones(7)}, "sigma_of_neurons of layer '1' is not of the shape"),
    ],
)
def test_a_state_that_no_layer_keeps_is_refused(change: dict[str, Any], told: str) -> None:
    net = network()
    mpo = MPO(net, FULL)
    step(net, mpo)
    state = mpo.state_dict()
    state["1"] = state["1"] | change
    with pytest.raises(MpoError, match=told):
        mpo.load_state_dict(state)
    del state["1"]["gain"]
    state["3"]["rms"] = torch.ones(2)
    with pytest.raises(MpoError) as caught:
        mpo.load_state_dict(state)
    assert len(caught.value.findings) == 2
    state["3"]["sigma_of_neurons"] = torch.ones(7)
    with pytest.raises(MpoError) as caught:
        mpo.load_state_dict(state)
    assert len(caught.value.findings) == 3


def test_a_state_is_brought_to_the_precision_of_the_widths() -> None:
    net = network()
    mpo = MPO(net, FULL)
    step(net, mpo)
    double = network(torch.float64)
    other = MPO(double, FULL)
    other.load_state_dict(mpo.state_dict())
    assert double[1].gain.dtype == torch.float64
    step(double, other)


def test_tensors_without_values_leave_nothing_behind() -> None:
    """Shapes are traced with tensors without values; what follows is computed with real ones."""
    net = network()
    mpo = MPO(net)
    expected = step(net, mpo)
    for _ in range(2):
        with FakeTensorMode():
            fake = network()
            step(fake, MPO(fake))
    torch.manual_seed(0)
    again = network()
    again.load_state_dict(net.state_dict())
    assert step(again, MPO(again)).isfinite() and expected.isfinite()
