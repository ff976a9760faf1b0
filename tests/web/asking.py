"""A dashboard without a node behind it, and a browser that is none."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from gossip.errors import ConfigError
from node.control.documents import (
    ContributorDocument,
    FeatureDocument,
    IncidentDocument,
    SampleDocument,
    VerdictDone,
)
from node.status.document import (
    AlertsStatus,
    AntigensStatus,
    AntigenStatus,
    DetectorStatus,
    MeshStatus,
    PeerStatus,
    SensorStatus,
    Status,
)
from node.web.access import Access
from node.web.app import Dashboard
from node.web.guard import App
from node.web.history import History

TOKEN = "t" * 43
HOST = "127.0.0.1:8440"
COOKIE = "hedgerow-8440"
OURS = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
NOW_S = 1_750_000_000.0
KEY = "00112233445566aa"


def status(text: str = "text", **changes: Any) -> Status:
    """A node of which everything can be told; wherever others choose words, it is `text`."""
    peers = (
        PeerStatus(f"12D3Koo{text}", (text,), connected=True, merges=3, antigens=1, bytes_in=2_000),
        PeerStatus("12D3KooWquiet", in_view=True, faults=2),
    )
    made = Status(
        name=text,
        peer="12D3KooWme",
        pid=1,
        software="hedgerow 0.1.0",
        state="running",
        uptime_s=100.0,
        detail=text,
        addresses=("/ip4/192.0.2.1/tcp/4001",),
        mesh=MeshStatus(
            peers, 7, (1, 2), "age", 5_000, 6_000, 3, {text: 2}, {text: 1}, {text: 4}, 2
        ),
        sensors=(SensorStatus("suricata", text, 900, 3, NOW_S), SensorStatus("zeek", "quiet")),
        detector=DetectorStatus(
            state="watching",
            model="7-abc",
            loss=0.5,
            flows_seen=900,
            flows_anomalous=20,
            calibration_flows=300,
            calibration_flows_needed=200,
            budget=0.05,
            threshold=3.0,
            threshold_flows=300,
            breach=text,
            false_alarm_share=0.04,
            false_alarm_share_low=0.01,
            false_alarm_share_high=0.09,
        ),
        antigens=AntigensStatus(
            held=(AntigenStatus("ab" * 8, text, text, 12, 0, 1, "quarantined", 0.2, text, 900),)
        ),
        alerts=AlertsStatus(text, 4, 1, 2, 1),
    )
    return replace(made, **changes)


def incident(text: str = "text", key: str = KEY, **changes: Any) -> IncidentDocument:
    """An incident about which everything is known; likewise."""
    made = IncidentDocument(
        key=key,
        family=text,
        source=text,
        destinations=(text,),
        flows=60,
        collateral=2,
        first_seen_ts_s=NOW_S,
        last_seen_ts_s=NOW_S + 9,
        open=True,
        score=9.0,
        threshold=3.0,
        explanation=(
            FeatureDocument("src_ports", 4.0, 0.0, 1.1),
            FeatureDocument("state_no_reply", 1.0, 0.0, 0.0),
            FeatureDocument(text, 1.0, 0.0, 0.0),
        ),
        contributors=(
            ContributorDocument("own", "", "", 0.5),
            ContributorDocument("neighbour", text, "", 0.3),
            ContributorDocument("antigen", text, text, 0.2, text, 12),
        ),
        verdict_by=text,
        note=text,
        samples=(SampleDocument(NOW_S, text, text, 1, text, 2, text, text, 9.0),),
        suppressed=text,
        reported=False,
    )
    return replace(made, **changes)


class FakeDesk:
    """Answers as a node's desk does."""

    def __init__(self, found: Status, *incidents: IncidentDocument) -> None:
        self.found = found
        self.known = {each.key: each for each in incidents}
        self.asked = 0

    def status(self) -> Status:
        self.asked += 1
        return self.found

    def incidents(self, limit: int = 200) -> list[IncidentDocument]:
        return list(self.known.values())[:limit]

    def verdict(self, incident: str, word: str, by: str = "") -> VerdictDone:
        if incident not in self.known or not word:
            raise ConfigError(f"no incident is called {incident}, or {word!r} is no verdict")
        before = self.known[incident].verdict
        self.known[incident] = replace(self.known[incident], verdict=word, verdict_by=by)
        return VerdictDone(incident, word, before, 5, "learnt from next")


class Clock:
    """Any clock."""

    def __init__(self) -> None:
        self.s = NOW_S

    def __call__(self) -> float:
        return self.s


def dashboard(desk: FakeDesk, clock: Callable[[], float] | None = None) -> App:
    """The application of a node that listens at HOST, and is also called gateway.example."""
    now = clock or Clock()
    pages = Dashboard(desk, History(), Access(TOKEN, now), now, now)
    return pages.app(["gateway.example"], COOKIE)


@asynccontextmanager
async def browser(app: App, *, inside: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """A client with cookies; with `inside`, one that has given the token."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type] # its own names for the same
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        if inside:
            assert (await client.get(f"/?token={TOKEN}")).status_code == 303
        yield client
