"""What py-libp2p 0.8.1 gets wrong and where this package works around it.

| # | upstream | work-around |
|---|---|---|
| 1 | an inbound slot is held until the swarm ends: after 250 inbound connections, none | `swarm` |
| 2 | an exception in a stream handler ends the host | `guarded` |
| 3 | a malformed pubsub message ends it from afar | by 2; and GossipSub is not offered |
| 4 | cancelling a blocked write leaves half a frame on the connection | `yamux` |
| 5 | a silent peer is never noticed | `yamux` |
| 6 | the receive window is not enforced | `yamux`, and by 12 it stays what it was |
| 7 | plaintext, secio and TLS are offered; an impostor needs only the public key | `security` |
| 8 | connections that the resource manager refuses keep their slot | `swarm` |
| 9 | dialling has no time limit | `dial_deadline` |
| 10 | closing a host hangs on a stuck peer | `yamux` |
| 11 | the auto-connector dials every known peer | `swarm` |
| 12 | every read grants anew, be it a byte, and doubles the window up to 16 MiB | `yamux` |

Each has a switch that only tests use: the regression test of each must fail without it. Beside
these: the Yamux class in `muxer_opt` is ignored (`yamux.StrictMuxer`), libp2p's listener hides what
it cannot bind (`tcp.bind`), an unread metrics channel blocks dials (we open none), and stale
addresses block a peer that moved for 60 s (`host.Libp2pTransport` dials only what it is given).
"""

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace

import trio
from libp2p.abc import INetStream, ISecureTransport
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.connection import swarm_connection
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL_ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.security.secio import transport as secio

StreamHandler = Callable[[INetStream], Awaitable[None]]
RESET_S = 2.0  # for a courtesy; the stream is given up anyway


@dataclass(frozen=True, slots=True)
class Hardening:
    """Which work-arounds are on: all, but in the test that shows that one is needed."""

    inbound_slots: bool = True  # 1
    guarded_handlers: bool = True  # 2
    whole_frames: bool = True  # 4
    keepalive: bool = True  # 5
    receive_window: bool = True  # 6
    noise_only: bool = True  # 7
    own_limits: bool = True  # 8
    dial_deadline: bool = True  # 9
    cut_stuck: bool = True  # 10
    no_auto_connector: bool = True  # 11
    rare_grants: bool = True  # 12

    def without(self, number: int) -> "Hardening":
        """All but one, by its number in the table."""
        numbers = (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12)
        name = fields(self)[numbers.index(number)].name
        return replace(self, **{name: False})


def guarded(handler: StreamHandler, failed: Callable[[Exception], None]) -> StreamHandler:
    """#2: upstream runs stream handlers in the host's own nursery, so one exception ends it all.

    Here it ends its stream, and `failed` is told.
    """

    async def guard(stream: INetStream) -> None:
        try:
            await handler(stream)
        except Exception as error:  # noqa: BLE001 - that nothing gets past is the whole point
            failed(error)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + RESET_S):
                await stream.reset()

    return guard


def security(keys: KeyPair, *, noise_only: bool) -> Mapping[TProtocol, ISecureTransport]:
    """#7: upstream offers Noise, TLS, secio and plaintext, and takes what the other side likes.

    Over plaintext the other side's word is all there is for its identity. Here: Noise.
    """
    noise = NoiseTransport(keys, noise_privkey=create_x25519_key_pair().private_key)
    if noise_only:
        return {NOISE_PROTOCOL_ID: noise}
    return {
        NOISE_PROTOCOL_ID: noise,
        TProtocol(secio.ID): secio.Transport(keys),
        TProtocol(PLAINTEXT_PROTOCOL_ID): InsecureTransport(keys),
    }


def dial_deadline(seconds: float, *, enabled: bool) -> AbstractContextManager[object]:
    """#9: upstream waits for ever on a listener that accepts and stays silent."""
    return trio.fail_after(seconds if enabled else math.inf)


def _tame_logging() -> None:
    """Silence upstream, which says every failed dial and every scanner at ERROR.

    Called once, on import, so that a program's own choice, made later, stands. Upstream's
    connection module logs through the root logger, which sets up the whole program's logging
    as a side effect; it is pointed at a logger of its own. With LIBP2P_DEBUG set, all is left to
    upstream.
    """
    logger = logging.getLogger("libp2p")
    if logger.level <= logging.DEBUG and logger.level != logging.NOTSET:
        return
    logger.setLevel(logging.CRITICAL)
    logger.propagate = True
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("libp2p."):  # some modules set a level of their own
            logging.getLogger(name).setLevel(logging.NOTSET)
    own = logging.getLogger("libp2p.network.connection")
    swarm_connection.logging = own  # type: ignore[attr-defined,assignment]  # same methods, another logger


_tame_logging()
