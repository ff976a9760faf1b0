"""Synthetic traffic of one small gateway, as Suricata would log it."""

import json
from pathlib import Path

import numpy as np

from gossip.flows import Flow
from node.sensors.eve import EveParser
from node.times import eve_time

START_S = 1_750_000_000.0
STEP_S = 0.5
ATTACKER = "198.18.9.9"
BROKER = "198.19.0.10"
SCAN_ALERT = {
    "signature_id": 1,
    "signature": "x",
    "category": "Detection of a Network Scan",
    "severity": 2,
}


def _line(number: int, start_s: float, counts: dict, flags: tuple[str, str], **ends) -> bytes:
    end_s = start_s + counts.pop("seconds")
    whole = {
        "timestamp": eve_time(end_s + 60),
        "flow_id": number + 1,
        "event_type": "flow",
        "proto": "TCP",
        **ends,
        "flow": counts | {"start": eve_time(start_s), "end": eve_time(end_s), "state": "closed"},
        "tcp": {"tcp_flags_ts": flags[0], "tcp_flags_tc": flags[1]},
    }
    return json.dumps(whole).encode()


def benign(count: int, first: int = 0, start_s: float = START_S) -> list[bytes]:
    """Sensors that report to their broker, a little differently each time."""
    found = []
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        device, packets = int(rng.integers(8)), int(rng.integers(6, 10))
        counts = {
            "pkts_toserver": packets,
            "pkts_toclient": packets - 2,
            "bytes_toserver": packets * int(rng.integers(70, 90)),
            "bytes_toclient": packets * int(rng.integers(60, 80)),
            "seconds": float(rng.uniform(0.05, 2.0)),
        }
        ends = {"src_ip": f"198.18.3.{10 + device}", "src_port": 40_000 + number % 20_000}
        ends |= {"dest_ip": BROKER, "dest_port": 8883 if device else 443}
        found.append(_line(number, start_s + number * STEP_S, counts, ("1b", "1b"), **ends))
    return found


def scan(
    count: int, first: int, start_s: float = START_S, *, labelled: bool = False
) -> list[bytes]:
    """A port scan; with labels, an alert of Suricata's before each flow."""
    found = []
    for i in range(count):
        number, ts_s = first + i, start_s + first * STEP_S + i * 0.01
        counts = {"pkts_toserver": 1, "pkts_toclient": 0, "bytes_toserver": 54}
        counts |= {"bytes_toclient": 0, "seconds": 0.0}
        ends = {"src_ip": ATTACKER, "src_port": 50_000 + i % 10_000}
        ends |= {"dest_ip": BROKER, "dest_port": 1 + i % 60_000}
        if labelled:
            alert = {"timestamp": eve_time(ts_s), "flow_id": number + 1, "event_type": "alert"}
            found.append(json.dumps(alert | {"alert": SCAN_ALERT}).encode())
        found.append(_line(number, ts_s, counts, ("02", "00"), **ends))
    return found


def parsed(lines: list[bytes]) -> list[Flow]:
    parser = EveParser()
    found = [flow for line in lines if (flow := parser.parse(line)) is not None]
    assert not parser.stats.bad, parser.stats.samples
    return found


def write(path: Path, lines: list[bytes]) -> Path:
    """Append lines to a log, in one write, as a sensor does."""
    with path.open("ab") as stream:
        stream.write(b"".join(line + b"\n" for line in lines))
    return path
