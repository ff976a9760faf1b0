"""Whether a bootstrap address leads to a node of one's own mesh, found out by dialling it."""

import errno
import socket
from dataclasses import dataclass

import trio

from gossip.contacts import Contact
from node.addresses import Address, parse_address
from node.p2p.host import open_transport
from node.p2p.identity import new_identity
from node.p2p.limits import Limits
from node.p2p.transport import PeerUnreachable, TransportSettings

GREETING = b"\x13/multistream/1.0.0\n"
"""What a libp2p node says first (multistream-select 1.0.0), unless a pre-shared key hides it."""

NONCE_BYTES = 24  # what a node with a pre-shared key says first (libp2p's specification of pnet)
LISTEN_S = 2.0  # our choice: a second and more above any round trip on land


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found at an address: whether it is a peer of ours, and in words; else a cure."""

    ok: bool
    found: str
    cure: str = ""


async def probe(contact: Contact, psk: bytes | None, dial_s: float) -> Probe:
    """Dial a peer under a name made up for this, prove who it is, say nothing, and hang up.

    Args:
        contact: with one address.
        psk: this mesh's pre-shared key.
        dial_s: deadline for the connection, and once more for the handshake.
    """
    address = parse_address(contact.addresses[0])
    first = await _first_words(address, dial_s)
    if isinstance(first, Probe):
        return first
    if (trouble := _foreign(first, psk)) is not None:
        return trouble
    settings = TransportSettings((), (), psk, Limits(dial_s=dial_s))
    async with open_transport(settings, new_identity()) as transport:
        try:
            await transport.reach(contact)
        except PeerUnreachable as error:
            return _refused(str(error), psk)
    return Probe(ok=True, found="answers, and is that peer")


async def _first_words(address: Address, dial_s: float) -> bytes | Probe:
    """What is said there to one who only listens; or why nobody could."""
    heard = b""
    try:
        with trio.fail_after(dial_s):
            stream = await trio.open_tcp_stream(address.host, address.port)
    except trio.TooSlowError:
        return Probe(
            ok=False,
            found=f"no answer within {dial_s:g} s",
            cure="is that machine on, and does a firewall on the way let this port through?",
        )
    except OSError as error:
        return _unreached(error, address)
    async with stream:
        with trio.move_on_after(LISTEN_S):
            try:
                while len(heard) < NONCE_BYTES and heard != GREETING:
                    chunk = await stream.receive_some(NONCE_BYTES)
                    if not chunk:
                        break
                    heard += chunk
            except trio.BrokenResourceError:
                pass
    return heard


def _unreached(error: BaseException, address: Address) -> Probe:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.__cause__ is not None and error.errno is None:
        return _unreached(error.__cause__, address)
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, socket.gaierror):
        return Probe(
            ok=False,
            found=f"the name {address.host} is not known",
            cure="check its spelling and this machine's name servers, or give an IP address",
        )
    if code == errno.ECONNREFUSED:
        return Probe(
            ok=False,
            found="refused: nothing listens on that port",
            cure="is the node there running, and is that its port (`hedgerow status` there)?",
        )
    if code in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return Probe(
            ok=False,
            found="no route to that machine",
            cure="check the address, and this machine's network and default route",
        )
    words = (isinstance(error, OSError) and error.strerror) or str(error)
    return Probe(ok=False, found=f"cannot be dialled: {words}", cure="check the address")


def _foreign(heard: bytes, psk: bytes | None) -> Probe | None:
    """Why this is no node that could be talked to; None where it may be one."""
    if heard == GREETING:
        if psk is None:
            return None
        return Probe(
            ok=False,
            found="a node of an open mesh answers",
            cure="leave node.psk_file away here, or give that node the key of this mesh",
        )
    if len(heard) >= NONCE_BYTES and not heard.isascii():
        if psk is not None:
            return None
        return Probe(
            ok=False,
            found="a node of a private mesh answers, or no libp2p at all",
            cure="set node.psk_file to a copy of that mesh's key",
        )
    words = heard.decode("ascii", "replace").split("\n")[0].strip()
    said = f"something else answers there ({words!r})" if words else "it takes the call in silence"
    return Probe(ok=False, found=f"{said}: no libp2p", cure="is this a Hedgerow node's port?")


def _refused(reason: str, psk: bytes | None) -> Probe:
    if "another peer answers" in reason:
        return Probe(
            ok=False,
            found="another peer answers there",
            cure="take the address from `hedgerow status` on that node; a node whose state folder "
            "was lost has a new name",
        )
    if psk is not None:
        return Probe(
            ok=False,
            found="a private mesh answers, with another key",
            cure="copy the file of node.psk_file from a node of that mesh",
        )
    return Probe(ok=False, found=reason, cure="look at that node's log")
