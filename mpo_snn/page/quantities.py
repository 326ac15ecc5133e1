"""Quantities as people read them: 12,345 operations, 1.23 nJ, 9.1 %.

Everything that is shown, on the console, in tables and in charts, is written by these functions,
so that one number looks the same everywhere.
"""

from __future__ import annotations

ABSENT = "\N{EN DASH}"

_ENERGY_UNITS = ("pJ", "nJ", "µJ", "mJ", "J")
_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB")
_COUNT_UNITS = ("", "k", "M", "G", "T")


def show_energy(picojoule: float | None) -> str:
    """Energy with three digits and the unit that fits, from pJ to J."""
    return ABSENT if picojoule is None else _scaled(picojoule, _ENERGY_UNITS)


def show_count(value: float | None) -> str:
    """A count: below 10,000 in full, an average below 100 with digits; above in k, M, G or T."""
    if value is None:
        return ABSENT
    if abs(value) < 9999.5:
        whole = value == int(value) or abs(value) >= 99.95
        return f"{value:,.0f}" if whole else _digits(value)
    return _scaled(value, _COUNT_UNITS)


def show_bytes(value: float | None) -> str:
    """Memory with three digits and the unit that fits, from B to TB, a kB being 1,000 B."""
    return ABSENT if value is None else _scaled(value, _BYTE_UNITS)


def show_percent(value: float | None) -> str:
    """A percentage with two decimals."""
    return ABSENT if value is None else f"{value:.2f} %"


def show_density(value: float | None) -> str:
    """Spike density (0 to 1) with four decimals."""
    return ABSENT if value is None else f"{value:.4f}"


def show_points(value: float | None) -> str:
    """A difference of percentages, with two decimals and no unit."""
    return ABSENT if value is None else f"{value:.2f}"


def show_rr(value: float | None) -> str:
    """A robustness ratio with three decimals, so that those near 1 can be told apart."""
    return ABSENT if value is None else f"{value:.3f}"


def show_ratio(value: float | None) -> str:
    """A dimensionless ratio with three digits."""
    return ABSENT if value is None else _digits(value)


def show_seconds(value: float) -> str:
    """A duration in seconds in its shortest form, such as 0.0001 s."""
    return f"{value:g} s"


def _scaled(value: float, units: tuple[str, ...]) -> str:
    index = 0
    while abs(value) >= 999.5 and index < len(units) - 1:
        value /= 1000.0
        index += 1
    return f"{_digits(value)} {units[index]}".rstrip()


def _digits(value: float) -> str:
    """Three significant digits."""
    magnitude = abs(value)
    if magnitude == 0 or magnitude >= 99.95:
        return f"{value:,.0f}"
    if magnitude >= 9.995:
        return f"{value:.1f}"
    if magnitude >= 0.9995:
        return f"{value:.2f}"
    return f"{value:.3g}"
