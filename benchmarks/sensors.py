"""The same packets through Suricata, softflowd and our own meter: do a detector's numbers agree?

Needs the full recordings (a folder with `*.headers.pcap.xz`). Where softflowd is installed, it
exports their packets to the collector's reader over UDP; else its log of the factory's must do,
which is bundled. First, how many flows pair by
Community ID and start, and how many of these have equal feature vectors. Then the false-alarm rate
of a detector that was calibrated on one sensor's benign flows and meets another's of the same
traffic: in the order of the flows' ends, as live sensors report them with the time-outs of
docs/sensors.md, and with others. The recordings' own order is that of an offline run and of no use
here. Last, what the meter gets through on one core, and what a full table takes.
"""

import socket
import tracemalloc
from argparse import Namespace
from functools import partial
from itertools import combinations
from pathlib import Path
from shutil import which
from struct import pack
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory

from _common import Figure, Row, parser, publish, timed
from _sensed import UNEQUAL, agreement, as_reported, by_end, carried

from gossip.flows import Flow
from node.sensors.meter import Meter, MeterConfig, packets, read_pcap
from node.sensors.meter.meter import FLOWS_MAX
from node.sensors.netflow.reader import NetflowReader
from node.sensors.reading import open_log, read
from scenarios.recordings import BIFLOWS, SITES, path

ORDERS = {
    "by end": by_end,
    "as reported": as_reported,
    "other time-outs": partial(as_reported, timeouts=UNEQUAL),
}


def logs(folder: Path, site: str) -> dict[str, list[Flow]]:
    found = {"suricata": list(read(path(f"{site}.eve.json.xz")))}
    recorded = folder / f"{site}.headers.pcap.xz"
    if softflowd := which("softflowd", path="/usr/sbin:/usr/bin"):
        found["ipfix"] = exported(softflowd, recorded)
    elif f"{site}.ipfix.jsonl.xz" in BIFLOWS:
        found["ipfix"] = list(read(path(f"{site}.ipfix.jsonl.xz")))
    return found | {"meter": list(read_pcap(recorded))}


def exported(softflowd: str, recorded: Path) -> list[Flow]:
    """What softflowd tells of a recording. It reads faster than its clock goes: none times out."""
    with (
        TemporaryDirectory() as folder,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving,
    ):
        plain = Path(folder) / "plain.pcap"
        with open_log(recorded) as packed:
            plain.write_bytes(packed.read())
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        receiving.bind(("127.0.0.1", 0))
        receiving.settimeout(2.0)
        port = receiving.getsockname()[1]
        options = ("-d", "-v", "10", "-b", "-A", "milli", "-n", f"127.0.0.1:{port}")
        command = [softflowd, "-r", str(plain), *options]
        with Popen(command, stdout=DEVNULL, stderr=DEVNULL) as run:  # noqa: S603 - Debian's own
            datagrams = []
            while True:
                try:
                    datagrams.append(receiving.recv(65_535))
                except TimeoutError:
                    if run.poll() is not None:
                        break
    reader = NetflowReader()
    flows = [flow for data in datagrams for flow in reader.datagram(data, "127.0.0.1", 0.0)]
    flows += reader.expire(1e9)  # what waits for its other half
    if reader.stats.lost:
        raise SystemExit(f"{reader.stats.lost} of softflowd's exports were lost; run it again")
    return flows


def compared(site: str, seen: dict[str, list[Flow]]) -> list[Row]:
    rows = []
    for here, there in combinations(seen, 2):
        count, own, paired, whole = agreement(seen[here], seen[there])
        rows.append(
            {
                "site": site,
                "sensors": f"{here}, {there}",
                "flows": f"{len(seen[here])}, {len(seen[there])}",
                "paired": count,
                "20 of its own equal": f"{own:.2%}",
                "all 26, context of pairs": f"{paired:.2%}",
                "all 26, whole logs": f"{whole:.2%}",
            }
        )
    return rows


def transferred(site: str, seen: dict[str, list[Flow]], given: Namespace) -> list[Row]:
    rows = []
    for order, arrange in ORDERS.items():
        arranged = {name: arrange(flows) for name, flows in seen.items()}
        rates = carried(arranged, site, given.budget, given.repeats)
        for (here, there), found in rates.items():
            apart = [b - a for a, b in zip(rates[here, here], found, strict=True)]
            rows.append(
                {
                    "site": site,
                    "order": order,
                    "calibrated on": here,
                    "tested on": there,
                    "false alarms, %": Figure.of([rate * 100 for rate in found]),
                    "mean change, points": f"{sum(apart) / len(apart) * 100:+.2f}",
                }
            )
    return rows


def speed(folder: Path, given: Namespace) -> Row:
    recorded = list(packets(folder / "factory.headers.pcap.xz"))

    def meter() -> None:
        fresh = Meter()
        for packet in recorded:
            fresh.packet(*packet)
        fresh.finish()

    packets_s = timed(meter, given.repeats, 0.1).per(len(recorded))
    tracemalloc.start()
    full = Meter(MeterConfig())
    for number in range(FLOWS_MAX):
        head = pack("!BxHHxxBBxx4sI", 0x45, 40, 0, 64, 6, b"\x0a\0\0\1", 0x0B000000 + number)
        full.packet(1, bytes(12) + b"\x08\0" + head + pack("!HHIIBB", 1, 2, 0, 0, 80, 2))
    return {
        "packets/s": packets_s,
        "flows in a full table": len(full),
        "its memory, MB": Figure.of([tracemalloc.get_traced_memory()[0] / 1e6]),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="of the full recordings")
    options.add_argument("--budget", type=float, default=0.02, help="of false alarms (0.02)")
    given = options.parse_args()
    found: list[Row] = []
    carried_rows: list[Row] = []
    memory = speed(given.folder, given)
    for site in SITES:
        seen = logs(given.folder, site)
        found += compared(site, seen)
        carried_rows += transferred(site, seen, given)
    publish("sensors", given, [*found, *carried_rows, memory])


if __name__ == "__main__":
    main()
