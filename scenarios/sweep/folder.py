"""The folder of a sweep: what identifies it, and every finished run at once.

DIR/sweep.json               the scenario, the lists, the seeds, the versions
DIR/runs/KEY/result.json     each finished run, as `hedgerow simulate --out` writes it
DIR/runs.jsonl               one row a run, when all are done (or runs.parquet)
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossip.errors import StateError
from scenarios.runs import results
from scenarios.runs.files import held
from scenarios.runs.results import Result, make_folder, whole_file
from scenarios.runs.text import first_difference
from scenarios.sweep.grid import Cell, Grid, key_of
from scenarios.sweep.parallel import Failed

MANIFEST = "sweep.json"
FAILURE = "failure.txt"
MANIFEST_BYTES_MAX = 16 * 2**20

_CURE = "choose another place with --out"


@dataclass(frozen=True, slots=True)
class Folder:
    """A sweep's results on disk."""

    path: Path

    def place(self, cell: Cell) -> Path:
        """Where a run's results are kept."""
        return self.path / "runs" / cell.key

    def result(self, cell: Cell) -> Result | None:
        """The result of a run; None where it is still to be run.

        Raises:
            StateError: what is there is damaged, or is another run's.
        """
        place = self.place(cell)
        if not (place / results.RESULT).exists():
            return None
        try:
            result = results.load(place)
        except StateError as error:
            raise StateError(f"{error}: remove {place} and repeat the command") from error
        if not result.complete or key_of(result.spec, result.versions) != cell.key:
            raise StateError(
                f"{place / results.RESULT}: is not the result of this run; remove {place} and "
                "repeat the command"
            )
        return result

    def keep(self, cell: Cell, result: Result) -> None:
        """Write a run's results.

        Raises:
            StateError: they cannot be written.
        """
        results.save(result, self.place(cell))
        (self.place(cell) / FAILURE).unlink(missing_ok=True)

    def note(self, cell: Cell, failed: Failed) -> None:
        """Write down why a run failed. It is tried again when the command is repeated."""
        with whole_file(self.place(cell) / FAILURE) as stream:
            stream.write(f"{cell.where}, seed {cell.seed}: {failed.said}\n{failed.details}")


@contextmanager
def open_folder(path: Path, grid: Grid) -> Iterator[Folder]:
    """Take a folder for a sweep: an empty one, or the one that the same sweep left.

    A sweep may have grown by values and seeds since; what is done stays done. The folder is
    held within the block.

    Raises:
        StateError: it cannot be written, holds something else, or another process has it.
    """
    manifest = grid.manifest()
    if path.exists():
        _check_is_ours(path, manifest)
    make_folder(path)
    with held(path):
        with whole_file(path / MANIFEST) as stream:
            stream.write(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        yield Folder(path)


def read_manifest(path: Path) -> dict[str, Any]:
    """What identifies the sweep in a folder.

    Raises:
        StateError: it cannot be read, or is damaged.
    """
    file = path / MANIFEST
    try:
        with file.open("rb") as stream:
            data = stream.read(MANIFEST_BYTES_MAX + 1)
        found = json.loads(data) if len(data) <= MANIFEST_BYTES_MAX else None
    except OSError as error:
        raise StateError(f"{file}: cannot be read ({error.strerror}); {_CURE}") from error
    except (ValueError, RecursionError) as error:
        raise StateError(f"{file}: damaged, it is no JSON; {_CURE}") from error
    if not isinstance(found, dict) or not _is_manifest(found):
        raise StateError(f"{file}: damaged, it describes no sweep; {_CURE}")
    return found


def _is_manifest(found: dict[str, Any]) -> bool:
    kinds = {"scenario": dict, "lists": dict, "seeds": list, "versions": dict}
    whole = all(isinstance(found.get(name), kind) for name, kind in kinds.items())
    return whole and all(isinstance(values, list) for values in found["lists"].values())


def _check_is_ours(path: Path, manifest: dict[str, Any]) -> None:
    try:
        empty = not any(path.iterdir())
    except OSError as error:
        raise StateError(f"{path}: is no folder to write to ({error.strerror}); {_CURE}") from error
    if empty:
        return
    if not (path / MANIFEST).is_file():
        raise StateError(f"{path}: holds other files and no {MANIFEST}; {_CURE}")
    different = _difference(read_manifest(path), manifest)
    if different:
        raise StateError(f"{path}: holds another sweep ({different}); {_CURE}")


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What makes the old sweep no part of the new one; empty if nothing does."""
    for name in "scenario", "versions":
        if old[name] != new[name]:
            found = first_difference(old[name], new[name])
            return f"its {name} differs in {found}" if found else f"its {name} differs"
    if sorted(old["lists"]) != sorted(new["lists"]):
        return f"it varies {', '.join(old['lists']) or 'nothing'}"
    for key, values in old["lists"].items():
        gone = [value for value in values if value not in new["lists"][key]]
        if gone:
            return f"it has {key}={gone[0]}, too"
    gone = [seed for seed in old["seeds"] if seed not in new["seeds"]]
    return f"it has seed {gone[0]}, too" if gone else ""
