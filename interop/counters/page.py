"""docs/agreement.md out of the results."""

from __future__ import annotations

from typing import Any

from interop.page import table

Results = dict[str, Any]

EQUAL = ("ConnectionSparsity", "ParameterCount", "ClassificationAccuracy", "ActivationSparsity")
ENERGY = {"MAC": ("mac", 4.6), "AC": ("ac", 0.9)}
"""pJ of one operation, the same in `45nm-float32` and in SpikingJelly's preset."""


def page(results: Results) -> str:
    """The whole page."""
    told, made = results["told"], results["made_with"]
    versions = ", ".join(next(iter(cases.values()))["version"] for cases in told.values())
    return f"""\
# Agreement with other counters

Written by `make counters` ({made["date"][:10]}, {made["seconds"]:.0f} s): {versions}, run in an
environment of their own on NIR files of this project, and this project's evaluator on the same
files, {_samples(results)} digits, T = 4. Weights lie on a grid, so that all three fire the same
spikes; networks: [interop/counters/networks.py](../interop/counters/networks.py), all figures:
[counters.json](../benchmarks/results/counters.json).

**strided**: padding, stride, groups and dilation, no pool. **pruned**: the smallest 30 % of its
weights are zero. **binary image**: pixels of 0 and 1 as the analog input. **pooled**: average pools
between spikes and weights.

## Where nothing differs

`mpo-evaluate GRAPH --format neurobench` counts by NeuroBench's rules and writes `neurobench.json`
in its form. Ours / NeuroBench's:

{_form_table(results)}

`Footprint` differs by the buffers that snnTorch keeps in its neurons, 20 bytes a layer.
NeuroBench computes accuracy in float32 and adds operations up in float32, so that a layer with more
than 16.8 million of them in one batch and timestep is rounded there, and exact here.

## What the rules make

This project's own figures (`report.json`; [evaluation](evaluation.md)) are counted by other rules.
From ours to theirs, operations per inference; the last column is what no rule explains.

### NeuroBench

{_chain_table(results, "neurobench")}

### SpikingJelly

{_chain_table(results, "spikingjelly")}

The neurons' own additions are 6 for each membrane and timestep, one less at the first. Additions of
the counter itself: it adds up the fan-out of a convolution while it watches, and takes these sums
for the network's.

### Energy by SpikingJelly

MAC x 4.6 pJ + AC x 0.9 pJ, the constants of our profile `45nm-float32`; nJ per inference.

{_energy_table(results)}

Its memory term (24.96 pJ a byte) is apart; our `45nm-float32-memory` has other constants.
"""


def _samples(results: Results) -> int:
    return next(iter(results["compared"].values()))["samples"]


def _form_table(results: Results) -> str:
    rows = []
    for name, case in results["compared"].items():
        ours, theirs = case["results"], results["told"]["neurobench"][name]["results"]
        operations = zip(
            ours["SynapticOperations"].values(), theirs["SynapticOperations"].values(), strict=True
        )
        rows.append(
            [
                name,
                *(f"{a:,.2f} / {b:,.2f}" for a, b in operations),
                *(f"{_short(ours[key])} / {_short(theirs[key])}" for key in EQUAL),
                f"{ours['Footprint']:,} / {theirs['Footprint']:,}",
            ]
        )
    heads = ["network", "Effective_MACs", "Effective_ACs", "Dense", *EQUAL, "Footprint"]
    return table(heads, rows)


def _short(value: float) -> str:
    return f"{value:.6f}" if isinstance(value, float) else f"{value:,}"


def _chain_table(results: Results, counter: str) -> str:
    rows = []
    for name, case in results["compared"].items():
        for chain in case[counter]:
            per = [
                f"{rule}: {added / case['samples']:+,.1f}" for rule, added in chain["steps"]
            ] or ["no difference"]
            rows.append(
                [
                    name,
                    chain["figure"],
                    f"{chain['ours'] / case['samples']:,.1f}",
                    "<br>".join(per),
                    f"{chain['theirs'] / case['samples']:,.1f}",
                    str(chain["unexplained"]),
                ]
            )
    return table(["network", "figure", "ours", "rules", "theirs", "left"], rows)


def _energy_table(results: Results) -> str:
    rows = []
    for name, case in results["compared"].items():
        told = results["told"]["spikingjelly"][name]["results"]
        chains = {chain["figure"]: chain for chain in case["spikingjelly"]}
        per = 1e3 * case["samples"]
        ours = sum(chains[figure]["ours"] * pj for figure, (_, pj) in ENERGY.items())
        rules: dict[str, float] = {}
        for figure, (_, pj) in ENERGY.items():
            for rule, added in chains[figure]["steps"]:
                rules[rule] = rules.get(rule, 0.0) + added * pj
        theirs = told["energy_mac_pj"] + told["energy_ac_pj"]
        left = theirs - ours - sum(rules.values())
        rows.append(
            [
                name,
                f"{ours / per:,.2f}",
                "<br>".join(f"{rule}: {energy / per:+,.2f}" for rule, energy in rules.items()),
                f"{theirs / per:,.2f}",
                f"{abs(left) / per:.0f}",
                f"{told['energy_memory_pj'] / per:,.0f}",
            ]
        )
    return table(["network", "ours", "rules", "theirs", "left", "their memory term"], rows)
