"""Dialling: one dial a peer at a time, a deadline for all of it, and a reason when it fails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.pnet.protector import new_protected_conn

from gossip.contacts import ADDRESSES_MAX, Contact
from node.addresses import Address, parse_address, parse_peer
from node.p2p import tcp
from node.p2p.hardening import dial_deadline
from node.p2p.limits import Limits
from node.p2p.stats import Stats
from node.p2p.swarm import HardenedSwarm
from node.p2p.transport import PeerUnreachable


@dataclass(slots=True)
class Dialler:
    """Dials; holds no state but its settings.

    Args:
        psk: the private mesh's key.
        limits: `dial_s` is for all addresses of a peer together.
        stats: counts bytes and dials.
        deadline: False only to show that upstream has none.
        swarm: waits for the live swarm.
    """

    psk: bytes | None
    limits: Limits
    stats: Stats
    deadline: bool
    swarm: Callable[[], Awaitable[HardenedSwarm]]

    async def dial(self, to: Contact) -> None:
        """Connect to the first address at which that very peer answers.

        Raises:
            PeerUnreachable: with the reason for each address.
        """
        self.stats.dials += 1
        try:
            await self._dial(to)
        except PeerUnreachable:
            self.stats.dials_failed += 1
            raise

    async def _dial(self, to: Contact) -> None:
        try:
            peer = ID.from_base58(parse_peer(to.peer))
        except ValueError as error:
            raise PeerUnreachable(str(error)) from error
        if not to.addresses:
            raise PeerUnreachable("no address of it is known")
        reasons: list[str] = []
        addresses = to.addresses[:ADDRESSES_MAX]
        deadline = trio.current_time() + self.limits.dial_s
        for tried, text in enumerate(addresses):
            # A silent address must not use up the time of those after it.
            share_s = max(0.0, deadline - trio.current_time()) / (len(addresses) - tried)
            try:
                address = parse_address(text)
            except ValueError as error:
                reasons.append(str(error))
                continue
            try:
                await self._dial_address(address, peer, share_s)
            except PeerUnreachable as error:
                reasons.append(f"{text}: {error}")
            else:
                return
        raise PeerUnreachable("; ".join(reasons))

    async def _dial_address(self, address: Address, peer: ID, share_s: float) -> None:
        stream: tcp.CountedStream | None = None
        try:
            with dial_deadline(share_s, enabled=self.deadline):
                swarm = await self.swarm()
                stream = await tcp.connect(address, self.stats)
                raw = RawConnection(stream, initiator=True)
                if self.psk is not None:
                    raw = new_protected_conn(raw, self.psk.hex())
                await swarm.upgrade_outbound_raw_conn(raw, peer)
                stream = None
        except trio.TooSlowError as error:
            if stream is None:
                raise PeerUnreachable(f"no connection within {share_s:.3g} s") from error
            raise PeerUnreachable(
                f"connected, but no handshake within {share_s:.3g} s; {self._suspicion()}"
            ) from error
        except OSError as error:
            raise PeerUnreachable(_root(error)) from error
        except Exception as error:  # upstream has a dozen kinds for a handshake that failed
            reason = _root(error)
            if "mismatch" in reason or "does not correspond" in reason:
                reason = reason.splitlines()[0]
                raise PeerUnreachable(f"another peer answers there ({reason})") from error
            raise PeerUnreachable(f"handshake failed ({reason}); {self._suspicion()}") from error
        finally:
            if stream is not None:
                with trio.CancelScope(shield=True):
                    await stream.close()

    def _suspicion(self) -> str:
        if self.psk is None:
            return "is it a Hedgerow node, and of an open mesh without a pre-shared key?"
        return "has it the same pre-shared key?"


def _root(error: BaseException) -> str:
    """The text of the first cause that says something."""
    while True:
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
        if inner is None or not (str(inner) or isinstance(inner, BaseExceptionGroup)):
            break
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
