"""Other people's answers to the same question, as settings of the same code.

A training run has one `method`; whatever else it does, it does with the same network, data,
kernels and loss, so that a comparison is one flag. Each method is one file, which says what it
leaves out of its paper. Nothing heavy is imported here.

What a method remembers is in the network (a parameter, a width), so a checkpoint holds it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from mpo_snn.settings import NeuronSettings

if TYPE_CHECKING:
    from mpo_snn.rivals.rival import Rival
    from mpo_snn.rivals.settings import RivalSettings
    from mpo_snn.unroll import Unrolled

Method = Literal["mpo", "fixed", "dietsnn", "klif", "dspike", "lsg", "recdis"]
_OWN_SHAPE = {"dietsnn": "triangle", "dspike": "tanh"}


def findings_of(method: Method, neuron: NeuronSettings) -> list[str]:
    """What of the neuron's settings a method has no use for, one line each."""
    found = []
    shape = _OWN_SHAPE.get(method)
    if shape and neuron.surrogate not in (shape, NeuronSettings.surrogate):
        found.append(
            f"neuron.surrogate is {neuron.surrogate} with method {method}, which brings its own,"
            f" {shape}: leave it out."
        )
    if method == "klif" and neuron.reset_timing != "step":
        found.append(
            f"neuron.reset_timing is {neuron.reset_timing} with method klif, which resets in the"
            " step of the spike: use step."
        )
    if method == "klif" and not neuron.fires_once:
        found.append(
            "neuron.most_spikes and neuron.lower are not for method klif, whose equation has"
            " neither: use another method."
        )
    if method in ("klif", "lsg") and neuron.model == "synaptic":
        found.append(
            f"neuron.model is synaptic with method {method}, whose equation has no synapse: use"
            " leaky."
        )
    return found


def neuron_for(method: Method, neuron: NeuronSettings, temperature: float) -> NeuronSettings:
    """The neurons that a method trains.

    Args:
        method: which method.
        neuron: what the recipe says of the neurons; a slope that it gives is kept.
        temperature: of Dspike at the start.
    """
    if method == "dietsnn":
        slope = neuron.slope or 1.0 / neuron.threshold
        return replace(
            neuron, surrogate="triangle", slope=slope, learn_beta=True, learn_threshold=True
        )
    if method == "dspike":
        return replace(neuron, surrogate="tanh", slope=neuron.slope or temperature)
    if method == "lsg":
        return replace(neuron, learn_beta=True)
    if method == "klif":
        return replace(neuron, model="klif")
    return neuron


def build_rival(method: Method, unrolled: Unrolled, settings: RivalSettings) -> Rival:
    """What a method does while it trains, beside what its neurons do by themselves."""
    if method == "dietsnn":
        from mpo_snn.rivals.dietsnn import DietSNN

        return DietSNN(unrolled, settings)
    if method == "dspike":
        from mpo_snn.rivals.dspike import Dspike

        return Dspike(unrolled, settings)
    if method == "lsg":
        from mpo_snn.rivals.lsg import LSG

        return LSG(unrolled, settings)
    if method == "recdis":
        from mpo_snn.rivals.recdis import RecDis

        return RecDis(unrolled, settings)
    from mpo_snn.rivals.rival import Rival

    return Rival(unrolled, settings)
