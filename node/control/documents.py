"""What a node tells of its incidents, and what it answers to a verdict.

A field that is added has a default, so that clients of another version understand each other.
"""

from dataclasses import dataclass
from typing import Final, Literal

OWN: Final = "own"
NEIGHBOUR: Final = "neighbour"
ANTIGEN: Final = "antigen"


@dataclass(frozen=True, slots=True)
class FeatureDocument:
    """A feature that made a flow stand out, and between what most of this gateway's flows lie.

    Args:
        name: of the feature, see `gossip.features.SCHEMA`.
        value: of the incident's flow with the highest score, as the model sees it: in the units of
            `gossip.features.UNITS`, most of them logarithms. Records of alerts undo these.
        usual_low: 5 % of the benign flows that are trained on lie below it, and 5 % above
            usual_high.
    """

    name: str
    value: float
    usual_low: float
    usual_high: float


@dataclass(frozen=True, slots=True)
class ContributorDocument:
    """Whose knowledge the model that judged holds, see `node.alerts.contributors`.

    Args:
        kind: "own", "neighbour" (whose models were merged) or "antigen" (that is rehearsed).
        id: the neighbour's peer id, the antigen's id, or empty for the gateway's own part.
        family: that it speaks of; empty where it is the whole model.
        share: in [0, 1]. Of the whole model: the weight with which what it learnt stands in the
            merged model. Of a family: the share of the last training's rows of that family.
        origin: the peer that made an antigen.
        evidence: rows of the family that its maker, or this gateway, had; 0 for a neighbour.
    """

    kind: Literal["own", "neighbour", "antigen"]
    id: str
    family: str
    share: float
    origin: str = ""
    evidence: int = 0


@dataclass(frozen=True, slots=True)
class SampleDocument:
    """A flow of an incident, as other tools name it."""

    ts_s: float
    uid: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    proto: str
    community_id: str
    score: float


@dataclass(frozen=True, slots=True)
class IncidentDocument:
    """One incident, as it is now.

    Args:
        key: 16 hexadecimal digits, the same in alerts, after a restart and for `hedgerow verdict`.
        family: what it looks like; "unknown" where the head names nothing.
        source: address that its flows come from.
        destinations: distinct responders, at most 64 of them.
        flows: of the source; collateral: others' flows that looked odd because they touched a
            victim meanwhile, in no other number here.
        first_seen_ts_s: start of the first flow, s since 1970; last_seen_ts_s: end of the last one.
        open: whether it may still grow.
        score: the highest of its flows'; threshold: that it was held against.
        explanation: what made the flow with the highest score stand out, worst first; at most five.
        contributors: whose knowledge judged when it opened, the largest share first.
        verdict: a family, "benign", or empty where nobody has said anything.
        verdict_by: who said it, as given.
        samples: the first few flows.
        note: the analyst's, with the verdict.
        reported: whether an alert was written; held back by rate or rule otherwise.
        suppressed: the rule that held it back, empty for none.
        rows: flows whose features it remembers, for a verdict.
        extent_hosts: lowest and highest of all destinations, see `node.alerts.extent`;
            extent_ports: likewise.
    """

    key: str
    family: str
    source: str
    destinations: tuple[str, ...]
    flows: int
    collateral: int
    first_seen_ts_s: float
    last_seen_ts_s: float
    open: bool
    score: float
    threshold: float
    explanation: tuple[FeatureDocument, ...] = ()
    contributors: tuple[ContributorDocument, ...] = ()
    verdict: str = ""
    verdict_by: str = ""
    samples: tuple[SampleDocument, ...] = ()
    note: str = ""
    reported: bool = True
    suppressed: str = ""
    rows: int = 0
    extent_hosts: tuple[str, ...] = ()
    extent_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictDone:
    """What came of a verdict.

    Args:
        incident: its key.
        verdict: what holds now; empty after a withdrawal.
        before: what held until now.
        rows: flows whose features are learnt from because of it.
        said: the same in words, with what was refused and why.
    """

    incident: str
    verdict: str
    before: str
    rows: int
    said: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the socket answers to anything but "status".

    Args:
        incidents: for "incidents".
        done: for "verdict".
        error: why it cannot be answered, with what to do; empty else.
    """

    incidents: tuple[IncidentDocument, ...] = ()
    done: VerdictDone | None = None
    error: str = ""
