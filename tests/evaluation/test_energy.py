from __future__ import annotations

import pytest

from mpo_snn.errors import ProfileError
from mpo_snn.evaluation.energy import (
    Energy,
    Operations,
    dense_energy_pj,
    energy_of,
    seei,
    uncharged,
)
from mpo_snn.profiles.energy import load_energy_profile, profile_names

GOOD = """\
schema_version = 1
title = "a chip"
[mac]
value_pj = 10
unit = "pJ/MAC"
kind = "measured"
source = "somebody"
[ac]
value_pj = 2.5
unit = "pJ/AC"
kind = "measured"
source = "somebody"
"""
UPDATE = '[update]\nvalue_pj = 81\nunit = "pJ/update"\nkind = "measured"\nsource = "somebody"\n'


def profile(tmp_path, text=GOOD):
    path = tmp_path / "chip.toml"
    path.write_text(text)
    return load_energy_profile(path)


def test_energy_by_hand(tmp_path):
    work = Operations(mac=100, ac=40, graded_ac=8, updates=7)
    assert energy_of(work, profile(tmp_path)) == Energy(1120, 1120, 1120)
    assert energy_of(work, profile(tmp_path, GOOD + UPDATE)).value_pj == 1000 + 120 + 567
    assert work.synops == 48
    assert work + Operations(mac=1, updates=2) == Operations(101, 40, 8, 9)
    assert dense_energy_pj(30, profile(tmp_path)) == 300


def test_default_profile_by_hand():
    constants = load_energy_profile("45nm-float32")
    assert energy_of(Operations(mac=10, ac=100), constants).value_pj == pytest.approx(136.0)
    assert constants.mac is not None
    assert (constants.mac.value_pj, constants.ac.value_pj, constants.update) == (4.6, 0.9, None)
    assert "Horowitz" in constants.mac.source
    assert constants.kind == "published table"


def test_where_sources_disagree_the_total_has_a_range(tmp_path):
    text = GOOD.replace("value_pj = 2.5", "value_pj = 2.5\nlow_pj = 1\nhigh_pj = 25")
    work = Operations(mac=100, ac=40, graded_ac=8)
    assert energy_of(work, profile(tmp_path, text)) == Energy(1120, 1048, 2200)


def test_what_a_chip_cannot_do_is_named_and_not_in_the_total(tmp_path):
    text = GOOD[: GOOD.index("[mac]")] + GOOD[GOOD.index("[ac]") :]
    chip, work = profile(tmp_path, text + UPDATE), Operations(mac=100, ac=40, updates=2)
    assert chip.mac is None
    assert energy_of(work, chip).value_pj == 100 + 162
    assert uncharged(work, chip) == 100 and uncharged(work, profile(tmp_path)) == 0
    assert dense_energy_pj(30, chip) is None and seei(90.0, None, 5.0) is None


def test_memory_profiles_are_their_arithmetic_and_their_accesses():
    word, byte = 5.0, 1.25  # pJ: half and an eighth of a 64-bit access to 8 kB
    arithmetic = {  # addition, multiplication, multiplication by the leak
        "45nm-float32": (0.9, 3.7, 3.7, word),
        "45nm-int8": (0.1, 0.2, 3.1, byte),
    }
    for name, (addition, product, leak, weight) in arithmetic.items():
        bare, whole = load_energy_profile(name), load_energy_profile(f"{name}-memory")
        assert whole.ac.value_pj == pytest.approx(addition + weight + 2 * word)
        assert whole.mac.value_pj == pytest.approx(product + addition + weight + 2 * word)
        assert whole.update.value_pj == pytest.approx(leak + addition + 2 * word)
        assert whole.ac.low_pj == pytest.approx(bare.ac.high_pj + weight)


def test_seei():
    assert seei(80.0, 1000.0, 250.0) == pytest.approx(3.2)
    assert seei(100.0, 7.0, 7.0) == 1.0
    assert seei(0.0, 7.0, 7.0) == 0.0
    assert seei(50.0, 7.0, 0.0) is None


def test_every_shipped_profile_loads():
    assert "45nm-float32" in profile_names()
    for name in profile_names():
        assert load_energy_profile(name).name == name


def test_own_profile(tmp_path):
    assert profile(tmp_path).name == "chip"
    assert profile(tmp_path).mac.value_pj == 10.0


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("value_pj = 2.5\n", "", r"\[ac\] value_pj is missing, expected a number"),
        ("value_pj = 2.5", 'value_pj = "2.5"', r"\[ac\] value_pj is '2.5', expected a number"),
        ("value_pj = 2.5", "value_pj = true", r"\[ac\] value_pj is True, expected a number"),
        ("value_pj = 2.5", "value_pj = -1", r"\[ac\] value_pj is -1, expected a number from 0"),
        ("value_pj = 2.5", "value_pj = 1e13", r"is 1e\+?13|10000000000000.0, expected a number"),
        ("value_pj = 2.5", "value_pj = inf", r"\[ac\] value_pj is inf, expected a number from 0"),
        ("value_pj = 2.5", "value_pj = 2.5\nlow_pj = 3", r"\[ac\] goes from 3.0 over 2.5 to 2.5"),
        ("value_pj = 2.5", "value_pj = 2.5\nhigh_pj = nan", r"\[ac\] high_pj is nan, expected a"),
        ('unit = "pJ/AC"\n', "", r"\[ac\] unit is missing, expected 'pJ/AC'"),
        ("value_pj = 2.5", "value_pj = 2.5\nlow_pj = 1", r"\[ac\] has low_pj alone, expected both"),
        ("pJ/AC", "nJ/AC", r"\[ac\] unit is 'nJ/AC', expected 'pJ/AC'"),
        ("pJ/MAC", "pJ/AC", r"\[mac\] unit is 'pJ/AC', expected 'pJ/MAC'"),
        ('unit = "pJ/AC"\nkind = "measured"', 'unit = "pJ/AC"\nkind = "simulated"', "are mixed"),
        ('"measured"', '"guessed"', "kind is 'guessed', expected one of measured"),
        ('source = "somebody"\n', 'source = " "\n', "source is ' ', expected text"),
        ("[ac]", "[adds]", r"\[ac\] is missing(.|\n)*unknown key|unknown key(.|\n)*ac"),
        ("schema_version = 1", "schema_version = 2", "schema_version is 2, expected 1"),
        ("schema_version = 1", 'schema_version = "1"', "schema_version is '1', expected 1"),
        ("schema_version = 1", "schema_version = true", "schema_version is True, expected 1"),
        ("[mac]", "[mac]\nvalue_nj = 1", r"\[mac\] has the unknown key 'value_nj'"),
        ("[mac]", "[mac", "is not TOML"),
        ("[mac]", "deep = " + 5000 * "[" + "\n[mac]", "is not TOML"),
    ],
)
def test_malformed_profiles(tmp_path, found, instead, message):
    assert found in GOOD
    with pytest.raises(ProfileError, match=message):
        profile(tmp_path, GOOD.replace(found, instead))


def test_all_findings_at_once(tmp_path):
    with pytest.raises(ProfileError) as caught:
        profile(tmp_path, GOOD.replace("10", "-10").replace("pJ/AC", "J"))
    assert len(caught.value.findings) == 2


def test_unknown_and_absent_profiles(tmp_path):
    with pytest.raises(ProfileError, match=r"unknown energy profile '7nm'.*45nm-float32"):
        load_energy_profile("7nm")
    with pytest.raises(ProfileError, match="No such file"):
        load_energy_profile(tmp_path / "absent.toml")
    with pytest.raises(ProfileError, match="cannot read"):
        load_energy_profile(f"{tmp_path}/no-suffix")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="is not TOML"):
        load_energy_profile(tmp_path / "binary.toml")
