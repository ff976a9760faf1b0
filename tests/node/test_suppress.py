"""Suppress rules: what they hold back, when they end, and that nothing is lost in silence."""

import pytest
import trio

from gossip.errors import ConfigError
from node.alerts.alerter import Alerter
from node.alerts.suppress import Suppression, first, load
from node.config.settings import Settings
from node.service.checking.alerting import check_alerting
from tests.node.test_alerter import SERVING, START_S, anomalies, told
from tests.node.traffic import ATTACKER
from tests.unit.test_alerts import incident
from tests.unit.test_incidents import anomaly

FULL = """
# the weekly scan
[[rule]]
source = "198.18.1.64/26"
family = "scan"
until = 2027-01-31
reason = "weekly scan"
who = "ana"

[[rule]]
destination = "2001:db8::/32"
port = 443
until = "never"
reason = "test lab"
who = "bob"
"""
JANUARY_S = 1_801_440_000.0  # 2027-02-01, the first moment at which the first rule is over


def rules(tmp_path, text=FULL):
    (tmp_path / "suppress.toml").write_text(text)
    return load(tmp_path / "suppress.toml")


@pytest.mark.parametrize(
    ("one", "place"),
    [
        (anomaly(), 0),
        (anomaly(source="198.18.1.1"), None),
        (anomaly(family="dos"), None),
        (anomaly(resp_h="2001:db8::7", resp_p=443, family="dos"), 1),
        (anomaly(resp_h="2001:db8::7", resp_p=80, family="dos"), None),
        (anomaly(source="printer", family="scan"), None),
    ],
)
def test_a_rule_holds_back_what_it_names(tmp_path, one, place):
    found = rules(tmp_path)
    assert first(found, incident(one), JANUARY_S - 1) == (None if place is None else found[place])


def test_a_rule_ends_on_its_day_and_at_its_moment(tmp_path):
    found = rules(tmp_path)
    assert found[0].holds(JANUARY_S - 1)
    assert not found[0].holds(JANUARY_S)
    assert found[1].holds(9e9)
    (moment,) = rules(
        tmp_path, '[[rule]]\nport=1\nuntil=2027-01-31T23:00:00-01:00\nreason="r"\nwho="w"\n'
    )
    assert (moment.holds(JANUARY_S - 1), moment.holds(JANUARY_S)) == (True, False)


def test_an_incident_that_outgrows_its_rule_is_held_back_no_more(tmp_path):
    (rule,) = rules(
        tmp_path, '[[rule]]\ndestination="198.18.1.13"\nuntil="never"\nreason="r"\nwho="w"\n'
    )
    assert rule.matches(incident(anomaly()))
    assert not rule.matches(incident(anomaly(), anomaly(1_001.0, resp_h="198.18.1.14")))


@pytest.mark.parametrize("first_hosts", [1, 5, 70])
def test_nobody_stays_behind_a_rule_by_attacking_first_what_it_names(tmp_path, first_hosts):
    """More hosts than an incident lists, more flows than it remembers, and then somewhere else."""
    text = '[[rule]]\n{}\nuntil="never"\nreason="r"\nwho="w"\n'
    (hosts,) = rules(tmp_path, text.format('destination="198.18.1.0/24"'))
    (port,) = rules(tmp_path, text.format("port=443"))
    inside = [
        anomaly(1_000.0 + i, resp_h=f"198.18.1.{100 + i}", resp_p=443) for i in range(first_hosts)
    ]
    after = 1_000.0 + first_hosts
    assert hosts.matches(incident(*inside))
    assert port.matches(incident(*inside))
    for other in ("198.18.2.1", "198.18.0.255", "2001:db8::1", "printer"):
        found = incident(*inside, anomaly(after, resp_h=other, resp_p=443))
        assert not hosts.matches(found)
        assert port.matches(found)
    for number in (442, 444):
        found = incident(*inside, anomaly(after, resp_h="198.18.1.7", resp_p=number))
        assert hosts.matches(found)
        assert not port.matches(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('until = "never"', ""), r"line 10: rule\[2\]\.until: missing"),
        (('"never"', '"soon"'), r"line 10: rule\[2\]: until = 'soon' is no end; write a day"),
        (("2027-01-31", "2027-01-31T00:00:00"), r"line 3: .*a moment with its zone"),
        (("2001:db8::/32", "2001:db8::1/32"), r"line 10: rule\[2\]\.destination: .*host bits"),
        (('"scan"', '"Scan"'), r"line 3: rule\[1\]\.family: .*no family"),
        (('reason = "test lab"', 'reason = ""'), r"line 10: rule\[2\]\.reason"),
        (('source = "198.18.1.64/26"\nfamily = "scan"', ""), r"line 3: .*matches every incident"),
        (("port = 443", "port = "), r"line 12, column"),
        (("who", "wh0"), r"line 3: rule\[1\]\.wh0: unknown key, did you mean 'who'"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_line_and_a_cure(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        rules(tmp_path, FULL.replace(*change))


def test_a_file_that_changes_is_read_again_and_a_wrong_one_leaves_the_rules(tmp_path):
    path = tmp_path / "suppress.toml"
    path.write_text(FULL)
    found = Suppression(path)
    path.write_text("[[rule]]\nport = true\n")
    found.look(0.0)
    assert len(found.rules) == 2
    assert "line 1" in found.refused
    path.write_text(FULL[: FULL.rindex("[[rule]]")])
    found.look(1.0)
    assert found.refused, "it is looked at now and then only"
    found.look(6.0)
    assert (len(found.rules), found.refused) == (1, "")
    path.unlink()
    found.look(60.0)
    assert len(found.rules) == 1
    assert "cannot be read" in found.refused


def test_what_is_held_back_is_counted_listed_and_reported_once_the_rule_ends(tmp_path):
    (tmp_path / "suppress.toml").write_text(
        f'[[rule]]\nsource="{ATTACKER}"\nuntil=2027-01-31\nreason="our scan"\nwho="ana"\n'
    )
    settings = Settings.defaults().with_overrides(
        {"node.state_dir": str(tmp_path), "alerts.suppress": str(tmp_path / "suppress.toml")}
    )
    now = [JANUARY_S - 1]
    alerter = Alerter(settings, "kitchen", lambda: now[0])

    async def main():
        await trio.lowlevel.checkpoint()
        alerter.take(anomalies(5), SERVING, START_S)
        alerter.take(anomalies(30, first=5), SERVING, START_S)
        assert told(settings) == []
        status = alerter.status()
        assert (status.muted, status.rules, status.incidents_open) == (1, 1, 1)
        (document,) = alerter.documents(5)
        assert (document.reported, document.flows) == (False, 35)
        assert document.suppressed == "our scan (ana, until 2027-01-31)"
        now[0] = JANUARY_S
        alerter.take(anomalies(30, first=35), SERVING, START_S)
        alerter.take([], SERVING, START_S + 1e4)

    trio.run(main)
    alerter.close()
    assert told(settings) == [("opened", 65), ("closed", 65)]


def test_what_leads_beyond_its_rule_is_reported_at_once(tmp_path):
    (tmp_path / "suppress.toml").write_text(
        '[[rule]]\ndestination="198.18.1.13"\nuntil="never"\nreason="r"\nwho="w"\n'
    )
    settings = Settings.defaults().with_overrides(
        {"node.state_dir": str(tmp_path), "alerts.suppress": str(tmp_path / "suppress.toml")}
    )
    alerter = Alerter(settings, "kitchen")

    async def main():
        await trio.lowlevel.checkpoint()
        alerter.take([anomaly() for _ in range(500)], SERVING, None)
        assert told(settings) == []
        alerter.take([anomaly(resp_h="198.18.1.14")], SERVING, None)
        assert told(settings) == [("opened", 501)]

    trio.run(main)
    alerter.close()


def test_a_node_does_not_start_with_wrong_rules(tmp_path):
    (tmp_path / "suppress.toml").write_text("[[rule]]\n")
    settings = Settings.defaults().with_overrides(
        {"node.state_dir": str(tmp_path), "alerts.suppress": str(tmp_path / "suppress.toml")}
    )
    with pytest.raises(ConfigError, match="line 1"):
        Alerter(settings, "kitchen")


def test_hedgerow_check_looks_at_rules_and_verdicts(tmp_path):
    settings = Settings.defaults().with_overrides(
        {"node.state_dir": str(tmp_path), "alerts.suppress": str(tmp_path / "suppress.toml")}
    )

    def levels(now_s=JANUARY_S - 1):
        return [(each.what, each.level) for each in check_alerting(settings, now_s)]

    assert levels() == [("alerts.suppress", "error")]
    rules(tmp_path)
    assert levels() == [("alerts.suppress", "ok")]
    (tmp_path / "verdicts.json").write_text("{")
    assert levels(JANUARY_S) == [("alerts.suppress", "warning"), ("verdicts", "error")]
