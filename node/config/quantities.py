"""Durations, sizes and shares as people write them: `10 s`, `4 MiB`, `0.5 %`."""

import re
from decimal import Decimal

_US_PER_UNIT = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_BYTES_PER_UNIT = {
    "B": 1,
    "kB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
}
# At most 15 digits, so that no text asks for an astronomically large power of ten.
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3}|%)")


def parse_duration_us(text: str) -> int:
    """Microseconds in a duration such as `250 ms`.

    Raises:
        ValueError: not a number with a unit, or not a whole number of microseconds.
    """
    return _whole(text, _US_PER_UNIT, 'a duration such as "10 s" or "250 ms"', "microseconds")


def parse_size_bytes(text: str) -> int:
    """Bytes in a size such as `4 MiB`.

    Raises:
        ValueError: not a number with a unit, or not a whole number of bytes.
    """
    return _whole(text, _BYTES_PER_UNIT, 'a size such as "4 MiB" or "500 kB"', "bytes")


def parse_share(text: str) -> float:
    """Fraction in a share such as `0.5 %`.

    Raises:
        ValueError: not a number followed by a per cent sign.
    """
    number, unit = _split(text, 'a share such as "0.5 %"')
    if unit != "%":
        raise ValueError(f'{text!r} has no unit that fits; write a share such as "0.5 %"')
    return float(number / 100)


def format_duration(duration_us: int) -> str:
    """The duration in the largest unit that holds it as a whole number."""
    return _largest(duration_us, _US_PER_UNIT)


def format_size(size_bytes: int) -> str:
    """The size in the largest unit that holds it as a whole number."""
    return _largest(size_bytes, _BYTES_PER_UNIT)


def format_share(share: float) -> str:
    """The share in per cent."""
    return f"{share * 100:.6g} %"


def _split(text: str, expected: str) -> tuple[Decimal, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not understood; write {expected}")
    return Decimal(match[1]), match[2]


def _whole(text: str, units: dict[str, int], expected: str, base: str) -> int:
    number, unit = _split(text, expected)
    if unit not in units:
        raise ValueError(f"{text!r} has no unit that fits; use one of {', '.join(units)}")
    value = number * units[unit]
    if value != int(value):
        raise ValueError(f"{text!r} is not a whole number of {base}; round it")
    return int(value)


def _largest(value: int, units: dict[str, int]) -> str:
    fitting = [unit for unit in units if value % units[unit] == 0 and units[unit] <= abs(value)]
    unit = max(fitting, key=units.__getitem__, default=next(iter(units)))
    return f"{value // units[unit]} {unit}"
