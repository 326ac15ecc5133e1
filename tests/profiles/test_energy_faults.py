"""Users' energy profiles by their faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpo_snn.errors import ProfileError
from mpo_snn.profiles import energy
from mpo_snn.profiles.energy import load_energy_profile

GOOD = (Path(energy.__file__).parent / "energy" / "45nm-float32.toml").read_text()


@pytest.mark.parametrize("digits", [401, 5001])
def test_a_number_of_hundreds_of_digits_is_told_by_its_key(tmp_path, digits: int) -> None:
    assert "value_pj = 0.9" in GOOD
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace("value_pj = 0.9", f"value_pj = {digits * '9'}"))
    with pytest.raises(ProfileError) as raised:
        load_energy_profile(path)
    (told,) = raised.value.findings
    assert told.startswith("[ac] value_pj is a whole number of ")
    assert told.endswith(f"{digits:,} digits, expected a number from 0 to 1e+12")
