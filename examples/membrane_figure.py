"""Draws the membranes of a finished run under their surrogates: `membrane_figure.py RUN OUT.svg`.

Per layer: the distribution of the membrane over the test split, the threshold, the surrogate's
bump as training left it and as it started, and the share of membranes that each reaches.
"""

import sys

import matplotlib.pyplot as plt
import torch

from mpo_snn.data import load_dataset
from mpo_snn.encoding import encode
from mpo_snn.networks.neuron import build_neuron
from mpo_snn.surrogate import coverage, surrogate_derivative
from mpo_snn.training.rundir import open_run

plt.rcParams |= {"svg.hashsalt": "mpo-snn", "font.family": "sans-serif", "font.size": 9}
INK, SOFT, ACCENT = "#4a5560", "#c9d4d6", "#00796b"


def draw(run_path: str, figure_path: str) -> None:
    """Draw one panel per spiking layer."""
    run = open_run(run_path)
    network = run.load_network()
    membranes: dict[str, torch.Tensor] = {}
    recipe = run.recipe
    samples = load_dataset(recipe.data, recipe.timesteps, train=False).test_x[:1000]
    with torch.no_grad():
        network(
            encode(samples, recipe.timesteps, recipe.encoding),
            observe=lambda name, spk, v: membranes.update({name: v}),
        )
    figure, panels = plt.subplots(1, len(membranes), figsize=(3.1 * len(membranes), 2.7))
    for panel, (name, v) in zip(panels, membranes.items(), strict=True):
        neuron = network.neurons[name]
        threshold = float(neuron.threshold)
        start = build_neuron(run.recipe.trained_neuron, neuron.channels).slope
        x = torch.linspace(-2.0, 2.5, 400)
        panel.hist(
            v.flatten().numpy(),
            bins=120,
            range=(-2.0, 2.5),
            density=True,
            color=SOFT,
            histtype="stepfilled",
        )
        for slope, style in ((start, "--"), (neuron.slope, "-")):
            bump = surrogate_derivative(x - threshold, slope, neuron.surrogate)
            share = float(coverage(v, neuron.threshold, slope, neuron.surrogate))
            label = f"{'start' if style == '--' else 'MPO'}, reaches {share:.0%}"
            panel.plot(x, bump, style, color=ACCENT, lw=1.6, label=label)
        panel.axvline(threshold, color=INK, lw=0.8)
        panel.set(title=name, xlabel="membrane / V", yticks=[], xlim=(-2.0, 2.5))
        panel.legend(frameon=False, fontsize=8, loc="upper left")
        panel.spines[["left", "top", "right"]].set_visible(False)
        panel.set_ylim(top=panel.get_ylim()[1] * 1.35)
    figure.tight_layout()
    figure.savefig(figure_path, metadata={"Date": None})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: membrane_figure.py RUN OUT.svg")
    draw(sys.argv[1], sys.argv[2])
