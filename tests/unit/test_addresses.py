"""Multiaddrs: what is taken, and what a person is told of one that is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from gossip.contacts import ADDRESSES_MAX, Contact, PeerId
from node.addresses import (
    EXAMPLE,
    EXAMPLE_ADDRESS,
    EXAMPLE_PEER,
    check_announce,
    check_bootstrap,
    check_listen,
    merge_contacts,
    parse_address,
    parse_contact,
    parse_peer,
)
from node.p2p.identity import Identity, new_identity

HOSTS = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: f"ip4/{ip}"),
    st.ip_addresses(v=6).map(lambda ip: f"ip6/{ip}"),
    st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,3}", fullmatch=True).map("dns4/{}".format),
)


def test_the_examples_are_right() -> None:
    assert parse_contact(EXAMPLE) == Contact(PeerId(EXAMPLE_PEER), (EXAMPLE_ADDRESS,))


@given(HOSTS, st.integers(1, 65_535))
def test_what_is_accepted_is_a_multiaddr(host: str, port: int) -> None:
    parsed = str(parse_address(f"/{host}/tcp/{port}"))
    assert Multiaddr(parsed) == Multiaddr(f"/{host}/tcp/{port}")
    assert str(parse_address(parsed)) == parsed
    assert parse_contact(f"{parsed}/p2p/{EXAMPLE_PEER}").addresses == (parsed,)


@given(st.text(max_size=300) | st.text("/ip46dns.tcp2:019", max_size=80))
def test_any_text_is_an_address_or_one_error(text: str) -> None:
    for parse in (parse_address, parse_contact, lambda each: parse_address(each, listen=True)):
        problem = ""
        try:
            parse(text)
        except ValueError as error:
            problem = str(error)
        assert not problem or "A right one: /ip4/" in problem
        assert len(problem) < 1_000


@given(st.binary(min_size=32, max_size=32))
def test_a_peer_id_is_what_libp2p_takes_for_one(seed: bytes) -> None:
    peer = Identity(seed).peer
    assert parse_peer(peer) == peer


@given(st.binary(max_size=45))
def test_other_base58_is_no_peer_id(raw: bytes) -> None:
    text = ID(raw).to_base58()
    assert ID.from_base58(text).to_bytes() == raw
    with pytest.raises(ValueError, match=r"Ed25519|no base58"):
        parse_peer(text)


@given(st.integers(0, 51), st.sampled_from("0OIl é/"))
def test_one_wrong_character_makes_it_no_peer_id(place: int, wrong: str) -> None:
    with pytest.raises(ValueError, match="no base58"):
        parse_peer(EXAMPLE_PEER[:place] + wrong + EXAMPLE_PEER[place + 1 :])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a multiaddr"),
        ("192.0.2.7:4001", "is not a multiaddr"),
        ("ip4/192.0.2.7/tcp/4001", "is not a multiaddr"),
        ("/ip4/192.0.2.7", "is not a multiaddr"),
        ("/ip4/192.0.2.7/tcp/4001/", "is not a multiaddr"),
        ("/ip4/192.0.2.7/udp/4001", "/udp/ is not supported, only /tcp/"),
        ("/ip4/192.0.2.7/tcp/4001/ws/x", "/ws/ is not supported after the port, only /p2p/"),
        ("/ip4/192.0.2.300/tcp/4001", "is not an /ip4/ address"),
        ("/ip4/::1/tcp/4001", "is not an /ip4/ address"),
        ("/ip6/192.0.2.7/tcp/4001", "is not an /ip6/ address"),
        ("/dns/a.example/tcp/4001", "/dns/ is not supported here; use /ip4/ or /ip6/ or /dns4/"),
        ("/unix/x/tcp/1", "/unix/ is not supported"),
        ("/dns4/-a.example/tcp/4001", "is not a host name"),
        ("/dns4/a..b/tcp/4001", "is not a host name"),
        ("/dns4//tcp/4001", "is not a host name"),
        ("/ip4/192.0.2.7/tcp/0", "'0' is not a TCP port; give 1 to 65535"),
        ("/ip4/192.0.2.7/tcp/-1", "is not a TCP port"),
        ("/ip4/192.0.2.7/tcp/65536", "is not a TCP port"),
        ("/ip4/192.0.2.7/tcp/٤٠٠١", "is not a TCP port"),
        ("/ip4/192.0.2.7/tcp/4001", "append /p2p/"),
        ("/ip4/192.0.2.7/tcp/4001/p2p/nobody", "not the id of an Ed25519 key"),
        ("/ip4/192.0.2.7/tcp/4001/p2p/0OIl", "no base58"),
        ("/ip4/192.0.2.7/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "Ed25519"),
        ("/ip4/192.0.2.7/tcp/4001" + "/x" * 500, "1023 characters"),
        ("/dns4/" + "a" * 100_000 + "/tcp/1", "characters"),
    ],
)
def test_a_wrong_bootstrap_address_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        check_bootstrap(text)
    assert str(caught.value).endswith(f"A right one: {EXAMPLE}")
    assert len(str(caught.value)) < 500


def test_where_to_listen_is_an_address_of_this_machine() -> None:
    for text in ("/ip4/0.0.0.0/tcp/0", "/ip6/fe80::1/tcp/0", "/ip4/127.0.0.1/tcp/65535"):
        assert check_listen(text) == text
    with pytest.raises(ValueError, match="use /ip4/ or /ip6/"):
        check_listen("/dns4/localhost/tcp/4001")
    with pytest.raises(ValueError, match=f"leave /p2p/… out. A right one: {EXAMPLE_ADDRESS}"):
        check_listen(EXAMPLE)


def test_what_is_announced_can_be_dialled() -> None:
    for text in ("/dns4/gw-1.example.org/tcp/4001", "/dns4/gateway_1/tcp/4001"):
        assert check_announce(text) == text
    with pytest.raises(ValueError, match="is not a TCP port"):
        check_announce("/ip4/192.0.2.7/tcp/0")


def test_contacts_of_one_peer_are_merged() -> None:
    here = [parse_contact(f"/ip4/192.0.2.{n}/tcp/4001/p2p/{EXAMPLE_PEER}") for n in (1, 2, 1, 3)]
    other = Contact(new_identity().peer, ("/ip4/192.0.2.9/tcp/1",))
    merged = merge_contacts([here[0], other, *here[1:]])
    assert merged == (
        Contact(PeerId(EXAMPLE_PEER), tuple(f"/ip4/192.0.2.{n}/tcp/4001" for n in (1, 2, 3))),
        other,
    )
    many = [Contact(other.peer, (f"/ip4/192.0.2.9/tcp/{port}",)) for port in range(1, 9)]
    assert len(merge_contacts(many)[0].addresses) == ADDRESSES_MAX


def test_settings_are_read_without_libp2p() -> None:
    """It takes a second to import, for which `hedgerow status` should not wait."""
    command = "import sys, node.config.settings; print([m for m in sys.modules if 'libp2p' in m])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
