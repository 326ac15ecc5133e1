"""`mpo-train --target CHIP`: what is trained inside a chip, and what is refused before training.

Nothing is trained here: `--print_config` stops behind the check.
"""

from __future__ import annotations

import pytest
import yaml

from mpo_snn.cli.train import main as train

TINY = ("--data.train_limit", "95", "--data.test_limit", "20", "--print_config")
OWN = """
name: own
epochs: 1
timesteps: 8
{more}
data: {{name: digits}}
network: {{name: mlp, hidden: [16]{network}}}
neuron: {{beta: 0.75{neuron}}}
"""


def targeted(capsys, line):
    """Exit code, recipe (None where it is refused) and what is said of it."""
    code = train([*line.split(), *TINY])
    told = capsys.readouterr()
    return code, yaml.safe_load(told.out) if code == 0 else None, told.err


@pytest.mark.parametrize(
    ("recipe", "method", "chip", "sets"),
    [
        ("digits-speck", "lsg", "speck-2e", "neuron.learn_beta true, allowed is beta = 1"),
        ("digits-speck", "dietsnn", "speck-2e", "neuron.learn_beta true, allowed is beta = 1"),
        ("digits-xylo", "dietsnn", "xylo-audio3", "neuron.learn_beta true, allowed is 1 - 2^-k"),
        ("digits", "lsg", "xylo-audio3", "whose equation has no synapse"),
        ("digits-loihi", "klif", "loihi-1", "neuron.model klif, allowed is neurons that NIR has"),
        ("digits", "klif", "speck-2e", "whose equation has neither"),
    ],
)
def test_a_method_that_learns_what_the_chip_has_not_is_refused(recipe, method, chip, sets, capsys):
    code, _, told = targeted(capsys, f"{recipe} --method {method} --target {chip}")
    assert code == 2
    (error,) = [line for line in told.splitlines() if "note:" not in line]
    assert sets in error
    assert f"method is {method}" in error or f"method {method}" in error
    assert "use another method (--method mpo)" in error


@pytest.mark.parametrize("chip", ["loihi-1", "fpga", "spinnaker2"])
@pytest.mark.parametrize("method", ["lsg", "dietsnn"])
def test_a_method_whose_leaks_the_chip_rounds_is_taken(chip, method, capsys):
    line = f"digits-loihi --method {method} --network.channels [4] --target {chip}"
    assert targeted(capsys, line)[0] == 0


@pytest.mark.parametrize("chip", ["loihi-1", "spinnaker2"])
def test_biases_in_front_of_a_synapse_are_left_out(chip, capsys):
    """Untrained ones are 0, which no rule meets."""
    code, _, told = targeted(capsys, f"digits-xylo --network.bias true --target {chip}")
    assert code == 2
    assert "network.bias is true, as the command line says; the chip needs false (a synapse" in told
    line = f"digits --neuron.model synaptic --network.channels [4] --target {chip}"
    if chip == "spinnaker2":
        line += " --network.name mlp --network.hidden [16]"
    code, recipe, _ = targeted(capsys, line)
    assert code == 0
    assert (recipe["network"]["bias"], recipe["network"]["normalise"]) == (False, False)


def test_biases_that_training_moves_are_checked(capsys):
    """Of a network that cannot be without: its batchnorm folds into a bias, untrained into 0."""
    line = "digits --neuron.model synaptic --network.name resnet18 --network.channel_scale 0.05"
    line += " --network.init firing"
    code, _, told = targeted(capsys, f"{line} --target loihi-1")
    assert code == 1
    assert "a bias in front of a synapse" in told


def test_layers_in_place_of_others_fit_and_those_that_are_given_are_taken(capsys):
    code, recipe, told = targeted(capsys, "digits --target xylo-audio3")
    assert (code, recipe["network"]["hidden"]) == (0, [128, 128])
    assert "[128, 128], not [512, 512]: two layers of the largest size that xylo-audio3" in told
    line = "digits --network.hidden [32] --target xylo-audio3"
    code, recipe, told = targeted(capsys, line)
    assert (code, recipe["network"]["hidden"]) == (0, [32])
    assert "hidden" not in told
    code, _, told = targeted(capsys, "digits --network.hidden [200] --target xylo-audio3")
    assert code == 1
    assert "200 hidden neurons that inputs reach" in told


def test_only_the_classes_are_too_many_for_audio_2(capsys):
    code, _, told = targeted(capsys, "digits --target xylo-audio2")
    assert code == 1
    assert "does not fit: 1 finding" in told
    assert "10 output neurons" in told


@pytest.mark.parametrize(
    ("own", "chips", "keys"),
    [
        (
            {"neuron": ", model: synaptic, alpha: 0.625, learn_alpha: true"},
            ("speck-2e", "fpga"),
            {"neuron.alpha": 0.5, "neuron.learn_alpha": False},
        ),
        (
            {"neuron": ", learn_beta: true, granularity: channel"},
            ("xylo-audio3", "fpga"),
            {"neuron.granularity": "layer"},
        ),
        ({"network": ", init: tdbn"}, ("xylo-audio3", "speck-2e"), {"network.init": "firing"}),
        (
            {"neuron": ", model: synaptic", "network": ", init: tdbn"},
            ("loihi-1",),
            {"network.normalise": False, "network.init": "firing"},
        ),
        ({"neuron": ", backend: numba"}, ("xylo-audio3", "speck-2e"), {"neuron.backend": None}),
        (
            {"network": ", pooling: max", "kind": "convnet"},
            ("xylo-audio3",),
            {"network.pooling": "average", "network.name": "mlp"},
        ),
        (
            {"more": "early_timesteps: 2\nearly_epochs: 1", "epochs": "2"},
            ("xylo-audio3",),
            {"early_timesteps": None, "early_epochs": 0},
        ),
    ],
)
def test_what_has_no_use_without_what_was_changed_changes_along(own, chips, keys, tmp_path, capsys):
    fields = {"more": "", "network": "", "neuron": "", **own}
    text = OWN.format(**{key: fields[key] for key in ("more", "network", "neuron")})
    text = text.replace("epochs: 1\nt", f"epochs: {own.get('epochs', 1)}\nt")
    text = text.replace("name: mlp", f"name: {own.get('kind', 'mlp')}")
    path = tmp_path / "own.yaml"
    path.write_text(text)
    for chip in chips:
        code, recipe, told = targeted(capsys, f"{path} --target {chip}")
        assert code == 0, told
        for key, value in keys.items():
            group, _, name = key.rpartition(".")
            assert (recipe[group] if group else recipe)[name] == value
            assert f"note: {key} is " in told


def test_outputs_fire_several_times_on_speck_as_all_others_do(capsys):
    code, recipe, told = targeted(capsys, "digits-xylo --target speck-2e")
    assert code == 0
    assert recipe["neuron"]["output_spikes"] is None
    assert "neuron.output_spikes is null, not 1: speck-2e does no other" in told
