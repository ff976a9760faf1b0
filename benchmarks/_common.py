"""What the benchmarks share: options, timing, conditions, and two ways to print a result.

A figure is the median of several repeats, with the lowest and the highest beside it; on a shared
machine the spread says more than the median.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

MLP_SIZES = (115, 64, 32, 10)
LR_SIZES = (57, 2)
"""The two models of the field's usual tasks: shaped as N-BaIoT and as Spambase."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity over its repeats."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """From at least one repeat."""
        return cls(median(values), min(values), max(values))

    def scaled(self, factor: float) -> "Figure":
        """In another unit."""
        return Figure(self.median * factor, self.low * factor, self.high * factor)

    def per(self, count: float) -> "Figure":
        """A duration turned into `count` things a second."""
        return Figure(count / self.median, count / self.high, count / self.low)

    def __str__(self) -> str:
        if self.low == self.high:
            return _short(self.median)
        return f"{_short(self.median)} ({_short(self.low)} to {_short(self.high)})"


Row = Mapping[str, Any]
Work = Callable[[], object]


def parser(description: str | None) -> argparse.ArgumentParser:
    """A script's options, with those that all scripts have.

    Begins the script anew with one thread per maths library, unless the environment says how many:
    numpy reads that when it is imported, and the threads of one process steal from the others'.
    """
    if not any(name in os.environ for name in THREADS):
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    made.add_argument("--repeats", type=_positive, default=3, help="of each figure (default 3)")
    return made


def timed(work: Work, repeats: int, seconds: float) -> Figure:
    """Seconds that one call takes.

    Args:
        work: called once unmeasured, then as often as fits into `seconds`, `repeats` times.
        repeats: of the whole.
        seconds: of each repeat, about.
    """
    work()
    begun = perf_counter()
    work()
    calls = max(1, round(seconds / max(perf_counter() - begun, 1e-7)))
    durations = []
    for _ in range(repeats):
        begun = perf_counter()
        for _ in range(calls):
            work()
        durations.append((perf_counter() - begun) / calls)
    return Figure.of(durations)


def conditions() -> dict[str, Any]:
    """When, on what, and beside how much other work something was measured."""
    from scenarios.runs.results import versions  # noqa: PLC0415 - imports numpy; see above

    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        **versions(),
    }


def publish(name: str, options: argparse.Namespace, rows: Sequence[Row]) -> None:
    """Print a result, as `options.json` asks."""
    found = conditions()
    if options.json:
        given = {key: value for key, value in vars(options).items() if key != "json"}
        print(
            json.dumps(
                {"benchmark": name, "conditions": found, "options": given, "rows": rows},
                default=asdict,
            )
        )
        return
    print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    table(
        [
            {
                key: str(value) if isinstance(value, Figure) else _short(value)
                for key, value in row.items()
            }
            for row in rows
        ]
    )


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """Rows under the keys of the first one; rows of other keys begin a table of their own."""
    while rows:
        keys = list(rows[0])
        count = next((i for i, row in enumerate(rows) if list(row) != keys), len(rows))
        cells = [keys, *([row[key] for key in keys] for row in rows[:count])]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            print("  ".join(map(str.ljust, line, widths)).rstrip())
        print()
        rows = rows[count:]


def rss_mb() -> float:
    """Resident memory of this process, MB (10^6 bytes)."""
    # Only where memory is measured; it has no types of its own.
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415

    return float(psutil.Process().memory_info().rss) / 1e6


def _short(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or sys.platform
