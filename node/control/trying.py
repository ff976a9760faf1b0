"""Which suppress rules speak of which incidents: `hedgerow suppress test`.

Incidents are those that a node remembers, or those that lines of alerts tell of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gossip.errors import ConfigError
from node.alerts.suppress import Rule
from node.control.documents import IncidentDocument

LINES_MAX = 100_000
LINE_BYTES_MAX = 2**20


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules are held against.

    Args:
        incident: its key.
        source: of its flows; destinations and ports: of all that are remembered.
        family: that it looks like.
    """

    incident: str
    source: str
    family: str
    destinations: tuple[str, ...]
    ports: tuple[int, ...]

    @classmethod
    def of(cls, document: IncidentDocument) -> "Subject":
        """Of one that a node tells of."""
        ports = (*(each.destination_port for each in document.samples), *document.extent_ports)
        hosts = (*document.destinations, *document.extent_hosts)
        return cls(document.key, document.source, document.family, hosts, ports)


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of an incident.

    Args:
        subject: it.
        matching: numbers of the rules that speak of it, from 1, expired ones too.
        rule: number of the one that would hold its alerts back; 0 for none.
    """

    subject: Subject
    matching: tuple[int, ...]
    rule: int


def tried(rules: Sequence[Rule], subjects: Iterable[Subject], now_s: float) -> list[Trial]:
    """Hold each against all rules, at `now_s` seconds since 1970."""
    found = []
    for each in subjects:
        matching = tuple(
            number
            for number, rule in enumerate(rules, 1)
            if rule.covers(each.source, each.family, each.destinations, each.ports)
        )
        holding = (number for number in matching if rules[number - 1].holds(now_s))
        found.append(Trial(each, matching, next(holding, 0)))
    return found


def read(path: Path) -> list[Subject]:
    """Incidents of a file of alerts as EVE or ECS lines; the last line of each incident counts.

    Raises:
        ConfigError: it cannot be read, or holds no line of a Hedgerow's.
    """
    found: dict[str, Subject] = {}
    try:
        with path.open("rb") as stream:
            for _ in range(LINES_MAX):
                line = stream.readline(LINE_BYTES_MAX)
                if not line:
                    break
                subject = _of_line(line)
                if subject is not None:
                    found[subject.incident] = subject
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name a file of alerts, or the key of an "
            "incident"
        ) from error
    if not found:
        raise ConfigError(f"{path}: holds no alert of Hedgerow's as EVE or ECS; is it the file?")
    return list(found.values())


def _of_line(line: bytes) -> Subject | None:
    try:
        whole: Any = msgspec.json.decode(line)
        about, samples = whole["hedgerow"], whole["hedgerow"]["samples"]
        source = whole["src_ip"] if "src_ip" in whole else whole["source"]["address"]
        return Subject(
            str(about["incident"]),
            str(source),
            str(about["family"]),
            tuple(dict.fromkeys(str(sample["dest_ip"]) for sample in samples)),
            tuple(int(sample.get("dest_port", sample.get("icmp_code", 0))) for sample in samples),
        )
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None  # of another program, of a summary, or cut
