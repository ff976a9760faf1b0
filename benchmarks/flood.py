"""What a flood does to a gateway: memory, queue, what is shed, incidents, and its neighbour.

A node that has learnt from the benign recordings follows a log to which another process appends
100,000 flows in 10 s as Suricata would: a SYN flood, each from a fresh port of one source, or each
from a forged source; or it receives as many by NetFlow. A neighbour, without a sensor, exchanges
models with it. Both are asked for their status over and over: how long the answer takes says for
how long the loop was busy.
"""

import argparse
import json
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import msgspec
from _common import Row, parser, publish
from _fed import Node
from _recorded import lines

from node.sensors.community import community_id
from node.sensors.netflow.halves import WAIT_S
from scenarios.recordings import RECORDINGS

CALM_PER_S = 50
BEAT_S = 0.05
LOOK_S = 0.02
VICTIM = "198.51.100.10"
ATTACKER = "203.0.113.66"
PATIENCE_S = 120.0
RECORDS = 30  # of a datagram
KINDS = ("one source, log", "forged, log", "forged, NetFlow")


def calm(count: int) -> Iterator[bytes]:
    """Recorded benign flows, as if the last of them began just now."""
    benign = tuple(name for name in RECORDINGS if "-benign" in name)
    events = [msgspec.json.decode(text) for text in lines(count, benign)]
    begun = datetime.now(UTC) - timedelta(seconds=len(events) / CALM_PER_S)
    for number, event in enumerate(events):
        if flow := event.get("flow"):
            lasted = datetime.fromisoformat(flow["end"]) - datetime.fromisoformat(flow["start"])
            start = begun + timedelta(seconds=number / CALM_PER_S)
            flow |= {"start": _text(start), "end": _text(start + lasted)}
            yield json.dumps(event).encode()


def syn(number: int, moment: str, *, forged: bool) -> bytes:
    """One connection attempt that nobody answered."""
    source, port = ATTACKER, 1_024 + number % 64_000
    if forged:
        source = f"203.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    name = community_id("tcp", source, port, VICTIM, 443)
    return (
        f'{{"timestamp":"{moment}","flow_id":{10**9 + number},"event_type":"flow","src_ip":'
        f'"{source}","src_port":{port},"dest_ip":"{VICTIM}","dest_port":443,"proto":"TCP","flow":'
        f'{{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":54,"bytes_toclient":0,"start":'
        f'"{moment}","end":"{moment}","age":0,"state":"new","reason":"timeout"}},"community_id":'
        f'"{name}","tcp":{{"tcp_flags_ts":"02","tcp_flags_tc":"00","syn":true}}}}\n'
    ).encode()


class Looks:
    """A node's status, over and over, from a thread.

    Attributes:
        slowest_s: the longest that an answer took.
        silent_s: the longest that nothing was heard of the only neighbour.
        lost: times that it was not connected.
    """

    def __init__(self, node: Node) -> None:
        self.slowest_s = self.silent_s = 0.0
        self.lost = self.waiting = self.looks = 0
        self.rss_mb = node.rss_mb()
        self._node, self._ended = node, Event()
        self._thread = Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            begun = monotonic()
            found = self._node.status()
            if not found:
                continue
            self.slowest_s = max(self.slowest_s, monotonic() - begun)
            self.looks += 1
            self.waiting = max(self.waiting, found["flood"]["waiting"])
            self.rss_mb = max(self.rss_mb, self._node.rss_mb())
            peers = found["mesh"]["peers"]
            self.lost += not any(peer["connected"] for peer in peers)
            heard = [peer["heard_s"] for peer in peers if peer["heard_s"] is not None]
            self.silent_s = max([self.silent_s, *heard])

    def end(self) -> "Looks":
        """Look no more."""
        self._ended.set()
        self._thread.join()
        return self


def until(node: Node, holds: Any) -> dict[str, Any]:
    """Wait until a status is so."""
    deadline = monotonic() + PATIENCE_S
    while monotonic() < deadline:
        found = node.status()
        if found and holds(found):
            return found
        time.sleep(0.1)
    raise TimeoutError(f"it never became so: {found}")


def datagram(first: int, sequence: int) -> bytes:
    """NetFlow v9 (RFC 3954) of one SYN each from 30 forged sources, its template included."""
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 4), (22, 4), (21, 4))
    up_ms = int(monotonic() * 1e3) & 0xFFFFFFFF
    template = struct.pack("!HH", 256, len(fields))
    template += b"".join(struct.pack("!HH", *field) for field in fields)
    records = b"".join(
        struct.pack(
            "!4s4sHHBBIIII",
            bytes((203, n >> 16 & 255, n >> 8 & 255, n & 255)),
            bytes(map(int, VICTIM.split("."))),
            1_024 + n % 64_000,
            443,
            6,
            2,
            1,
            40,
            up_ms,
            up_ms,
        )
        for n in range(first, first + RECORDS)
    )
    records += bytes(-len(records) % 4)
    head = struct.pack("!HHIIII", 9, RECORDS + 1, up_ms, int(time.time()), sequence, 1)
    return (
        head
        + struct.pack("!HH", 0, 4 + len(template))
        + template
        + struct.pack("!HH", 256, 4 + len(records))
        + records
    )


def export(port: int, count: int, seconds: float) -> None:
    """The same by NetFlow, to a port of loopback."""
    begun, sent = monotonic(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        while sent < count:
            due = min(count, int(count * (monotonic() - begun) / seconds))
            while sent + RECORDS <= due or due == count > sent:
                exporter.sendto(datagram(sent, sent // RECORDS), ("127.0.0.1", port))
                sent += RECORDS
            time.sleep(BEAT_S / 5)


def pour(log: Path, count: int, seconds: float, *, forged: bool) -> None:
    """Append a flood at an even rate, or as fast as can be where that is slower."""
    begun, written = monotonic(), 0
    with log.open("ab", buffering=0) as stream:
        while written < count:
            due = min(count, int(count * (monotonic() - begun) / seconds))
            moment = _text(datetime.now(UTC))
            stream.write(b"".join(syn(n, moment, forged=forged) for n in range(written, due)))
            written = due
            time.sleep(BEAT_S)


@contextmanager
def mesh(given: argparse.Namespace, folder: Path) -> Iterator[tuple[Node, Node, Path, int]]:
    """A node that has learnt, its neighbour, its log, and its port for NetFlow."""
    log, config = folder / "eve.json", folder / "gateway.toml"
    lines_before = list(calm(given.calm))
    log.write_bytes(b"\n".join(lines_before) + b"\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    config.write_text(
        f"[flood]\nflows_per_s = {given.flows_per_s}\n[[sensor]]\npath = '{log}'\n"
        f"[[sensor]]\nkind = 'netflow'\nlisten = '127.0.0.1:{port}'\n",
        encoding="utf-8",
    )
    settings = ["--cycle", given.cycle, "--budget", given.budget, "--config", str(config)]
    neighbour = Node(folder / "b", "--cycle", given.cycle)
    node = Node(folder / "a", "--bootstrap", neighbour.address, *settings)
    try:
        until(node, lambda s: s["sensors"][0]["judged"] == len(lines_before))
        until(node, lambda s: s["detector"]["state"] == "watching")
        until(neighbour, lambda s: s["mesh"]["merges"] > 5)
        time.sleep(given.seconds / 2)
        yield node, neighbour, log, port
    finally:
        node.end()
        neighbour.end()


def incidents(node: Node) -> int:
    """That were opened so far, whether the rate let their alerts through or not."""
    text = (node.folder / "state" / "alerts.jsonl").read_text(encoding="utf-8")
    found = [json.loads(line)["hedgerow"] for line in text.splitlines()]
    written = {each["incident"] for each in found if "incident" in each}
    return len(written) + int(node.status()["alerts"]["suppressed"])


def flood(given: argparse.Namespace, folder: Path, kind: str) -> list[Row]:
    """One flood."""
    with mesh(given, folder) as (node, neighbour, log, port):
        which = int(kind.endswith("NetFlow"))
        merges = [neighbour.status()["mesh"]["merges"]]
        quiet = Looks(node), Looks(neighbour)
        time.sleep(given.seconds)
        for looks in quiet:
            looks.end()
        before, opened = node.status()["sensors"][which], incidents(node)
        merges.append(neighbour.status()["mesh"]["merges"])
        rss_mb, cpu_s = node.rss_mb(), node.cpu_s()
        busy = Looks(node), Looks(neighbour)
        begun = monotonic()
        if which:
            export(port, given.flows, given.seconds)
        else:
            pour(log, given.flows, given.seconds, forged=kind.startswith("forged"))
        took_s = monotonic() - begun
        merges.append(neighbour.status()["mesh"]["merges"])
        if which:
            time.sleep(WAIT_S + 6.0)  # until no record waits for its other half any more
        total = 0 if which else before["flows"] + given.flows

        def done(status: dict[str, Any]) -> bool:
            sensor = status["sensors"][which]
            return bool(max(total, sensor["flows"]) == sensor["judged"] + sensor["shed"])

        sensor = until(node, done)["sensors"][which]
        done_s = monotonic() - begun
        for looks in busy:
            looks.end()
        cpu_s = node.cpu_s() - cpu_s
        after = until(node, lambda s: not s["flood"]["now"])
        model = after["detector"]["model"]
        until(node, lambda s: s["detector"]["model"] != model)  # it trains again
        said = (folder / "a" / "log").read_text(encoding="utf-8")
        return [
            {
                "flood": kind,
                "sent in, s": took_s,
                "done after, s": done_s,
                **{key: sensor[key] - before[key] for key in ("flows", "judged", "shed")},
                "refused": sensor["bad_lines"] + sensor["refused"],
                "lost on the way": sensor["dropped"] + sensor["lost"],
                "waiting at most": busy[0].waiting,
                "CPU, s": cpu_s,
            },
            {
                "flood": kind,
                "RSS before, MB": rss_mb,
                "most, MB": busy[0].rss_mb,
                "after, MB": node.rss_mb(),
                "incidents": incidents(node) - opened,
                "trainings left out": after["flood"]["pauses"],
                "said": "training pauses" in said and "training goes on" in said,
            },
            {
                "flood": kind,
                "neighbour's merges, quiet": merges[1] - merges[0],
                "in the flood": merges[2] - merges[1],
                "silent at most, quiet, s": quiet[1].silent_s,
                "in the flood, s": busy[1].silent_s,
                "disconnected": busy[1].lost,
                "slowest answer, quiet, ms": quiet[0].slowest_s * 1e3,
                "in the flood, ms": busy[0].slowest_s * 1e3,
            },
        ]


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def main() -> None:
    """Run it."""
    made = parser(__doc__)
    made.add_argument("--flows", type=int, default=100_000, help="of a flood (default 100000)")
    made.add_argument("--seconds", type=float, default=10.0, help="that it lasts (default 10)")
    made.add_argument("--flows-per-s", type=int, default=1_000, help="flood.flows_per_s")
    made.add_argument("--calm", type=int, default=4_000, help="lines before (default 4000)")
    made.add_argument("--cycle", default="1s", help="of both nodes (default 1s)")
    made.add_argument("--budget", default="1%", help="of false alarms (default 1%%)")
    made.add_argument("--kind", action="append", choices=KINDS, help="may be repeated")
    given = made.parse_args()
    rows: list[Row] = []
    for kind in given.kind or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            rows += flood(given, Path(folder), kind)
    publish("flood", given, [*rows[::3], *rows[1::3], *rows[2::3]])


if __name__ == "__main__":
    main()
