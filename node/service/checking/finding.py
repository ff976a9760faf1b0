"""What `hedgerow check` has to say: a line for each thing that it looked at."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Args:
        what: the setting or thing.
        level: "error" where a node would not start or not do its work; "warning" where it may.
        found: how it is.
        cure: what to do about it; empty where all is well.
    """

    what: str
    level: Level
    found: str
    cure: str = ""


def ok(what: str, found: str) -> Finding:
    """All is well."""
    return Finding(what, "ok", found)


def warning(what: str, found: str, cure: str) -> Finding:
    """It may be meant."""
    return Finding(what, "warning", found, cure)


def error(what: str, found: str, cure: str) -> Finding:
    """It cannot work."""
    return Finding(what, "error", found, cure)


def said(what: str, fault: Exception) -> Finding:
    """An error by its own text, whose cure stands in it, as LocalErrors' does."""
    return Finding(what, "error", str(fault))
