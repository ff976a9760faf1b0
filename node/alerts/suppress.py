"""Rules that hold alerts back: who said so, why, and until when.

    [[rule]]
    source = "198.18.1.40"            # address or network; any, if left out
    destination = "198.18.1.0/24"     # likewise; all that the incident touched lie in it
    family = "scan"                   # or "unknown"; any, if left out
    port = 443                        # the responder's, of all its flows
    until = 2027-01-31                # a day, a moment with a zone, or "never"
    reason = "the weekly vulnerability scan"
    who = "ana"

A rule holds back what an incident says, not the incident: it is watched, counted and listed as
ever, and looked at again each time that it has grown tenfold or led further than before, so that
one that outgrows its rule is reported. Rules that are wrong are refused as a whole, and those read
before hold on.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any

from gossip.antigens import is_family
from gossip.errors import ConfigError, LocalError
from node.alerts.incidents import UNKNOWN, Incident
from node.config import tables
from node.config.annotations import Check, Key, Range, printable
from node.logs import get_logger

RULES_MAX = 1_000
LOOK_S = 5.0
"""Pause between two looks at the file. Our choice."""

NEVER = "never"

_log = get_logger("alerts")


def check_network(text: str) -> str:
    """For a `Check`: empty, an address, or a network.

    Raises:
        ValueError: it is none.
    """
    try:
        return text and str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"{error}; write an address, or a network such as 198.18.1.0/24") from None


def check_family(text: str) -> str:
    """For a `Check`: empty, "unknown" or a family of attack.

    Raises:
        ValueError: it is none.
    """
    if text and text != UNKNOWN and not is_family(text):
        raise ValueError(f"{text[:80]!r} is no family; write scan, dos, unknown or another")
    return text


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; see above.

    Raises:
        ConfigError: it would hold back everything, or `until` is no time.
    """

    until: Any
    reason: Annotated[str, Range(1, 200), Check(printable)]
    who: Annotated[str, Range(1, 64), Check(printable)]
    source: Annotated[str, Check(check_network)] = ""
    destination: Annotated[str, Check(check_network)] = ""
    family: Annotated[str, Check(check_family)] = ""
    port: Annotated[int, Range(-1, 65_535)] = -1

    def __post_init__(self) -> None:
        """See above."""
        if not (self.source or self.destination or self.family or self.port >= 0):
            raise ConfigError(
                "matches every incident; give at least one of source, destination, family, port"
            )
        _ends(self.until)

    @property
    def name(self) -> str:
        """For people and counters."""
        return f"{self.reason} ({self.who}, until {self.until})"

    def holds(self, now_s: float) -> bool:
        """Whether it has not expired at `now_s`, seconds since 1970."""
        ends = _ends(self.until)
        return ends is None or now_s < ends

    def matches(self, incident: Incident) -> bool:
        """Whether it speaks of this incident."""
        ports = [incident.top.resp_p, *(sample.resp_p for sample in incident.samples)]
        hosts = [*incident.destinations, *incident.extent.hosts]
        return self.covers(
            incident.source, incident.family, hosts, [*ports, *incident.extent.ports]
        )

    def covers(
        self, source: str, family: str, destinations: Iterable[str], ports: Iterable[int]
    ) -> bool:
        """Whether it speaks of flows from a source, all of them to these hosts and ports."""
        return (
            (not self.family or self.family == family)
            and (self.port < 0 or set(ports) == {self.port})
            and (not self.source or _within(source, self.source))
            and (not self.destination or all(_within(d, self.destination) for d in destinations))
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The file's table."""

    rules: Annotated[tuple[Rule, ...], Key("rule"), Range(0, RULES_MAX)] = field(default=())


def load(path: Path) -> tuple[Rule, ...]:
    """The rules of a file.

    Raises:
        ConfigError: it cannot be read, or a rule is wrong; says which, in which line, and what to
            write there.
    """
    try:
        return tables.load(Rules, path).rules
    except ConfigError as error:
        found = re.search(r": rule\[(\d+)\]", str(error))
        line = _line_of(path, int(found[1])) if found else None
        if line is None:
            raise
        raise ConfigError(str(error).replace(str(path), f"{path}, line {line}", 1)) from error


def first(rules: Sequence[Rule], incident: Incident, now_s: float) -> Rule | None:
    """The first rule that holds an incident back at `now_s`, seconds since 1970."""
    return next((rule for rule in rules if rule.holds(now_s) and rule.matches(incident)), None)


class Suppression:
    """The rules of a file, as it is now.

    Args:
        path: of the file; None for no rules.

    Attributes:
        rules: those that hold; refused: why the file's present ones do not, empty if they do.

    Raises:
        ConfigError: the rules are wrong. Only here: a node must not start with other rules than
            it was given, but one that runs goes on with those it has.
    """

    def __init__(self, path: Path | None) -> None:
        self.rules: tuple[Rule, ...] = () if path is None else load(path)
        self.refused = ""
        self._path = path
        self._seen = self._stamp()
        self._looked_s: float | None = None

    def reload(self) -> None:
        """Read the file again."""
        if self._path is None:
            return
        self._seen = self._stamp()
        try:
            self.rules, self.refused = load(self._path), ""
        except LocalError as error:
            self.refused = str(error)
            _log.error("suppress rules are refused; those read before hold on", reason=str(error))
        else:
            _log.info("read suppress rules", rules=len(self.rules))

    def look(self, now_s: float) -> None:
        """Read the file again if it changed; call as often as you like.

        Args:
            now_s: any clock that does not go back.
        """
        if self._path is None or (self._looked_s is not None and now_s < self._looked_s + LOOK_S):
            return
        self._looked_s = now_s
        if self._stamp() != self._seen:
            self.reload()

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            about = (self._path or Path()).stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in _network(network)
    except ValueError:
        return False


def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _ends(until: Any) -> float | None:
    """When a rule ends, seconds since 1970; None for never. A day counts to its end, in UTC."""
    if until == NEVER:
        return None
    if isinstance(until, datetime) and until.tzinfo is not None:
        return until.timestamp()
    if isinstance(until, date) and not isinstance(until, datetime):
        try:
            return datetime.combine(until + timedelta(days=1), time(), UTC).timestamp()
        except OverflowError:
            return None
    raise ConfigError(
        f"until = {str(until)[:40]!r} is no end; write a day without quotes (until = 2027-01-31), "
        'a moment with its zone (until = 2027-01-31T18:00:00Z), or "never"'
    )


def _line_of(path: Path, number: int) -> int | None:
    """The line in which the rule of this number begins, both counted from 1."""
    heads = [
        i
        for i, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if re.match(r"\s*\[\[\s*rule\s*\]\]", line)
    ]
    return heads[number - 1] if 0 < number <= len(heads) else None
