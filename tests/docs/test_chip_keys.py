"""The table of a design's keys in docs/deploy.md is what profiles are held against."""

from __future__ import annotations

import re
from pathlib import Path

from mpo_snn.profiles.chip_keys import KEYS, Choice, Flag

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"
_ROW = re.compile(r"^\| `((?:neuron|format|limit)\.\w+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


def test_the_table_has_every_key_with_what_is_allowed() -> None:
    rows = dict(_ROW.findall(PAGE.read_text(encoding="utf-8")))
    rules = KEYS["fixed_point"]
    assert list(rows) == list(rules)
    for key, told in rows.items():
        rule, (allowed, _, optional) = rules[key], told.strip().partition("; ")
        assert optional.startswith("optional") == (not rule.required), key
        if isinstance(rule, Flag):
            assert allowed == "`true`, `false`"
            assert optional == f"optional, `{str(rule.default).lower()}`"
        elif isinstance(rule, Choice):
            assert tuple(re.findall(r"`([^`]+)`", allowed)) == rule.words
        else:
            open_end = allowed == f"{rule.low} or more" and rule.high >= 10**12
            assert open_end or allowed == f"{rule.low:,} to {rule.high:,}", key
