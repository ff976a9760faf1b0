"""A network of the Lab's own: one namespace a peer, cables, and switches that know no others.

    hub namespace:   bridge s0      bridge s1 (only while a partition holds)
                     │  │  │        │
                     p0 p1 p2       p3        ends of cables
    of each peer:    eth0           eth0      10.x.y.z, as in the World

Namespaces have no names and are held by open files of the nursery alone, so they end with it,
however it ends: there is nothing to clean up, and nothing of this machine's own network is touched.
A partition plugs cables into different switches; a peer that is down has its cable pulled.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

from gossip.errors import LocalError
from scenarios.lab import kernel

_TC_PROBE = """\
qdisc add dev lo root handle 1: htb
class add dev lo parent 1: classid 1:1 htb rate 1mbit
filter add dev lo parent 1: protocol ip u32 match ip dst 10.0.0.1/32 flowid 1:1
"""
_PROBE = "link add s0 type bridge\nlink add p0 type veth peer name p1\n"


def trouble(*, limits: bool) -> str:
    """Why there can be no network of our own on this machine; empty if there can.

    Args:
        limits: whether bandwidth is to be limited, too.
    """
    tools = ("unshare", "ip", "tc") if limits else ("unshare", "ip")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not found; install iproute2 and util-linux"
    own_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    tried = _run(["unshare", *own_root, "--net", "ip", "-batch", "-"], _PROBE)
    if not tried and limits:
        tried = _run(["unshare", *own_root, "--net", "tc", "-batch", "-"], _TC_PROBE)
    return f"this machine refuses ({tried}); try it as root" if tried else ""


class Network:
    """Cables, switches and namespaces. Made and used by one process with one thread.

    Args:
        hosts: IPv4 address of each peer; all in 10.0.0.0/8.

    Raises:
        LocalError: this machine refused.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        try:
            if os.geteuid() != 0:
                kernel.become_root_of_own()
            self._hub = kernel.new_network()
            self._own = []
            for _ in hosts:
                self._own.append(kernel.new_network())
            kernel.enter_network(self._hub)
        except OSError as error:
            raise LocalError(f"no network of our own: {error}; see docs/lab.md") from error
        self._switches = 0
        self._switch = [0] * len(hosts)
        self._plugged = [False] * len(hosts)
        self._shaped = [False] * len(hosts)
        lines = [
            f"link add p{peer} type veth peer name eth0 address {_mac(peer)} "
            f"netns /proc/self/fd/{own}"
            for peer, own in enumerate(self._own)
        ]
        lines += [f"link set p{peer} up" for peer in range(len(hosts))]
        self._ip(lines, self._own)
        # Known from the start: a question (ARP) to one who is not there yet would be asked again
        # only seconds after it has come.
        known = [
            f"neigh add {host} lladdr {_mac(peer)} dev eth0 nud permanent"
            for peer, host in enumerate(hosts)
        ]
        for peer, (host, own) in enumerate(zip(hosts, self._own, strict=True)):
            kernel.enter_network(own)
            # Segments as they cross a real link, so that a limit's queue counts real packets.
            up = [
                "link set lo up",
                "link set eth0 up gso_max_segs 1",
                f"addr add {host}/8 dev eth0",
            ]
            self._ip([*up, *known[:peer], *known[peer + 1 :]])
        kernel.enter_network(self._hub)
        self.split([0] * len(hosts))

    def enter(self, peer: int) -> None:
        """Put the calling process into a peer's namespace."""
        kernel.enter_network(self._own[peer])

    def plug(self, peer: int) -> None:
        """Plug a peer's cable in."""
        self._plugged[peer] = True
        # Not "up": the kernel may take a second to notice that a link has come up.
        self._ip([f"link set p{peer} master s{self._switch[peer]}"])

    def pull(self, peer: int) -> None:
        """Pull it: what was on its way is lost, and nobody is told."""
        self._plugged[peer] = False
        self._ip([f"link set p{peer} nomaster"])

    def split(self, switches: Sequence[int]) -> None:
        """Plug every peer's cable into the switch of its number; a pulled one will be, later."""
        lines = []
        for number in range(self._switches, max(switches) + 1):
            lines.append(f"link add s{number} type bridge mcast_snooping 0")
            lines.append(f"link set s{number} up")
        self._switches = max(self._switches, max(switches) + 1)
        for peer, switch in enumerate(switches):
            if self._plugged[peer] and self._switch[peer] != switch:
                lines.append(f"link set p{peer} master s{switch}")
        self._switch = list(switches)
        if lines:
            self._ip(lines)

    def shape(self, peer: int, lines: Sequence[str]) -> None:
        """Replace the limits on what a peer may send."""
        old = ["qdisc del dev eth0 root"] if self._shaped[peer] else []
        self._shaped[peer] = bool(lines)
        kernel.enter_network(self._own[peer])
        try:
            _insist(["tc", "-batch", "-"], [*old, *lines])
        finally:
            kernel.enter_network(self._hub)

    @staticmethod
    def _ip(lines: Sequence[str], descriptors: Sequence[int] = ()) -> None:
        _insist(["ip", "-batch", "-"], lines, descriptors)


def _mac(peer: int) -> str:
    """Locally administered, and the same for each of a peer's lives."""
    return "02:00:" + ":".join(f"{peer >> shift & 255:02x}" for shift in (24, 16, 8, 0))


def _insist(command: list[str], lines: Sequence[str], descriptors: Sequence[int] = ()) -> None:
    refused = _run(command, "\n".join(lines) + "\n", descriptors)
    if refused:
        raise LocalError(f"{command[0]} refused: {refused}; see docs/lab.md")


def _run(command: list[str], lines: str, descriptors: Sequence[int] = ()) -> str:
    """Run a tool with these lines; gives the first line of its complaint, or nothing."""
    done = subprocess.run(  # noqa: S603 - our own words, nothing of a user's
        command, input=lines, capture_output=True, text=True, check=False, pass_fds=descriptors
    )
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
