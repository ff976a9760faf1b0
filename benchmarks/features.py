"""From a sensor's line to a verdict, on the bundled recordings: what one core gets through.

Parsing takes lines of Suricata's `eve.json`, of Zeek's JSON `conn.log` (the same flows, written
anew) and of softflowd's IPFIX, the features take flows, and scoring takes rows: 256 at a time, as a
sensor's log is read, and one alone, as a quiet network gives them. The last row is everything
together.
"""

import json
from collections.abc import Sequence

import numpy as np
from _common import Row, Work, parser, publish, timed
from _recorded import flows, lines

from gossip.features import extract
from gossip.flows import FAMILIES, Flow
from gossip.learning.calibration import BUDGET
from gossip.learning.codes import codes
from gossip.learning.scoring import scores
from node.detection import SHAPE, new_watch
from node.sensors.reading import Kind, parser_for
from scenarios.recordings import BIFLOWS

BATCH = 256


def zeek(flow: Flow) -> bytes:
    """The flow as a line of Zeek's `conn.log`."""
    return json.dumps(
        {
            "ts": flow.ts,
            "uid": f"C{flow.uid}",
            "id.orig_h": flow.orig_h,
            "id.orig_p": flow.orig_p,
            "id.resp_h": flow.resp_h,
            "id.resp_p": flow.resp_p,
            "proto": flow.proto,
            "duration": flow.duration,
            "conn_state": "SF",
            "orig_pkts": flow.orig_pkts,
            "resp_pkts": flow.resp_pkts,
            "orig_ip_bytes": flow.orig_ip_bytes,
            "resp_ip_bytes": flow.resp_ip_bytes,
        }
    ).encode()


def parsing(kind: Kind, text: Sequence[bytes]) -> Work:
    def parse() -> None:
        fresh = parser_for(kind)
        for line in text:
            fresh.parse(line)
        if fresh.stats.bad:
            raise ValueError(f"{fresh.stats.bad} lines were bad: {fresh.stats.samples[0].reason}")

    return parse


def measured(count: int, repeats: int, seconds: float) -> list[Row]:
    eve = lines(count)
    found = flows(count)
    biflows = lines(count, BIFLOWS)
    conn = [zeek(flow) for flow in found]
    rows = extract(found)
    scaled = (rows - rows.mean(0)) / (rows.std(0) + np.float32(1e-3))
    vector, coded = SHAPE.initial(b"benchmark"), codes(FAMILIES)
    watch = new_watch(BUDGET, b"benchmark", "me")
    watch.observe(found[: 10 * BATCH])
    watch.serve(vector, 1)

    def score() -> None:
        for start in range(0, len(scaled), BATCH):
            scores(SHAPE, vector, scaled[start : start + BATCH], coded)

    def score_singly() -> None:
        for row in range(min(len(scaled), BATCH)):
            scores(SHAPE, vector, scaled[row : row + 1], coded)

    def all_together() -> None:
        fresh = parser_for(Kind.SURICATA)
        for start in range(0, len(eve), BATCH):
            batch = [fresh.parse(line) for line in eve[start : start + BATCH]]
            watch.observe([flow for flow in batch if flow is not None])

    works: list[tuple[str, int, Work]] = [
        ("eve.json lines parsed", len(eve), parsing(Kind.SURICATA, eve)),
        ("conn.log lines parsed", len(conn), parsing(Kind.ZEEK, conn)),
        ("IPFIX lines parsed", len(biflows), parsing(Kind.IPFIX, biflows)),
        ("feature rows", len(found), lambda: extract(found)),
        (f"rows scored, {BATCH} at a time", len(scaled), score),
        ("rows scored, one at a time", min(len(scaled), BATCH), score_singly),
        ("eve.json lines watched", len(eve), all_together),
    ]
    return [
        {"what": what, "in a second": timed(work, repeats, seconds).per(things)}
        for what, things, work in works
    ]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--lines", type=int, default=10_000, help="of the recordings (10000)")
    options.add_argument("--seconds", type=float, default=1.0, help="for each repeat (default 1)")
    given = options.parse_args()
    publish("features", given, measured(given.lines, given.repeats, given.seconds))


if __name__ == "__main__":
    main()
