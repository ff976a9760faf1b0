"""The bundled recordings, and what really happened in them. See README.md beside this file."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from gossip.errors import ConfigError
from gossip.flows import Flow

SITES = ("hospital", "factory", "building")

RECORDINGS = tuple(f"{site}{kind}.eve.json.xz" for kind in ("", "-benign") for site in SITES)
"""Each site's recording with attacks, then each site's twenty minutes without."""

BIFLOWS = tuple(f"factory{kind}.ipfix.jsonl.xz" for kind in ("", "-benign"))
"""The factory's two again, as softflowd told of the same packets."""

BENIGN = "benign"

FAMILY_OF = {
    BENIGN: "benign",
    "hostdisc": "scan",
    "scan_syn": "scan",
    "scan_connect": "scan",
    "scan_udp": "scan",
    "scan_mirai": "scan",
    "brute_telnet": "brute-force",
    "brute_ssh": "brute-force",
    "brute_http": "brute-force",
    "flood_syn": "dos",
    "flood_udp": "dos",
    "flood_ack": "dos",
    "slow_http": "dos",
    "exfil": "exfiltration",
}
"""The family (`gossip.flows.FAMILIES`) of each attack that was run."""

_BEFORE_S = 0.5
_AFTER_S = 2.0
_AFTER_SLOW_S = 35.0  # slowhttptest's last connections outlive it


@dataclass(frozen=True, slots=True)
class AttackWindow:
    """One run of an attack tool.

    Args:
        start: s since 1970; end likewise.
        site: one of `SITES`.
        attacker: address; victim an address or a network.
        label: a key of `FAMILY_OF`.
        command: what was run.
    """

    start: float
    end: float
    site: str
    attacker: str
    victim: str
    label: str
    command: str

    def covers(self, flow: Flow) -> bool:
        """Whether the flow is part of this attack."""
        after = _AFTER_SLOW_S if self.label == "slow_http" else _AFTER_S
        return self.attacker in (flow.orig_h, flow.resp_h) and (
            self.start - _BEFORE_S <= flow.ts <= self.end + after
        )


def path(name: str) -> Path:
    """Where a recording lies, by its name in `RECORDINGS` or `BIFLOWS`.

    Raises:
        ConfigError: there is no such recording.
    """
    if name not in RECORDINGS + BIFLOWS:
        known = ", ".join(RECORDINGS + BIFLOWS)
        raise ConfigError(f"no recording {name!r} is bundled; there are {known}")
    return _file(name)


@cache
def attack_windows() -> tuple[AttackWindow, ...]:
    """All attacks that were run, in the order of time."""
    site_of = dict(zip("abc", SITES, strict=True))
    with _file("attacks.csv").open(newline="") as rows:
        return tuple(
            AttackWindow(
                start=float(row["start"]),
                end=float(row["end"]),
                site=site_of[row["site"]],
                attacker=row["attacker"],
                victim=row["victim"],
                label=row["label"],
                command=row["command"],
            )
            for row in csv.DictReader(rows)
        )


def truth(flow: Flow, site: str, windows: Sequence[AttackWindow]) -> str | None:
    """What a recorded flow really was: a key of `FAMILY_OF`.

    None means: leave it out. It is an attacker's flow outside every window, neither part of an
    attack nor of the site's own traffic. Addresses serve this judgement only.

    Args:
        flow: from a recording of `site`.
        site: one of `SITES`.
        windows: from `attack_windows`.
    """
    attackers = False
    for window in windows:
        if window.site == site:
            if window.covers(flow):
                return window.label
            attackers = attackers or window.attacker in (flow.orig_h, flow.resp_h)
    return None if attackers else BENIGN


def _file(name: str) -> Path:
    # The application is always installed as plain files, never run from inside an archive.
    return Path(str(resources.files(__name__) / name))
