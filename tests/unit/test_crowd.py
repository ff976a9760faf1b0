"""Many sources at once are one incident; a few are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.alerts.crowd import (
    BEGINNINGS_MAX,
    BEGINNINGS_S,
    COUNTED_MAX,
    DESTINATIONS_MAX,
    MANY,
    OWN_FLOWS,
    SOURCES_MAX,
    STAND_OUT_MAX,
    Crowd,
)
from tests.unit.test_incidents import GAP_S, anomaly, incidents

NAMES = st.integers(0, 40).map("198.18.0.{}".format)
FAMILIES = ("scan", "dos", "unknown")


@pytest.mark.parametrize("destinations", [1, 5_000])
def test_a_flood_with_forged_sources_is_at_most_ten_incidents(destinations: int) -> None:
    known, opened = incidents(1_000), 0
    for i in range(5_000):
        one = anomaly(
            1_000 + i / 500,
            source=f"203.0.{i >> 8}.{i & 255}",
            family=FAMILIES[i % 3],
            resp_h=f"198.18.{i % destinations >> 8}.{i % destinations & 255}",
        )
        opened += len(known.observe([one]).opened)
    crowds = [incident for incident in known.latest(100) if incident.source == MANY]
    assert opened == len(known) <= 10
    assert {incident.family for incident in crowds} == set(FAMILIES)
    assert sum(incident.flows for incident in known.latest(100)) == 5_000
    assert all(len(incident.sources) == 64 for incident in crowds)


def test_a_flood_that_goes_on_opens_no_more() -> None:
    known, opened = incidents(1_000), 0
    for i in range(4_000):
        one = anomaly(1_000 + i, source=f"203.0.{i >> 8}.{i & 255}")
        opened += len(known.observe([one]).opened)
        known.advance(1_000.0 + i)
    assert opened <= SOURCES_MAX + 2, "an hour, after which an incident is reported anew"


def test_what_returns_with_the_flood_is_the_crowds_and_after_it_its_own() -> None:
    known = incidents(1_000)
    known.observe([anomaly(1_000, source=f"203.0.113.{i}") for i in range(50)])
    again = known.observe([anomaly(1_001, source="203.0.113.49")])
    assert again.opened == ()
    later = known.observe([anomaly(1_002 + GAP_S, source="203.0.113.49")])
    assert [incident.source for incident in later.opened] == ["203.0.113.49"]


def test_one_that_goes_on_beside_a_few_false_alarms_stands_out() -> None:
    known = incidents(1_000)
    known.observe([anomaly(1_000 + i, source=f"198.18.0.{i}") for i in range(SOURCES_MAX)])
    known.observe([anomaly(1_020 + i, source="198.18.9.9") for i in range(100)])
    flows = {incident.source: incident.flows for incident in known.latest(100)}
    assert flows["198.18.9.9"] == 100 - (OWN_FLOWS - 1)
    named = known.observe([anomaly(1_121, source="198.18.9.9", family="dos")])
    assert [incident.source for incident in named.opened] == ["198.18.9.9"]
    for source, beyond in (("b", 20), ("c", 80)):
        other = [anomaly(1_122, source=source) for _ in range(beyond - 1)]
        assert {each.source for each in known.observe(other).opened} <= {MANY}
        (own,) = known.observe(other[:1]).opened
        assert own.source == source, "by so many times as many"
    last = [anomaly(1_123, source="d") for _ in range(1_000)]
    assert known.observe(last).opened == (), "but three alone"


def test_sources_that_come_one_by_one_keep_their_own() -> None:
    crowd = Crowd(GAP_S)
    for i in range(50):
        host, ts_s = f"198.18.0.{i}", i * BEGINNINGS_S
        assert crowd.source((host, "scan"), f"198.18.1.{i}", ts_s, ()) == host
    apart = GAP_S / SOURCES_MAX + 1
    for i in range(20):
        host, ts_s = f"198.18.0.{i}", 10_000 + i * apart
        assert crowd.source((host, "scan"), "198.18.1.1", ts_s, ()) == host


@given(st.lists(st.tuples(NAMES, NAMES, st.floats(0, 1_000)), max_size=80))
def test_an_open_incident_is_joined_and_so_many_begin_at_most(
    flows: list[tuple[str, str, float]],
) -> None:
    crowd = Crowd(GAP_S)
    going: dict[tuple[str, str], float] = {}
    for source, destination, ts_s in sorted(flows, key=lambda flow: flow[2]):
        key = (source, "scan")
        found = crowd.source(key, destination, ts_s, going)
        assert found in (source, MANY)
        assert found == source or key not in going
        going.setdefault((found, "scan"), ts_s)
    begun = sorted(at for (source, _), at in going.items() if source != MANY)
    for first, beyond in zip(begun, begun[BEGINNINGS_MAX + STAND_OUT_MAX :], strict=False):
        assert beyond - first > BEGINNINGS_S


def test_what_it_remembers_is_bounded() -> None:
    crowd = Crowd(GAP_S)
    for i in range(2 * COUNTED_MAX):
        source = f"203.0.{i >> 8}.{i & 255}"
        crowd.source((source, "scan"), str(i), 1.0 + i * BEGINNINGS_S, ())
    assert len(crowd._at) == DESTINATIONS_MAX
    assert len(crowd._own) == COUNTED_MAX


def test_one_that_has_an_incident_keeps_it_whatever_its_next_flows_look_like() -> None:
    """Among false alarms of many hosts, an attack that changes its kind."""
    crowd, attacker = Crowd(GAP_S), "198.18.9.9"
    assert crowd.source((attacker, "unknown"), "broker", 1.0, ()) == attacker
    others = [f"198.18.0.{i}" for i in range(SOURCES_MAX + 2)]
    found = [crowd.source((each, "unknown"), "broker", 2.0, ()) for each in others]
    assert found[-1] == MANY
    assert crowd.source((attacker, "scan"), "broker", 3.0, ()) == attacker
    assert crowd.source((attacker, "dos"), "broker", 4.0 + 2 * GAP_S, ()) == attacker
