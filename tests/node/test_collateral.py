"""Collateral: flows of a victim under attack open no incident; a second attacker does."""

import json
from dataclasses import replace

import pytest

from node.alerts.collateral import ATTACK_FLOWS, KNOWN_S, SOURCE_MAX
from node.alerts.incidents import UNKNOWN, Incidents
from tests.unit.test_incidents import anomaly, flow

VICTIM, CLIENT, ATTACKER = "198.18.1.13", "198.18.1.20", "198.18.1.66"
EARLIER_S = 1_000.0 - KNOWN_S - 1


@pytest.fixture
def attacked():
    """A host under attack, and a client that it had before."""
    known = Incidents(120_000_000, 3_600_000_000, 100)
    known.ordinary([flow(EARLIER_S, CLIENT), flow(EARLIER_S, VICTIM, resp_h=CLIENT)])
    known.observe([anomaly(1_000.0 + i, ATTACKER) for i in range(ATTACK_FLOWS)])
    return known


def odd(ts=1_002.0, source=CLIENT, family=UNKNOWN, **other):
    return anomaly(ts, source, family=family, **other)


def test_a_known_client_of_the_victim_is_collateral_and_marked(attacked):
    changes = attacked.observe([odd(), odd(1_003.0, VICTIM, resp_h=CLIENT)])
    assert not changes.opened
    (incident,) = attacked.latest(5)
    assert (incident.source, incident.collateral) == (ATTACKER, 2)
    assert incident.flows == ATTACK_FLOWS
    assert changes.grown == (incident,)
    again = Incidents(120_000_000, 3_600_000_000, 100)
    again.restore(json.loads(json.dumps(attacked.saved())))
    assert again.latest(1)[0].collateral == 2


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(odd(source="198.18.1.99"), id="a second attacker"),
        pytest.param(odd(family="scan"), id="one that is named"),
        pytest.param(odd(resp_h="198.18.1.14"), id="another host"),
        pytest.param(odd(ts=1_100.0), id="long after"),
        pytest.param(odd(source=VICTIM, resp_h=ATTACKER), id="the victim calls its attacker"),
    ],
)
def test_what_stands_for_itself_opens_an_incident(attacked, one):
    (opened,) = attacked.observe([one]).opened
    assert opened.source == one.flow.orig_h
    assert attacked.latest(5)[-1].collateral == 0


def test_an_attackers_own_first_flows_are_no_ordinary_business(attacked):
    attacked.ordinary([flow(1_000.5, "198.18.1.99")])
    assert attacked.observe([odd(source="198.18.1.99")]).opened


def test_an_attacker_with_ordinary_business_is_an_incident_of_its_own(attacked):
    attacked.ordinary([flow(EARLIER_S, ATTACKER)])
    (opened,) = attacked.observe([odd(source=ATTACKER)]).opened
    assert (opened.source, opened.family) == (ATTACKER, UNKNOWN)


def test_a_single_odd_flow_makes_no_victim():
    known = Incidents(120_000_000, 3_600_000_000, 100)
    known.ordinary([flow(EARLIER_S, CLIENT)])
    known.observe([anomaly(1_000.0, ATTACKER)])
    assert known.observe([odd()]).opened


def test_a_client_that_goes_on_and_on_opens_an_incident(attacked):
    changes = attacked.observe([odd(1_002.0 + i / 100) for i in range(SOURCE_MAX + 2)])
    (opened,) = changes.opened
    assert (opened.source, opened.flows) == (CLIENT, 2)


def test_an_incident_that_is_over_has_no_collateral(attacked):
    attacked.advance(1e6)
    assert attacked.observe([replace(odd(), family=UNKNOWN)]).opened


def test_what_began_as_collateral_ends_as_it(attacked):
    attacked.observe([odd()])
    assert not attacked.observe([odd(1_080.0), odd(1_150.0, resp_h=VICTIM)]).opened
    assert attacked.latest(1)[0].collateral == 3
    attacked.observe([anomaly(1_110.0, ATTACKER)])
    attacked.ordinary([flow(EARLIER_S, CLIENT, resp_h="198.18.1.14")])
    assert attacked.observe([odd(1_290.0)]).opened, "the silence was too long"
