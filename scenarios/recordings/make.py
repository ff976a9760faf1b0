"""Cuts the full recordings of Suricata and softflowd down to what Hedgerow reads from them.

    python -m scenarios.recordings.make FOLDER_WITH_FULL_RECORDINGS scenarios/recordings

The flows and their labels stay the same (Suricata's flow numbers become 1, 2, 3, …); its six files
shrink from 5.1 to 1.1 MB, softflowd's two from 137 to 97 kB.
"""

import json
import lzma
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node.sensors.ipfix import FIELDS
from scenarios.recordings import BIFLOWS, RECORDINGS

ADDRESSES = (
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "proto",
    "icmp_type",
    "icmp_code",
    "vlan",
)
COUNTS = ("pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient")
FLOW = (*COUNTS, "start", "end", "state")
TCP = ("tcp_flags_ts", "tcp_flags_tc")
ALERT = ("signature_id", "signature", "category", "severity")


def cut(event: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The fields of one event that `node.sensors.eve` reads, under a new flow number."""
    small = {"timestamp": event["timestamp"], "flow_id": number, "event_type": event["event_type"]}
    if event["event_type"] == "alert":
        return small | {"alert": _only(ALERT, event["alert"])}
    small |= _only(ADDRESSES, event) | {"flow": _only(FLOW, event["flow"])}
    return small | {"tcp": _only(TCP, event["tcp"])} if "tcp" in event else small


def _only(names: tuple[str, ...], event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in names if name in event}


def convert(source: Path, target: Path) -> None:
    """Write one cut recording."""
    numbers: dict[int, int] = {}
    with (
        lzma.open(source, "rt") as full,
        lzma.open(target, "wt", preset=9 | lzma.PRESET_EXTREME) as small,
    ):
        for line in full:
            event = json.loads(line)
            if "event_type" in event:
                number = numbers.setdefault(event["flow_id"], len(numbers) + 1)
                event = cut(event, number)
            else:
                event = _only(FIELDS, event)
            small.write(json.dumps(event, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    for name in RECORDINGS + BIFLOWS:
        convert(Path(sys.argv[1]) / name, Path(sys.argv[2]) / name)
