"""What `hedgerow detect` prints, in plain text: a terminal's library would cost 10 MB."""

from datetime import UTC, datetime

from node.alerts.incidents import Incident, Verdict
from node.detecting.judging import Counts
from node.logs import printable

COLUMNS = "{:<21} {:>8} {:<16} {:<14} {:>9} {:>7}  {}"


def heading(verdict: Verdict) -> str:
    """Which model judges, and the columns' names."""
    about = (
        f"The model of cycle {verdict.model_cycle:,} ({verdict.model_digest}), threshold "
        f"{verdict.threshold:.2f} for a budget of {verdict.budget:.2%}, set by "
        f"{verdict.calibration_flows:,} flows"
    )
    names = ("first seen", "lasted", "source", "family", "flows", "score", "most unlike usual")
    return f"{about}\n\n{COLUMNS.format(*names)}"


def line(incident: Incident) -> str:
    """An incident in a line."""
    began = datetime.fromtimestamp(incident.first_seen_ts_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    lasted_s = incident.last_seen_ts_s - incident.first_seen_ts_s
    return COLUMNS.format(
        began,
        f"{lasted_s:,.0f} s",
        printable(incident.source),
        printable(incident.family),
        f"{incident.flows:,}",
        f"{incident.top.score:.1f}",
        ", ".join(feature.name for feature in incident.features[:3]),
    ).rstrip()


def summary(incidents: int, counts: Counts) -> str:
    """What was read, and what of it could not be judged."""
    bad = sum(parser.stats.bad for parser in counts.logs.values())
    told = [
        f"{incidents:,} {'incident' if incidents == 1 else 'incidents'}",
        f"{counts.flows:,} flows",
        f"{counts.anomalous:,} anomalous",
        f"{counts.cold:,} of the first 30 s not judged, for lack of context",
    ]
    if bad:
        told.append(f"{bad:,} bad lines skipped")
    return "; ".join(told)
