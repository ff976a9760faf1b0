"""Every bound of the transport in one place. Tests shorten them; a node uses the defaults."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Deadlines in seconds, sizes in bytes, counts.

    Where a default says "measured", it is the value that held under load, silent peers and dead
    links with py-libp2p 0.8.1; where it says "ours", it follows from a model frame of 40 kB.

    Args:
        dial_s: TCP connect, handshakes and multiplexer, outbound as inbound (measured).
        new_stream_s: opening a stream, or waiting for a remote one to say what it wants (measured).
        request_s: a whole exchange, to which the time for its bytes is added (measured).
        bandwidth_bytes_s: slowest link that we wait for, 64 kB/s (ours).
        handler_s: what our own handler may take (measured).
        frame_write_s: one multiplexer frame of at most 64 kB onto the socket (measured).
        keepalive_s: silence after which a peer is asked for a sign of life (measured).
        keepalive_reply_s: how long it has to answer (measured).
        close_s: a polite good-bye; then the socket is cut (measured).
        leave_s: the same when the whole node leaves, which may take 2 s in all (ours).
        rebuild_s: first pause before a dead host is built anew, doubling up to 32 times (ours).
        refuse_s: how long a peer that misbehaved is not let in (ours).
        frame_bytes_max: largest request and largest reply; 25 frames of the default model (ours).
        inflight_bytes_max: requests being received, or being sent, by all peers together (ours).
        inflight_bytes_peer_max: the same for one peer; also what a connection may buffer (ours).
        connections_max: kept at most; the least recently used goes first (ours).
        connections_peer_max: to one peer; two, because both sides may dial at once (ours).
        streams_max: open at once on a connection, by either side; 500 starved others (measured).
        requests_peer_max: our own requests at once to one peer, well under streams_max (ours).
        stream_rate_s: streams a second and connection that a peer may open, in the mean (ours).
        stream_burst: streams that it may open at once above the mean (ours).
        dials_max: dials at once (ours).
        handshakes_max: inbound handshakes at once; the oldest makes room for the newest (ours).
        refused_max: peers remembered as misbehaving (ours).
    """

    dial_s: float = 10.0
    new_stream_s: float = 10.0
    request_s: float = 30.0
    bandwidth_bytes_s: float = 64_000.0
    handler_s: float = 30.0
    frame_write_s: float = 20.0
    keepalive_s: float = 10.0
    keepalive_reply_s: float = 10.0
    close_s: float = 5.0
    leave_s: float = 0.5
    rebuild_s: float = 0.25
    refuse_s: float = 60.0
    frame_bytes_max: int = 2**20
    inflight_bytes_max: int = 32 * 2**20
    inflight_bytes_peer_max: int = 4 * 2**20
    connections_max: int = 32
    connections_peer_max: int = 2
    streams_max: int = 64
    requests_peer_max: int = 16
    stream_rate_s: float = 500.0
    stream_burst: int = 1_000
    dials_max: int = 8
    handshakes_max: int = 32
    refused_max: int = 1_024
