"""Chip profiles: the shipped ones against published figures, users' ones by their faults."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpo_snn.errors import ProfileError
from mpo_snn.profiles import chip
from mpo_snn.profiles.chip import chip_names, load_chip_profile
from mpo_snn.profiles.chip_keys import KEYS

FILES = Path(chip.__file__).parent / "chips"
GOOD = (FILES / "spinnaker2.toml").read_text()


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_chip_profile(path)


def findings(tmp_path, text):
    with pytest.raises(ProfileError) as raised:
        load(tmp_path, text)
    assert "mine.toml" in str(raised.value)
    return raised.value.findings


def test_all_chips_are_shipped_and_every_family_has_one():
    assert chip_names() == (
        "fpga", "loihi-1", "loihi-2", "speck-2e", "speck-2f", "spinnaker2",
        "xylo-audio2", "xylo-audio3", "xylo-imu",
    )  # fmt: skip
    assert {load_chip_profile(name).family for name in chip_names()} == set(KEYS)


@pytest.mark.parametrize("name", chip_names())
def test_what_is_loaded_is_what_the_file_has(name):
    content = tomllib.loads((FILES / f"{name}.toml").read_text())
    profile = load_chip_profile(name)
    loaded = {
        f"{table}.{key}": constant
        for table, constants in profile.tables.items()
        for key, constant in constants.items()
    }
    written = {
        f"{table}.{key}": entry
        for table in ("neuron", "format", "limit", "timing", "energy")
        for key, entry in content.get(table, {}).items()
    }
    assert loaded.keys() == written.keys()
    for key, entry in written.items():
        value = profile.value(key)
        assert (list(value) if isinstance(value, tuple) else value) == entry["value"]
        assert loaded[key].source == entry["source"] and key in profile


def test_figures_that_papers_and_manuals_give():
    audio3, audio2 = load_chip_profile("xylo-audio3"), load_chip_profile("xylo-audio2")
    assert [audio3.value(f"limit.{part}") for part in ("inputs", "hidden", "outputs")] == [
        16, 992, 32,
    ]  # fmt: skip
    assert audio2.value("limit.fan_out") == 64
    assert audio2.constant("energy.inference").unit == "uJ/inference"
    speck = load_chip_profile("speck-2f")
    assert sum(speck.value("limit.neuron_memory")) == 327_680  # neurons in all
    assert len(speck.value("limit.kernel_memory")) == speck.value("limit.cores") == 9
    loihi = load_chip_profile("loihi-1")
    assert loihi.value("limit.neurons") == 128 * loihi.value("limit.neurons_per_core")
    synop = loihi.constant("energy.synaptic_operation")
    assert (synop.value, synop.low, synop.high, synop.kind) == (23.6, 23.6, 23.6, "simulated")
    assert "limit.in_axons" not in load_chip_profile("loihi-2")
    synop = load_chip_profile("spinnaker2").constant("energy.synaptic_operation")
    assert synop.low == 10 and synop.high == 450  # sources disagree


def test_a_file_of_ones_own_and_names_that_do_not_exist(tmp_path):
    assert load(tmp_path, GOOD).name == "mine"
    with pytest.raises(ProfileError, match=r"unknown chip profile 'nochip'. Available: fpga, "):
        load_chip_profile("nochip")
    with pytest.raises(ProfileError, match="cannot read the chip profile"):
        load_chip_profile(tmp_path / "none.toml")
    with pytest.raises(ProfileError, match="cannot read the chip profile"):
        load_chip_profile("a\0b.toml")
    with pytest.raises(ProfileError, match="is not TOML"):
        load(tmp_path, "title = ")
    with pytest.raises(ProfileError, match=r"says nothing about 'limit.hidden'"):
        load_chip_profile("spinnaker2").value("limit.hidden")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("schema_version = 1", "schema_version = 2", "schema_version is 2, expected 1"),
        ("schema_version = 1", 'schema_version = "1"', "schema_version is '1', expected 1"),
        ("schema_version = 1", "", "schema_version is missing, expected 1"),
        ("schema_version = 1", "schema_version = true", "schema_version is True, expected 1"),
        ('title = "SpiNNaker2"', "", "title is missing"),
        (
            'title = "SpiNNaker2"',
            r'title = "\u001b[31mred"',
            r"title is '\x1b[31mred', expected text without control characters",
        ),
        (
            'title = "SpiNNaker2"',
            r'title = "\u202eder"',
            r"title is '\u202eder', expected text without format characters",
        ),
        ("[energy.update]", r'["extra\u001b[31m".update]', r"unknown key 'extra\x1b[31m'"),
        ("[energy.update]", r'[energy."up\u001b[31m"]', r"[energy.up\x1b[31m] is unknown"),
        ("[energy.update]", r'[timing."up\u001b[31m"]', r"[timing.up\x1b[31m] is no name"),
        ("value = 152", 'value = 152\n"\\u001b[2J" = 1', r"unknown key '\x1b[2J'"),
        ('family = "spinnaker2"', 'family = "spinaker"', "expected one of xylo, speck, loihi"),
        ("[limit.elements]", "[limit.element]", "[limit.elements] is missing, expected a whole"),
        ("[limit.elements]", "[limit.element]", "[limit.element] is unknown, allowed: elements"),
        ("value = 152", "value = 0", "[limit.elements] value is 0, expected a whole number from 1"),
        ("value = 152", "value = true", "[limit.elements] value is True"),
        ("value = 152", "value = 15.2", "[limit.elements] value is 15.2"),
        ("value = 152", "", "[limit.elements] value is missing"),
        ('unit = "bytes"', 'unit = "kB"', "[limit.memory_bytes] unit is 'kB', expected 'bytes'"),
        ('unit = "bytes"', "", "[limit.memory_bytes] unit is missing"),
        ('status = "unsure"', 'status = "sure"', "status is 'sure', expected one of exact, "),
        ('source = "arXiv:2401.04491', 'sauce = "arXiv:2401.04491', "unknown key 'sauce'"),
        ('source = "arXiv:2401.04491', 'sauce = "arXiv:2401.04491', "source is missing"),
        ("value = 450.0", "value = 600.0", "goes from 10.0 over 600.0 to 450.0"),
        ("value = 450.0", "value = -1", "[energy.synaptic_operation] value is -1, expected a num"),
        ("value = 450.0", "value = nan", "[energy.synaptic_operation] value is nan"),
        ('kind = "collected"', 'kind = "guessed"', "kind is 'guessed', expected one of measured"),
        ("[energy.update]", "[energy.upkeep]", "[energy.upkeep] is unknown, allowed: synaptic_op"),
        ('unit = "pJ/update"', 'unit = "nJ/update"', "unit is 'nJ/update', expected 'pJ/update'"),
        ("[limit.elements]", "[[limit.elements]]", "expected a table with value, unit"),
        ("[energy.update]", "[timing.Step]", "[timing.Step] is no name"),
        ("[energy.update]", "[extra.update]", "unknown key 'extra'"),
    ],
)
def test_faults_are_named(tmp_path, old, new, told):
    assert old in GOOD
    found = findings(tmp_path, GOOD.replace(old, new))
    assert any(told in finding for finding in found), found


@pytest.mark.parametrize(
    "digits", ["1" + 400 * "0", "-1" + 400 * "0", 5001 * "9", "-" + 5001 * "9"]
)
@pytest.mark.parametrize(
    ("old", "part"),
    [
        ("value = 450.0", "[energy.synaptic_operation] value"),
        ("low = 10.0", "[energy.synaptic_operation] low"),
        ("high = 450.0", "[energy.synaptic_operation] high"),
        ("value = 152", "[limit.elements] value"),
        ("schema_version = 1", "schema_version"),
        ('title = "SpiNNaker2"', "title"),
    ],
)
def test_a_number_of_hundreds_of_digits_is_told_by_its_key(tmp_path, digits, old, part):
    assert old in GOOD
    found = findings(tmp_path, GOOD.replace(old, f"{old.partition('=')[0]}= {digits}"))
    (told,) = found
    assert told.startswith(f"{part} is ")
    assert "expected" in told and len(told) < 150
    assert "set_int_max" not in str(found)


def test_times_and_lists_of_hundreds_of_digits_are_told(tmp_path):
    timing = '\n[timing.step]\nvalue = {}\nunit = "ms"\nstatus = "exact"\nsource = "me"\n'
    for digits in (400, 5001):
        told = findings(tmp_path, GOOD + timing.format(digits * "9"))
        assert len(told) == 1 and told[0].startswith("[timing.step] value is a whole number of")
        assert told[0].endswith(f"{digits:,} digits, expected a number from 0 to 1e+12")
        speck = (FILES / "speck-2e.toml").read_text()
        told = findings(tmp_path, speck.replace("[1, 2, 4, 8]", f"[1, {digits * '9'}]"))
        assert "is [1, a whole number of" in told[0] and len(told[0]) < 200
    load(tmp_path, GOOD + timing.format("1e12"))


def test_all_faults_are_told_at_once(tmp_path):
    text = GOOD.replace('unit = "bytes"', 'unit = "kB"').replace("value = 152", "value = -1")
    assert len(findings(tmp_path, text.replace('"unsure"', '"sure"'))) == 3


def test_values_that_contradict_each_other(tmp_path):
    speck = (FILES / "speck-2e.toml").read_text()
    assert findings(tmp_path, speck.replace("value = 9\n", "value = 8\n")) == (
        "[limit.kernel_memory] has 9 values, expected one for each of the 8 cores",
        "[limit.neuron_memory] has 9 values, expected one for each of the 8 cores",
    )
    assert "expected a list" in findings(tmp_path, speck.replace("[1, 2, 4, 8]", "3"))[0]
    loihi = (FILES / "loihi-1.toml").read_text()
    assert "above the high one of 0" in findings(tmp_path, loihi.replace("= -7", "= 7"))[0]


def test_words_are_words_and_have_no_unit(tmp_path):
    fpga = (FILES / "fpga.toml").read_text()
    assert "expected one of none, shift" in findings(tmp_path, fpga.replace('"shift"', '"shif"'))[0]
    unit = fpga.replace('"shift"', '"shift"\nunit = "bits"')
    assert findings(tmp_path, unit) == ("[neuron.leak] unit is 'bits', a word has none",)


def test_whether_there_is_a_bias_is_true_or_false(tmp_path):
    table = '[neuron.bias]\nvalue = {}\nstatus = "exact"\nsource = "the design"\n'
    fpga = (FILES / "fpga.toml").read_text() + "\n"
    (tmp_path / "fine.toml").write_text(fpga + table.format("false"))
    assert load_chip_profile(tmp_path / "fine.toml").value("neuron.bias") is False
    told = findings(tmp_path, fpga + table.format("0"))
    assert told == ("[neuron.bias] value is 0, expected true or false",)
    unit = table.format("true") + 'unit = "bits"\n'
    told = findings(tmp_path, fpga + unit)
    assert told == ("[neuron.bias] unit is 'bits', true or false has none",)


PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
    st.lists(st.integers(-3, 3), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip


@settings(deadline=None, max_examples=300, derandomize=True)
@given(name=st.sampled_from(("fpga", "loihi-2", "speck-2e", "xylo-imu")), data=st.data())
def test_any_values_are_a_profile_or_told(name, data):
    content = tomllib.loads((FILES / f"{name}.toml").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        place = content
        while True:
            key = data.draw(st.sampled_from((*sorted(place), "new")))
            if not isinstance(place.get(key), dict) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        place[key] = data.draw(PLAIN)
    try:
        profile = chip._parse("any", content, "any.toml")
    except ProfileError as error:
        assert error.findings and str(error).startswith("chip profile 'any.toml' is malformed")
        return
    for key, rule in KEYS[profile.family].items():
        if key in profile:
            value = profile.value(key)
            assert rule.is_right(list(value) if isinstance(value, tuple) else value)
        else:
            assert not rule.required
