"""Lays a network of the Lab's own and tries it; run by `test_network.py` in a process of its own.

Prints one JSON object of what could be reached in which situation.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable

from scenarios.lab.network import Network

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
PATIENCE_S = 1.0  # for what never answers; what does is there within a millisecond


def within(network: Network, peer: int, work: Callable[[], object]) -> object:
    """What `work` gives in a peer's namespace, done by a child that ends there."""
    reading, writing = os.pipe()
    if not os.fork():
        network.enter(peer)
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(work()))
            out.flush()
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found = json.load(answer)
    os.wait()
    return found


def reaches(host: str) -> Callable[[], object]:
    """Nobody listens: a machine that is there refuses, one that is not says nothing."""

    def work() -> bool:
        with socket.socket() as end:
            end.settimeout(PATIENCE_S)
            try:
                end.connect((host, 4001))
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return True

    return work


def told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> None:
    found: dict[str, object] = {}
    network = Network(HOSTS)
    found["before it is plugged"] = within(network, 0, reaches(HOSTS[1]))
    for peer in range(3):
        network.plug(peer)
    found["together"] = [within(network, 0, reaches(host)) for host in HOSTS[1:]]
    network.split([0, 1, 0])
    found["split"] = [within(network, 0, reaches(host)) for host in HOSTS[1:]]
    network.split([0, 0, 0])
    found["healed"] = [within(network, 0, reaches(host)) for host in HOSTS[1:]]
    network.pull(2)
    found["pulled"] = [within(network, 0, reaches(host)) for host in HOSTS[1:]]
    lines = [
        "qdisc add dev eth0 root handle 1: htb default 0",
        "class add dev eth0 parent 1: classid 1:1 htb rate 256000bit burst 3200",
        "qdisc add dev eth0 parent 1:1 bfifo limit 65536",
        "filter add dev eth0 parent 1: prio 1 protocol ip u32 match ip dst 10.0.0.2/32 flowid 1:1",
    ]
    network.shape(0, lines)
    found["limited"] = within(network, 0, lambda: told("tc", "class", "show", "dev", "eth0"))
    found["still there"] = within(network, 0, reaches(HOSTS[1]))
    network.shape(0, [])
    found["unlimited"] = within(network, 0, lambda: told("tc", "class", "show", "dev", "eth0"))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
