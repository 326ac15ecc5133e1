"""Tables of chips: everything a profile says is shown, at any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mpo_snn.cli.chip_tables import chip_list, chip_sheet
from mpo_snn.profiles.chip import chip_names, load_chip_profile


def shown(renderable, width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_names_every_chip(width):
    lines = shown(chip_list(), width).splitlines()
    assert [line.split()[0] for line in lines if line[0].isalpha()] == ["name", *chip_names()]
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("name", chip_names())
def test_a_sheet_shows_every_value_with_its_source(name):
    profile = load_chip_profile(name)
    text = shown(chip_sheet(profile), 80)
    assert max(map(len, text.splitlines())) <= 80
    sources = shown(chip_sheet(profile), 1000).split("\nsources\n")[1]
    for constants in profile.tables.values():
        for key, constant in constants.items():
            (line,) = (
                line
                for line in text.splitlines()
                if line.split()[:1] == [key] and line.startswith("  ") and constant.status in line
                and line.rstrip().endswith("]") and constant.unit in line
            )  # fmt: skip
            number = line.split()[-1]
            assert f"{number}  {constant.source}" in [row.rstrip() for row in sources.splitlines()]
            if isinstance(constant.value, int):
                assert f" {constant.value:,} " in line


def test_lists_and_disagreement_are_spelt_out():
    speck = shown(chip_sheet(load_chip_profile("speck-2e")), 120)
    assert "16,384 16,384 16,384 32,768 32,768 65,536 65,536 16,384 16,384" in speck
    assert "sources disagree, 10 to 450" in shown(chip_sheet(load_chip_profile("spinnaker2")), 80)


def test_a_profile_may_be_silent():
    fpga = load_chip_profile("fpga")
    assert "\nlimit\n" not in shown(chip_sheet(fpga), 80)
