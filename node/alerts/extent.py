"""Where all flows of an incident lead, in little room whatever comes.

An incident lists 64 destinations and five flows. Who attacks what a suppress rule names first, and
others then, must not stay behind the rule: a network holds all destinations if it holds the lowest
and the highest of each IP version, and a rule's port is that of all flows if it is the lowest and
the highest.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address

HOSTS_CACHED = 4_096


@dataclass(slots=True)
class Extent:
    """See above.

    Args:
        hosts: the lowest and the highest address of each IP version, and the first name that is
            no address; at most five.
        ports: the responders' lowest and highest.
    """

    hosts: list[str] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)

    def take(self, host: str, port: int) -> bool:
        """Reach to this responder too; whether that was further than before."""
        further = False
        if host not in self.hosts:
            kind = _place(host)[0]
            alike = [each for each in self.hosts if _place(each)[0] == kind]
            ends = _ends([*alike, host])
            if ends != alike:
                self.hosts = [each for each in self.hosts if each not in alike] + ends
                further = True
        if not self.ports or not self.ports[0] <= port <= self.ports[-1]:
            self.ports = [min([port, *self.ports]), max([port, *self.ports])]
            further = True
        return further


def _ends(hosts: list[str]) -> list[str]:
    if _place(hosts[0])[0] == 0:
        return hosts[:1]
    low, high = min(hosts, key=_place), max(hosts, key=_place)
    return [low] if low == high else [low, high]


@lru_cache(HOSTS_CACHED)
def _place(host: str) -> tuple[int, int]:
    """IP version and number; version 0 for what is no address."""
    try:
        found = ip_address(host)
    except ValueError:
        return 0, 0
    return found.version, int(found)
