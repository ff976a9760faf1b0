import communityid
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.sensors.community import PROTOCOLS, community_id

PORTED = ("tcp", "udp", "sctp")
v4 = st.ip_addresses(v=4).map(str)
v6 = st.ip_addresses(v=6).map(str)
ports = st.integers(0, 65_535)
pairs = st.one_of(st.tuples(v4, v4), st.tuples(v6, v6))
oracle = communityid.CommunityID()


@given(st.sampled_from(sorted(PROTOCOLS)), pairs, ports, ports)
def test_agrees_with_the_reference_package(proto, pair, one, two):
    number = PROTOCOLS[proto]
    orig, resp = pair
    if proto in PORTED:
        expected = oracle.calc(communityid.FlowTuple(number, orig, resp, one, two))
        assert community_id(proto, resp, two, orig, one) == expected  # either way round
    else:
        expected = oracle.calc(communityid.FlowTuple(number, orig, resp))
    assert community_id(proto, orig, one, resp, two) == expected


def test_published_examples():
    # From the specification's baseline: https://github.com/corelight/community-id-spec
    assert (
        community_id("tcp", "128.232.110.120", 34855, "66.35.250.204", 80)
        == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
    )
    assert (
        community_id("icmp", "192.168.0.89", 8, "192.168.0.1", 0)
        == "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="
    )


def test_icmp_of_both_versions_pairs_request_and_answer():
    for orig, resp, ask, answer in (("10.0.0.1", "10.0.0.2", 8, 0), ("::1", "::2", 128, 129)):
        asked = community_id("icmp", orig, ask, resp, 0)
        assert asked.startswith("1:")
        assert community_id("icmp", resp, answer, orig, 0) == asked


def test_a_protocol_without_a_number_has_none():
    assert community_id("unknown_transport", "10.0.0.1", 0, "10.0.0.2", 0) == ""


@pytest.mark.parametrize("host", ["", "10.0.0", "fe80::1%eth0", "example.org", "1\0", "\ud800"])
def test_no_address_no_identity(host):
    with pytest.raises(ValueError, match="is not an IP address"):
        community_id("tcp", host, 1, "10.0.0.2", 2)


def test_mixed_versions_are_refused():
    with pytest.raises(ValueError, match="different IP versions"):
        community_id("tcp", "10.0.0.1", 1, "::2", 2)
