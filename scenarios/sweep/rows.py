"""One row for every run of a sweep: JSON lines, or Parquet."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Any

from gossip.errors import ConfigError, StateError
from scenarios.measures import named
from scenarios.runs.expectations import Verdict
from scenarios.runs.results import Result, whole_file
from scenarios.spec.choices import plain
from scenarios.sweep.grid import Cell

FORMATS = ("jsonl", "parquet")

Row = dict[str, Any]


def check_format(form: str) -> None:
    """Refuse a format that cannot be written here, before any work.

    Raises:
        ConfigError: it is unknown, or its library is missing.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format {form}: unknown; use one of {', '.join(FORMATS)}")
    if form == "parquet" and find_spec("pyarrow") is None:
        raise ConfigError(
            "--format parquet: pyarrow is not installed here; install it with "
            "pip install 'hedgerow[parquet]', or leave --format out for JSON lines"
        )


def row(cell: Cell, result: Result, told: Sequence[Verdict]) -> Row:
    """What stands in the table for one run: the last sample's metrics under their names.

    The swept keys, `seed`, `run` (the folder below `runs`), every metric of
    `scenarios.measures.named`, `expect.failed` (how many expectations did not hold, where there
    are any), `bytes` (sent by all peers), `trace`, and `version.NAME` of what computed it.
    A metric without a value is None.
    """
    found: Row = {**cell.values, "seed": cell.seed, "run": cell.key}
    for metric in named.names(result):
        value = named.value(result, metric)
        found[str(metric)] = None if isnan(value) else value
    if told:
        found["expect.failed"] = sum(not each.holds for each in told)
    found["bytes"] = sum(result.bytes_sent)
    found["trace"] = result.trace_hash
    return found | {f"version.{name}": release for name, release in result.versions.items()}


def write(rows: Sequence[Row], folder: Path, form: str) -> Path:
    """Write `runs.jsonl` or `runs.parquet`, whole or not at all; gives its path.

    Raises:
        StateError: it cannot be written.
    """
    path = folder / f"runs.{form}"
    if form == "parquet":
        _write_parquet(rows, path)
        return path
    with whole_file(path) as stream:
        stream.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in rows)
    return path


def _write_parquet(rows: Sequence[Row], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an optional extra
    from pyarrow import parquet  # noqa: PLC0415

    names = list(dict.fromkeys(name for each in rows for name in each))
    columns = {name: _column([each.get(name) for each in rows]) for name in names}
    part = path.with_name(f".{path.name}.part")
    try:
        parquet.write_table(pa.table(columns), part)
        part.replace(path)
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written ({error.strerror}); choose another place with --out"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _column(values: list[Any]) -> list[Any]:
    """Values of one type, as a column of a table needs it: numbers, booleans, or else text."""
    known = [value for value in values if value is not None]
    for kind in bool, int, float:
        if all(type(value) is kind for value in known):
            return values
    if all(type(value) in {int, float} for value in known):
        return [None if value is None else float(value) for value in values]
    return [None if value is None else plain(value) for value in values]
