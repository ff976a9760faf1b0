"""Comma-separated files that a scenario names: bounded, and every mistake with its line."""

import csv
from collections.abc import Iterator
from pathlib import Path

from gossip.errors import ConfigError

FILE_BYTES_MAX = 64 * 2**20
"""A full matrix of 3,000 peers, or a trace of some million lines."""


def lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line; empty lines and those that start with # are left out.

    Raises:
        ConfigError: the file cannot be read, is too large, or is no UTF-8 text.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); check the path, which is relative to the "
            "scenario file"
        ) from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX // 2**20} MiB; shorten it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text; save it as UTF-8") from error
    return _fields(path, text)


def _fields(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            fields = next(csv.reader([line], strict=True))
        except csv.Error as error:
            raise wrong(path, number, f"{error}; write values separated by commas") from error
        yield number, [field.strip() for field in fields]


def wrong(path: Path, line: int, text: str) -> ConfigError:
    """The error to raise about one line."""
    return ConfigError(f"{path}, line {line}: {text}")
