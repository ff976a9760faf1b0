"""Flows that look odd because an attack goes on beside them, and are no attack.

While an attack runs, 16 to 26 % of benign flows look unusual on our recordings, mostly towards the
victim: features count the last 30 s of a host, and a host under attack answers late or not at all.
Such a flow is collateral of the incident, and opens none of its own, if

- nothing names it: the head calls it no attack;
- one of its ends is a victim of the incident, that had `ATTACK_FLOWS` anomalous flows of it, and it
  ran while that went on or up to `CONTEXT_S` after;
- its two hosts had ordinary business before the incident began: a flow between them, the same way
  round, that was not anomalous, `KNOWN_S` or more before;
- its source is none of an open incident; and it is not the victim that calls its attacker.

What the same source does next, with no longer silence than an incident has, is collateral, too: it
would else open an incident for the end of what began as none.

So a second attacker opens an incident of its own, although both attack one host: an attacker has no
ordinary business there. One that had, and does what nothing names, is collateral for its first
`SOURCE_MAX` flows, and then opens an incident.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gossip.features import CONTEXT_S
from gossip.flows import Flow

if TYPE_CHECKING:
    from node.alerts.incidents import Incident

ATTACK_FLOWS = 5
"""As many as make a burst (`node.watch.memory.BURST_FLOWS`): one odd flow makes no victim."""

KNOWN_S = CONTEXT_S
"""So long before the incident, so that an attacker's first flows are no ordinary business."""

PAIRS_MAX = 8_192
"""Pairs of hosts remembered, those that talked last; 2 MB. Our choice: 90 hosts, each with all."""

VICTIMS_MAX = 64
"""Of an incident; as many as it lists destinations."""

SOURCE_MAX = 32
"""Collateral flows of one source in one incident; see above. Our choice: as many as are remembered
of an incident."""


class _Struck:
    """What one incident did to one host, or made of one source's flows."""

    __slots__ = ("first_ts_s", "flows", "last_ts_s")

    def __init__(self, ts_s: float) -> None:
        self.flows, self.first_ts_s, self.last_ts_s = 0, ts_s, ts_s


class Collateral:
    """Who talks to whom as a rule, and who is under attack. Bounded."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._struck: dict[str, dict[str, _Struck]] = {}
        self._taken: dict[str, dict[str, _Struck]] = {}

    def ordinary(self, flows: Iterable[Flow]) -> None:
        """Remember the pairs of flows that were not anomalous."""
        pairs = self._pairs
        for flow in flows:
            pair = (flow.orig_h, flow.resp_h)
            first = pairs.get(pair)
            if first is None:
                pairs[pair] = flow.ts
                if len(pairs) > PAIRS_MAX:
                    pairs.popitem(last=False)
            else:
                pairs[pair] = min(first, flow.ts)
                pairs.move_to_end(pair)

    def attacked(self, incident: "Incident", flow: Flow) -> None:
        """An anomalous flow joined an incident."""
        struck = self._struck.setdefault(incident.key, {})
        host = struck.get(flow.resp_h)
        if host is None:
            if len(struck) >= VICTIMS_MAX:
                return
            host = struck[flow.resp_h] = _Struck(flow.ts)
        host.flows += 1
        host.first_ts_s = min(host.first_ts_s, flow.ts)
        host.last_ts_s = max(host.last_ts_s, flow.ts + min(flow.duration, CONTEXT_S))

    def over(self, incident: "Incident") -> None:
        """An incident closed."""
        self._taken.pop(incident.key, None)
        self._struck.pop(incident.key, None)

    def of(
        self, flow: Flow, going: Mapping[tuple[str, str], "Incident"], gap_s: float
    ) -> "Incident | None":
        """The open incident that a flow is collateral of; None for a flow that stands for itself.

        Args:
            flow: anomalous, and named by nothing.
            going: open incidents, by source and family.
            gap_s: longest silence within an incident.
        """
        since = self._pairs.get((flow.orig_h, flow.resp_h))
        if since is None or not self._struck:
            return None
        open_ones = list(going.values())
        if any(incident.source == flow.orig_h for incident in open_ones):
            return None
        for incident in open_ones:
            if incident.source == flow.resp_h:
                continue
            taken = self._taken.get(incident.key, {}).get(flow.orig_h)
            chained = taken is not None and abs(flow.ts - taken.last_ts_s) <= gap_s
            if not (chained or self._touches(incident, flow, since)):
                continue
            if taken is None:
                taken = _Struck(flow.ts)
                self._taken.setdefault(incident.key, {})[flow.orig_h] = taken
            if taken.flows < SOURCE_MAX:
                taken.flows += 1
                taken.last_ts_s = max(taken.last_ts_s, flow.ts + flow.duration)
                return incident
        return None

    def _touches(self, incident: "Incident", flow: Flow, since_ts_s: float) -> bool:
        struck = self._struck.get(incident.key, {})
        hosts = [struck[host] for host in (flow.resp_h, flow.orig_h) if host in struck]
        return any(self._during(host, flow, since_ts_s) for host in hosts)

    @staticmethod
    def _during(struck: _Struck, flow: Flow, since_ts_s: float) -> bool:
        known = since_ts_s <= struck.first_ts_s - KNOWN_S
        overlaps = (
            flow.ts <= struck.last_ts_s + CONTEXT_S and flow.ts + flow.duration >= struck.first_ts_s
        )
        return struck.flows >= ATTACK_FLOWS and known and overlaps
