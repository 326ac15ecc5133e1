"""Every number of every shipped energy profile against its source, copied out a second time.

The profiles were typed from the same publications; the two copies have nothing else in common. A
new profile needs its lines here.
"""

from __future__ import annotations

from importlib.resources import files

import pytest

from mpo_snn.profiles.energy import load_energy_profile, profile_names

HOROWITZ = "doi:10.1109/ISSCC.2014.6757323"
CACHE = "PMC8934428"
SURVEY = "PMC10326429"
KERAS_SPIKING = "arXiv:1903.08941"
DAVIES = "IEEE Micro 38(1), 2018, table 2"
MEROLLA = "doi:10.1126/science.1254642"

# profile: kind, then what one operation costs in pJ (value, or value, low and high), with sources
SOURCES = {
    # Horowitz 2014, 45 nm: float32 addition 0.9, multiplication 3.7
    "45nm-float32": (
        "published table",
        {"ac": ((0.9,), [HOROWITZ]), "mac": ((4.6,), [HOROWITZ])},
    ),
    # a word of 32 bits out of an 8 kB cache: 5, half of the 10 for 64 bits
    "45nm-float32-memory": (
        "published table",
        {
            "ac": ((15.9, 5.9, 15.9), [HOROWITZ, CACHE]),
            "mac": ((19.6, 9.6, 19.6), [HOROWITZ, CACHE]),
            "update": ((14.6,), [HOROWITZ, CACHE]),
        },
    ),
    # int8 addition 0.03, multiplication 0.2; int32 addition 0.1, multiplication 3.1
    "45nm-int8": (
        "published table",
        {"ac": ((0.03, 0.03, 0.1), [HOROWITZ]), "mac": ((0.23, 0.23, 0.3), [HOROWITZ])},
    ),
    # a weight of 8 bits: 1.25, an eighth of the 10
    "45nm-int8-memory": (
        "published table",
        {
            "ac": ((11.35, 1.35, 11.35), [HOROWITZ]),
            "mac": ((11.55, 1.55, 11.55), [HOROWITZ]),
            "update": ((13.2,), [HOROWITZ]),
        },
    ),
    # synaptic operation 23.6 at least, 27.1 with the mean hop; neuron active 81, inactive 52
    "loihi": (
        "simulated",
        {
            "ac": ((23.6, 23.6, 27.1), [DAVIES, "keras_spiking/model_energy.py"]),
            "update": ((81, 52, 81), [DAVIES]),
        },
    ),
    "mubrain": ("collected", {"ac": ((26,), [SURVEY])}),
    "odin": ("collected", {"ac": ((12.7,), [SURVEY])}),
    "reckon": ("collected", {"ac": ((5.3,), [SURVEY])}),
    "seneca": ("collected", {"ac": ((2.8,), [SURVEY])}),
    # synaptic operation 13.3 nJ or 45 pJ; neuron 26 nJ
    "spinnaker": (
        "collected",
        {
            "ac": ((13_300, 45, 13_300), [KERAS_SPIKING, SURVEY]),
            "update": ((26_000,), [KERAS_SPIKING]),
        },
    ),
    # synaptic operation 450 pJ or 10 pJ; neuron 2.19 nJ
    "spinnaker2": (
        "collected",
        {"ac": ((450, 10, 450), [KERAS_SPIKING, SURVEY]), "update": ((2_190,), [KERAS_SPIKING])},
    ),
    # 72 mW of the whole chip over its synaptic events
    "truenorth": ("system average", {"ac": ((26,), [MEROLLA])}),
}
UNITS = {"ac": "pJ/AC", "mac": "pJ/MAC", "update": "pJ/update"}


def test_every_shipped_profile_has_its_numbers_here():
    shipped = files("mpo_snn.profiles").joinpath("energy").iterdir()
    names = {one.name.removesuffix(".toml") for one in shipped if one.name.endswith(".toml")}
    assert names == set(SOURCES) == set(profile_names())


@pytest.mark.parametrize("name", SOURCES)
def test_numbers_are_those_of_the_sources(name):
    kind, operations = SOURCES[name]
    profile = load_energy_profile(name)
    assert profile.kind == kind
    for operation, unit in UNITS.items():
        constant = getattr(profile, operation)
        if operation not in operations:
            assert constant is None, operation
            continue
        numbers, sources = operations[operation]
        value, low, high = numbers if len(numbers) == 3 else 3 * numbers
        assert (constant.value_pj, constant.low_pj, constant.high_pj) == (value, low, high)
        assert (constant.unit, constant.kind) == (unit, kind)
        assert [one for one in sources if one not in constant.source] == []
