"""Packets to flows, in a table of bounded size.

A flow is all packets between two endpoints of one protocol until it is silent for its time-out:
Suricata's (`gossip.features.FLOW_TIMEOUTS_S`), because peers compare them. Three things are ours:

- A closed TCP connection is reported after `CLOSED_S` of silence, not after Suricata's 60 s, so
  that alerts are younger. A SYN with a new sequence number on a closed connection begins the
  next one, as in Suricata.
- A flow older than `life_s` is reported as it is and counted anew, else a session of months would
  never be seen. Who began is remembered.
- In a full table the flow that was silent longest makes room: a closed one, else one that was never
  answered, else any. So a flood of forged sources pushes out itself before it pushes out sessions.
  What was pushed out is reported, and counted.

The originator is who sent the first SYN, else who sent the first packet. Time is that of the
packets; those that come late by less than the time-out belong to their flow all the same. The
connection's state is judged as `node.sensors.ipfix` judges it. As in Suricata, an ICMP message that
something is unreachable counts as an answer to the flow that it quotes: a refusal.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gossip.features import FLOW_TIMEOUTS_S
from gossip.flows import Flow
from node.sensors.meter.counts import Counts
from node.sensors.meter.decode import (
    ACK,
    FIN,
    RST,
    SYN,
    TCP,
    MalformedError,
    OtherError,
    Packet,
    UnknownLinkError,
    decode,
)
from node.sensors.meter.entry import PORTED, Entry, Queue, flow_of, is_next, key_of

CLOSED_S = 5
"""As `tcp.fin=5` and `tcp.rst=5` in softflowd's lines in docs/sensors.md; see the text above."""

LIFE_S = 600
"""As `maxlife=10m` there, and as long as an established connection may be silent."""

FLOWS_MAX = 16_384
"""Our choice: full, the table was measured at 7 MB (`benchmarks/sensors.py`). A gateway with 50
new flows a second holds about 15,000, if each is a UDP exchange that waits for 300 s."""

FRAGMENTS_MAX = 1_024
"""Datagrams of which later fragments are awaited; our choice."""

BACK_S = 600
"""A packet is older than the newest by more than this: the clock was set, or the newest lied."""

_S = 1_000_000


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Bounds of a meter.

    Args:
        flows_max: flows in the table.
        closed_s: silence after which a closed TCP connection is reported, s.
        life_s: age at which a flow is reported though it goes on, s.
    """

    flows_max: int = FLOWS_MAX
    closed_s: int = CLOSED_S
    life_s: int = LIFE_S

    def __post_init__(self) -> None:
        """Refuse bounds that hold nothing.

        Raises:
            ValueError: one is less than 1.
        """
        if min(self.flows_max, self.closed_s, self.life_s) < 1:
            raise ValueError(f"{self}: every bound must be 1 or more")


class Meter:
    """See the text above.

    Args:
        config: its bounds.

    Attributes:
        counts: what became of the packets.
    """

    def __init__(self, config: MeterConfig | None = None) -> None:
        self.config = config = config or MeterConfig()
        self.counts = Counts()
        times = FLOW_TIMEOUTS_S
        self._table: dict[bytes, Entry] = {}
        self._closed = Queue(config.closed_s)
        self._tcp_new = Queue(times["tcp_new"])
        self._tcp_established = Queue(times["tcp_established"])
        self._new = Queue(times["udp_new"])  # Suricata has the same for ICMP and all others
        self._established = Queue(times["udp_established"])
        self._queues = (
            self._closed,
            self._new,
            self._tcp_new,
            self._established,
            self._tcp_established,
        )
        self._fragments: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._life_us = config.life_s * _S
        self._clock_us = 0
        self._sweep_us = 0

    def __len__(self) -> int:
        """Flows in the table."""
        return len(self._table)

    def packet(self, ts_us: int, frame: bytes, link: int = 1, wire: int = 0) -> list[Flow]:
        """Count a packet; the flows that this ends.

        Args:
            ts_us: when it was captured, µs since 1970.
            frame: as in `decode.decode`; link and wire likewise.
            link: 1 is Ethernet.
            wire: bytes that the frame had before it was cut; 0 if not known.
        """
        ended = self.advance(ts_us) if ts_us >= self._sweep_us or self._is_back(ts_us) else []
        counts = self.counts
        try:
            packet = decode(frame, link, wire)
            if packet.fragment:
                packet = self._whole(packet)
        except OtherError:
            counts.other += 1
        except MalformedError:
            counts.malformed += 1
        except UnknownLinkError:
            counts.unknown_link += 1
        except LookupError:
            counts.orphans += 1
        else:
            counts.metered += 1
            if packet.quoted is None or not self._refuse(packet, ts_us):
                self._count(packet, ts_us, ended)
        return ended

    def advance(self, ts_us: int) -> list[Flow]:
        """It is this late now, packets or none; the flows that this ends, ordered by their end."""
        if ts_us > self._clock_us or self._is_back(ts_us):
            self._clock_us = ts_us
        now = self._clock_us
        self._sweep_us = now + _S
        due: list[Entry] = []
        for queue in self._queues:
            while queue:
                entry = next(iter(queue.values()))
                if abs(now - entry.last) <= queue.timeout_us:
                    break
                due.append(self._remove(entry))
        due.sort(key=lambda entry: entry.last)
        self.counts.timed_out += len(due)
        return [flow_of(entry) for entry in due]

    def finish(self) -> list[Flow]:
        """All flows in the table as they are, ordered by their end; it is empty then."""
        rest = sorted(self._table.values(), key=lambda entry: entry.last)
        for entry in rest:
            self._remove(entry)
        self._fragments.clear()
        self.counts.finished += len(rest)
        return [flow_of(entry) for entry in rest]

    def _is_back(self, ts_us: int) -> bool:
        return ts_us < self._clock_us - BACK_S * _S

    def _count(self, packet: Packet, ts_us: int, ended: list[Flow]) -> None:
        """Add a packet to its flow."""
        key = key_of(packet)
        entry = self._table.get(key)
        if entry is None:
            entry = self._add(key, packet, ts_us, ended)
        elif abs(ts_us - entry.last) > entry.queue.timeout_us or is_next(entry, packet):
            self.counts.timed_out += 1
            ended.append(flow_of(self._remove(entry)))
            entry = self._add(key, packet, ts_us, ended)
        elif ts_us - entry.first > self._life_us:
            self.counts.cut += 1
            ended.append(flow_of(entry))
            entry.begin(ts_us)
        if packet.proto == TCP and not entry.syn and packet.flags & SYN:
            entry.syn = True
            if (packet.src == entry.orig and packet.sport == entry.orig_p) == bool(
                packet.flags & ACK
            ):
                entry.turn()
        if packet.src == entry.orig and (
            packet.sport == entry.orig_p or packet.proto not in PORTED
        ):
            entry.pkts0 += 1
            entry.bytes0 += packet.length
            entry.flags0 |= packet.flags
        else:
            entry.pkts1 += 1
            entry.bytes1 += packet.length
            entry.flags1 |= packet.flags
        self._touch(entry, ts_us)

    def _refuse(self, packet: Packet, ts_us: int) -> bool:
        """Count an ICMP message as the answer to the flow that it quotes, if that is known."""
        quoted = packet.quoted
        if quoted is None:
            return False
        sent = packet._replace(
            proto=quoted.proto, src=quoted.src, dst=quoted.dst,
            sport=quoted.sport, dport=quoted.dport,
        )  # fmt: skip
        entry = self._table.get(key_of(sent))
        if entry is None or abs(ts_us - entry.last) > entry.queue.timeout_us:
            return False
        if (entry.orig, entry.orig_p) == (quoted.src, quoted.sport):
            entry.pkts1 += 1
            entry.bytes1 += packet.length
            entry.refused += 1
        else:
            entry.pkts0 += 1
            entry.bytes0 += packet.length
        self._touch(entry, ts_us)
        return True

    def _touch(self, entry: Entry, ts_us: int) -> None:
        """A packet came: into the queue of the flow's time-out, at its end."""
        if ts_us > entry.last:
            entry.last = ts_us
        elif ts_us < entry.first:
            entry.first = ts_us
        queue = entry.queue
        fitting = self._fitting(entry)
        if fitting is queue:
            queue.move_to_end(entry.key)
        else:
            del queue[entry.key]
            fitting[entry.key] = entry
            entry.queue = fitting

    def _fitting(self, entry: Entry) -> Queue:
        """The queue whose time-out holds for a flow as it is now."""
        flags0, flags1 = entry.flags0, entry.flags1
        answered = entry.pkts0 and entry.pkts1 > entry.refused
        if entry.proto != TCP:
            return self._established if answered else self._new
        if (flags0 | flags1) & RST or flags0 & flags1 & FIN:
            return self._closed
        if entry.queue is self._tcp_established:
            return entry.queue  # also after it was counted anew
        return self._tcp_established if answered and flags0 & flags1 & ACK else self._tcp_new

    def _add(self, key: bytes, packet: Packet, ts_us: int, ended: list[Flow]) -> Entry:
        """A fresh entry; one that was silent longest makes room where there is none."""
        if len(self._table) >= self.config.flows_max:
            for queue in self._queues:
                if queue:
                    self.counts.evicted += 1
                    ended.append(flow_of(self._remove(next(iter(queue.values())))))
                    break
        queue = self._tcp_new if packet.proto == TCP else self._new
        entry = self._table[key] = queue[key] = Entry(key, packet, ts_us, queue)
        return entry

    def _remove(self, entry: Entry) -> Entry:
        del entry.queue[entry.key]
        return self._table.pop(entry.key)

    def _whole(self, packet: Packet) -> Packet:
        """A fragment with its datagram's ports.

        Raises:
            LookupError: the first fragment, which holds them, was not seen.
        """
        known = self._fragments
        if packet.first:
            known[packet.fragment] = packet.sport, packet.dport
            if len(known) > FRAGMENTS_MAX:
                known.popitem(last=False)
            return packet
        sport, dport = known[packet.fragment]
        return packet._replace(sport=sport, dport=dport)
