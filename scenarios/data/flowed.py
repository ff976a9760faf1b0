"""Logs of network flows as one table, with the features that a gateway computes.

Each log is a stream of its own: it gets a `FeatureExtractor` of its own, because what counts as
context is what one sensor saw. Addresses, ports and times serve the extractor's counting, the
truth's judgement and the order of time; none becomes a column.

Flows that the log's end cut short are left out of the table. Offline, a sensor writes whatever it
still remembers when the input ends, and so does a live one at its shutdown: such a row describes
half a connection. What can be recognised from the flow is a TCP connection that neither side had
ended (`ConnState.OPEN`) and whose last packet lies within `CUT_S` of the last packet of its log;
an exchange without connections cannot be told from one that was over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gossip.features import SCHEMA, FeatureExtractor, schema_fingerprint
from gossip.flows import FAMILIES, ConnState, Flow
from scenarios.data.shards import Floats
from scenarios.data.table import Table

CUT_S = 60.0
"""An open connection that was silent for longer before the log's end has merely been given up: 60 s
is MQTT's usual keep-alive (the default of Eclipse Paho and of Mosquitto's clients). In the bundled
recordings no row falls under it: their open connections are an ACK flood, four minutes before the
end (measured)."""

CHUNK_ROWS = 8_192  # rows gathered before they are packed into one array: bounds Python objects


@dataclass(frozen=True, slots=True)
class FlowLog:
    """One sensor's log, with what its flows really were.

    Args:
        owner: the device or site that it was written at; several logs may have the same.
        flows: in the log's order, each with its family (index into the table's families), or None
            where it is to be left out: nobody knows what it was.
    """

    owner: str
    flows: Iterable[tuple[Flow, int | None]]


def flows_table(
    logs: Iterable[FlowLog], families: Sequence[str] = FAMILIES, *, keep_cut: bool = False
) -> Table:
    """The table of these logs.

    Args:
        logs: read one after the other; rows keep their order.
        families: names of the families, benign first.
        keep_cut: also keep flows that the log's end cut short.

    Returns:
        A table with the columns of `gossip.features.SCHEMA`; may have no rows.

    Raises:
        SensorError: a log cannot be read or is damaged.
    """
    owners: dict[str, int] = {}
    parts: list[_Part] = []
    for log in logs:
        number = owners.setdefault(log.owner, len(owners))
        part = _part(log.flows, number)
        parts.append(part if keep_cut else part.whole())
    return Table(
        schema=schema_fingerprint(),
        columns=SCHEMA,
        families=tuple(families),
        x=np.concatenate([np.zeros((0, len(SCHEMA)), np.float32), *(part.x for part in parts)]),
        y=np.array([family for part in parts for family in part.family], np.int64),
        owner=np.repeat([part.owner for part in parts], [len(part.x) for part in parts]).astype(
            np.int64
        ),
        owners=tuple(owners),
        time_s=np.array([start for part in parts for start in part.start_s], np.float64),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one log: features, families, starts and ends, and which are open connections."""

    owner: int
    x: Floats
    family: list[int]
    start_s: list[float]
    end_s: list[float]
    open: list[bool]

    def whole(self) -> "_Part":
        """Without the rows that the log's end cut short."""
        last_s = max(self.end_s, default=0.0)
        kept = [
            row
            for row, (end_s, is_open) in enumerate(zip(self.end_s, self.open, strict=True))
            if not is_open or end_s < last_s - CUT_S
        ]
        return _Part(
            self.owner,
            self.x[kept],
            [self.family[row] for row in kept],
            [self.start_s[row] for row in kept],
            [self.end_s[row] for row in kept],
            [self.open[row] for row in kept],
        )


def _part(flows: Iterable[tuple[Flow, int | None]], owner: int) -> _Part:
    stream = FeatureExtractor()
    packed = [np.zeros((0, len(SCHEMA)), np.float32)]
    rows: list[Floats] = []
    part = _Part(owner, packed[0], [], [], [], [])
    for flow, family in flows:
        if family is None:
            continue
        rows.append(stream.add(flow))
        part.family.append(family)
        part.start_s.append(flow.ts)
        part.end_s.append(flow.ts + flow.duration)
        part.open.append(flow.proto == "tcp" and flow.state is ConnState.OPEN)
        if len(rows) == CHUNK_ROWS:
            packed.append(np.stack(rows))
            rows.clear()
    x = np.concatenate([*packed, *(row[None] for row in rows)])
    return _Part(owner, x, part.family, part.start_s, part.end_s, part.open)
