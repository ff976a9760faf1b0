"""Incidents as documents."""

import sys
from math import isfinite
from typing import TYPE_CHECKING

from node.control.documents import FeatureDocument, IncidentDocument, SampleDocument

if TYPE_CHECKING:
    from node.alerts.incidents import Incident, Sample


def document_of(incident: "Incident") -> IncidentDocument:
    """What is told of an incident; nobody has said anything of it yet."""
    return IncidentDocument(
        key=incident.key,
        family=incident.family,
        source=incident.source,
        destinations=tuple(incident.destinations),
        flows=incident.flows,
        collateral=incident.collateral,
        first_seen_ts_s=incident.first_seen_ts_s,
        last_seen_ts_s=incident.last_seen_ts_s,
        open=incident.open,
        score=_number(incident.top.score),
        threshold=0.0 if incident.judge is None else _number(incident.judge.threshold),
        explanation=tuple(
            FeatureDocument(
                each.name, _number(each.value), _number(each.usual_low), _number(each.usual_high)
            )
            for each in incident.features
        ),
        contributors=incident.contributors,
        samples=tuple(_sample(each) for each in incident.samples),
        reported=incident.told > 0,
        suppressed=incident.rule,
        rows=len(incident.rows),
        extent_hosts=tuple(incident.extent.hosts),
        extent_ports=tuple(incident.extent.ports),
    )


def _sample(sample: "Sample") -> SampleDocument:
    return SampleDocument(
        sample.ts_s,
        sample.uid,
        sample.orig_h,
        sample.orig_p,
        sample.resp_h,
        sample.resp_p,
        sample.proto,
        sample.community_id,
        _number(sample.score),
    )


def _number(value: float) -> float:
    """JSON has neither infinity nor NaN."""
    if isfinite(value):
        return value
    return sys.float_info.max if value > 0 else 0.0
