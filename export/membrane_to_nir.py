r"""A neuron layer that the network is read out by, in NIR: what goes on is its membrane.

snnTorch's `spk, mem = lif(x, mem)` returns as mem the membrane after the reset within the step, if
there is one (`mpo_snn.lif.carried`). In NIR

- no reset: LI, I or CubaLI alone, which give their membrane; nothing spikes;
- subtraction, `next`: the composite of `neuron_to_nir`, read at its membrane, from which nothing
  is taken within the step;
- subtraction, `step`: that membrane and a Scale of -threshold behind the Threshold, which add up
  to v - s threshold where both arrive;
- zero: none, for NIR's LIF, IF and CubaLIF give spikes alone.

A layer that was read from NIR is written in its units there, and a Scale gives back volt.
"""

from __future__ import annotations

from dataclasses import replace

import nir

from .draft import Draft, Neuron
from .neuron_to_nir import Expression, express_neuron, membrane_node, unit_of


def express_membrane(name: str, neuron: Neuron, dt: float) -> Expression:
    """NIR nodes of a layer whose membrane is what others see.

    Args:
        name: its name in the network; of the node that spikes, or of the membrane if none does.
        neuron: the layer; it does not reset to zero.
        dt: timestep in seconds.
    """
    assert neuron.reset != "zero", "membrane_findings refuses it"
    if neuron.reset == "none":
        alone = Expression({name: membrane_node(neuron, dt)}, [], name, None, (name,))
        return _in_volt(alone, name, neuron)
    whole = express_neuron(name, neuron, dt)
    found = _in_volt(replace(whole, exits=(f"{name}.membrane",)), name, neuron)
    if neuron.reset_timing == "next":
        return found
    after = f"{name}.after"
    return replace(
        found,
        nodes={**found.nodes, after: nir.Scale(scale=-neuron.expand(neuron.threshold))},
        edges=[*found.edges, (name, after)],
        exits=(*found.exits, after),
    )


def membrane_findings(draft: Draft, plain_reset: bool, chip: bool) -> list[str]:
    """Why layers of the draft cannot be read out by their membrane, one line each.

    Args:
        draft: the network.
        plain_reset: a reset by subtraction is to be written as a plain LIF.
        chip: every layer is to be one node of a chip.
    """
    findings = []
    for name, node in draft.nodes.items():
        if not isinstance(node, Neuron) or node.gives == "spikes":
            continue
        if chip:
            findings.append(
                f"the output is the membrane of layer '{name}', and chips give spikes: return its"
                " spikes first."
            )
        elif node.reset == "zero":
            findings.append(
                f"the output is the membrane of layer '{name}', which resets to zero: NIR's LIF, IF"
                " and CubaLIF give spikes alone. Train it without reset or with reset by"
                " subtraction (reset_mechanism 'none' or 'subtract'), or return its spikes first."
            )
        elif node.reset == "subtract" and plain_reset:
            findings.append(
                f"the output is the membrane of layer '{name}', and a plain LIF gives spikes alone:"
                " leave plain_reset out."
            )
    return findings


def _in_volt(found: Expression, name: str, neuron: Neuron) -> Expression:
    """The expression with its membrane in volt, where NIR has it in another unit."""
    if neuron.membrane_unit is None:
        return found
    volt, (membrane,) = f"{name}.volt", found.exits
    return replace(
        found,
        nodes={**found.nodes, volt: nir.Scale(scale=1.0 / unit_of(neuron, neuron.membrane_unit))},
        edges=[*found.edges, (membrane, volt)],
        exits=(volt,),
    )
