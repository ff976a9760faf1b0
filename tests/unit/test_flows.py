from dataclasses import FrozenInstanceError, replace

import pytest

from gossip.flows import FAMILIES, ConnState, Flow
from gossip.learning.learner import BENIGN

FLOW = Flow(
    ts=1_795_407_081.25,
    uid="7",
    orig_h="10.0.0.1",
    orig_p=40_000,
    resp_h="2001:db8::1",
    resp_p=443,
    proto="tcp",
    state=ConnState.CLOSED,
    duration=0.5,
    orig_pkts=10,
    resp_pkts=8,
    orig_ip_bytes=1_000,
    resp_ip_bytes=9_000,
)


def test_the_first_family_is_benign():
    assert FAMILIES[BENIGN] == "benign"
    assert len(set(FAMILIES)) == len(FAMILIES)


def test_a_flow_never_changes():
    with pytest.raises(FrozenInstanceError):
        FLOW.ts = 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ts", -1.0),
        ("ts", float("nan")),
        ("ts", float("inf")),
        ("ts", 1e15),
        ("duration", -0.1),
        ("duration", float("nan")),
        ("duration", float("inf")),
        ("orig_p", -1),
        ("orig_p", 65_536),
        ("resp_p", 65_536),
        ("orig_pkts", -1),
        ("orig_pkts", 2**64),
        ("resp_pkts", -1),
        ("orig_ip_bytes", -1),
        ("resp_ip_bytes", 2**64),
        ("orientation_confidence", 1.5),
        ("orientation_confidence", float("nan")),
        ("orig_h", ""),
        ("orig_h", "1" * 46),
        ("resp_h", ""),
        ("proto", ""),
        ("proto", "x" * 33),
        ("uid", "x" * 65),
        ("community_id", "x" * 65),
        ("sensor", "x" * 65),
        ("family", "Weather"),
        ("family", "dos\x1b[2J"),
        ("family", "x" * 49),
        ("family", ""),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name} "):
        replace(FLOW, **{name: value})


def test_a_label_may_name_any_attack():
    assert all(replace(FLOW, family=name).family == name for name in (*FAMILIES, "smurf", "x" * 48))


def test_the_extremes_are_allowed():
    flow = replace(
        FLOW, ts=0.0, duration=0.0, orig_p=0, resp_p=65_535, orig_pkts=2**64 - 1, family="other"
    )
    assert flow.orig_pkts == 2**64 - 1
