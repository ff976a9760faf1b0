"""Every format as its readers have it, and every way out."""

import json
import socket
from math import inf, log1p

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError
from gossip.flows import FAMILIES, TS_MAX
from node.alerts import ecs, records, syslog
from node.alerts.alerter import Alerter
from node.alerts.incidents import UNKNOWN, Feature
from node.alerts.records import Event
from node.alerts.sending import RETRY_S, WAITING_MAX, Sender
from node.config.settings import Settings
from tests.node.formats import check_ecs, check_eve, parse_syslog
from tests.node.test_alerter import SERVING, START_S, anomalies
from tests.unit.test_alerts import VERDICT, incident
from tests.unit.test_incidents import anomaly

FEATURES = (Feature("ports_30s", 812.0, 1.0, 4.0), Feature("duration", 0.0, 0.1, 2.0))

any_anomaly = st.builds(
    anomaly,
    ts=st.floats(0, TS_MAX - 10),
    source=st.ip_addresses().map(str),
    resp_h=st.ip_addresses().map(str),
    orig_p=st.integers(0, 65_535),
    resp_p=st.integers(0, 65_535),
    proto=st.sampled_from(["tcp", "udp", "icmp", "sctp"]),
    duration=st.floats(0, 1e9),
    uid=st.text(max_size=20),
    family=st.sampled_from([*FAMILIES, UNKNOWN, "smurf"]),
    score=st.floats(0, 1e300),
    features=st.just(FEATURES),
)


@given(any_anomaly, st.sampled_from(Event), st.text(max_size=64))
def test_every_alert_is_what_each_reader_expects(one, event, gateway):
    found = incident(one)
    check_eve(json.loads(json.dumps(records.alert_line(found, VERDICT, gateway, event))))
    line = json.loads(json.dumps(ecs.alert_line(found, VERDICT, gateway or "g", event)))
    check_ecs(line)
    assert line["network"]["community_id"] == "1:abc="
    parts = parse_syslog(syslog.alert_line(found, VERDICT, gateway, event).encode())
    assert (parts["app"], parts["msgid"]) == ("hedgerow", event.value)
    assert parts["params"]["incident"] == found.key
    assert parts["params"]["communityId"] == "1:abc="
    for form in (records, ecs):
        check = check_eve if form is records else check_ecs
        check(json.loads(json.dumps(form.summary_line(3, [found], gateway or "g"))))
    assert parse_syslog(syslog.summary_line(3, [found], gateway).encode())["msgid"] == "summary"


def test_features_are_told_in_units_that_people_count_in():
    features = (
        Feature("src_ports", log1p(86), log1p(1), log1p(4)),
        Feature("byte_asymmetry", -0.5, -1.0, 1.0),
        Feature("resp_pkts", inf, 0.0, 1e9),
    )
    found = records.alert_line(incident(anomaly(features=features)), VERDICT, "g")
    assert found["hedgerow"]["features"][:2] == [
        {"name": "src_ports", "value": 86.0, "usual_low": 1.0, "usual_high": 4.0},
        {"name": "byte_asymmetry", "value": -0.5, "usual_low": -1.0, "usual_high": 1.0},
    ]
    assert found["hedgerow"]["features"][2]["value"] is None
    json.dumps(found, allow_nan=False)


def test_an_alert_in_ecs():
    found = incident(anomaly(1_795_407_081.25, duration=2.0, features=FEATURES))
    line = ecs.alert_line(found, VERDICT, "ward 3", Event.CLOSED)
    assert line["@timestamp"] == line["event"]["end"] == "2026-11-23T04:11:23.250000Z"
    assert line["event"]["start"] == "2026-11-23T04:11:21.250000Z"
    assert line["event"]["duration"] == 2_000_000_000
    assert line["event"]["action"] == "incident-closed"
    assert line["source"] == {"address": "198.18.1.66", "ip": "198.18.1.66", "port": 4444}
    assert line["rule"]["id"] == line["event"]["code"] == "101"
    assert line["hedgerow"]["features"][0]["name"] == "ports_30s"


def test_an_alert_in_syslog_hides_nothing_and_breaks_nothing():
    found = incident(anomaly(features=FEATURES, community_id='1:"]\\\n\x1b='))
    text = syslog.alert_line(found, VERDICT, "ward 3 Ü", Event.OPENED)
    assert "\n" not in text
    parts = parse_syslog(text.encode())
    assert (parts["pri"], parts["host"]) == ("113", "ward-3--")
    assert parts["params"]["communityId"] == '1:"]\\??='
    assert parts["params"]["features"] == "ports_30s=812 duration=0"
    assert parts["params"]["threshold"] == "4"
    assert parts["msg"] == "\ufeffHEDGEROW scan suspected: 1 flows of 198.18.1.66"


def test_alerts_go_to_every_output_in_its_format(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.setblocking(False)
        outputs = [
            {"path": str(tmp_path / "ecs.jsonl"), "format": "ecs", "events": ["opened"]},
            {"to": f"unix://{tmp_path}/log", "format": "syslog"},
        ]
        settings = Settings.defaults().with_overrides(
            {"node.state_dir": str(tmp_path), "alerts.output": outputs}
        )
        alerter = Alerter(settings, "kitchen")

        async def main():
            await trio.lowlevel.checkpoint()
            alerter.take(anomalies(5), SERVING, START_S)
            alerter.take([], SERVING, START_S + 1e4)

        trio.run(main)
        alerter.close()
        got = [parse_syslog(daemon.recv(4_096)) for _ in range(2)]
    assert [each["msgid"] for each in got] == ["opened", "closed"]
    (line,) = (tmp_path / "ecs.jsonl").read_text().splitlines()
    check_ecs(json.loads(line))
    eve = [json.loads(line) for line in settings.alerts_path.read_text().splitlines()]
    for line in eve:
        check_eve(line)
    assert len({line["hedgerow"]["incident"] for line in eve}) == 1
    assert {each["params"]["incident"] for each in got} == {eve[0]["hedgerow"]["incident"]}


def test_messages_over_udp_are_datagrams():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("::1", 0))
        daemon.settimeout(10)
        sender = Sender(f"udp://[::1]:{daemon.getsockname()[1]}")
        assert sender.append(b"one", 0.0)
        assert daemon.recv(100) == b"one"
        sender.close()
    assert (sender.written, sender.waiting, sender.lost) == (1, 0, 0)


def test_messages_over_tcp_are_counted_and_wait_for_a_daemon_that_is_away():
    with socket.socket() as daemon:
        daemon.bind(("127.0.0.1", 0))
        sender = Sender(f"tcp://127.0.0.1:{daemon.getsockname()[1]}")
        sender.append(b"first", 0.0)  # nobody listens
        sender.retry(1.0)
        daemon.listen(1)
        for i in range(WAITING_MAX):
            sender.append(b"%04d" % i, 2.0)
        assert (sender.written, sender.waiting, sender.lost) == (0, WAITING_MAX, 1)
        data = b""
        sender.retry(3 * RETRY_S)
        connection, _ = daemon.accept()
        with connection:
            while not data.endswith(b"4 0999"):
                sender.retry(3 * RETRY_S)
                data += connection.recv(100)
        sender.close()
    assert data == b"".join(b"4 %04d" % i for i in range(WAITING_MAX))
    assert (sender.written, sender.waiting, sender.lost) == (WAITING_MAX, 0, 1)


def test_a_socket_that_is_not_there_yet_is_waited_for(tmp_path):
    sender = Sender(f"unix://{tmp_path}/log")
    assert not sender.append(b"one", 0.0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        sender.retry(RETRY_S / 2)
        assert sender.waiting == 1
        sender.retry(RETRY_S)
        assert daemon.recv(100) == b"one"
    sender.close()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({}, "either a file"),
        ({"path": "a", "to": "udp://127.0.0.1:514", "format": "syslog"}, "either a file"),
        ({"to": "udp://127.0.0.1:514"}, 'write format = "syslog"'),
        ({"to": "udp://192.0.2.1:514", "format": "syslog"}, "remote = true"),
        ({"to": "udp://localhost:514", "format": "syslog"}, "no target; write an IP address"),
        ({"to": "udp://127.0.0.1", "format": "syslog"}, "no target"),
        ({"to": "http://127.0.0.1:514", "format": "syslog"}, "no target"),
        ({"to": "unix://dev/log", "format": "syslog"}, "no target"),
        ({"path": "a", "events": ["begun"]}, "is not a choice"),
        ({"path": "a", "format": "cef"}, "is not a choice"),
    ],
)
def test_outputs_that_make_no_sense_are_refused(output, said):
    with pytest.raises(ConfigError, match=said):
        Settings.defaults().with_overrides({"alerts.output": [output]})


def test_two_outputs_do_not_share_a_file_and_remote_ones_are_asked_for(tmp_path):
    one = {"path": str(tmp_path / "a")}
    with pytest.raises(ConfigError, match="named twice"):
        Settings.defaults().with_overrides({"alerts.output": [one, one]})
    far = {"to": "tcp://192.0.2.1:601", "format": "syslog", "remote": True}
    assert Settings.defaults().with_overrides({"alerts.output": [far]}).alerts.outputs[0].remote
