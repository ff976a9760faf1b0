"""The one record that every sensor's log is turned into, and the families of attack.

Names follow Zeek's `conn.log`. The same things elsewhere:

| here | Elastic Common Schema | IPFIX |
|---|---|---|
| ts | event.start | flowStartMicroseconds |
| orig_h, orig_p | source.ip, .port | sourceIPv4Address, sourceTransportPort |
| resp_h, resp_p | destination.ip, .port | destinationIPv4Address, destinationTransportPort |
| proto | network.transport | protocolIdentifier |
| duration | event.duration | flowEndMicroseconds - flowStartMicroseconds |
| orig_pkts, resp_pkts | source.packets, destination.packets | packetDeltaCount, its reverse |
| orig_ip_bytes, resp_ip_bytes | source.bytes, destination.bytes | octetDeltaCount, its reverse |
| community_id | network.community_id | none |
"""

from dataclasses import dataclass
from enum import Enum

from gossip.antigens import FAMILY_CHARS_MAX, is_family

FAMILIES = (
    "benign",
    "scan",
    "dos",
    "brute-force",
    "exploit",
    "exfiltration",
    "malware",
    "other",
)
"""The standard families, which sensors give; the index is a row's label (0 = benign). Labels from
elsewhere, and antigens, may name others (`gossip.antigens.is_family`).

"scan" takes in host discovery and every other kind of reconnaissance; "other" is an attack that
its source could not name more closely.
"""

TS_MAX = 253_402_300_800.0  # 10000-01-01: later is a damaged line, and microseconds stay exact
COUNT_MAX = 2**64 - 1  # Zeek's and IPFIX's counters have 64 bits
DURATION_S_MAX = 1e9
PORT_MAX = 65_535
HOST_CHARS_MAX = 45  # an IPv6 address with an IPv4 tail
PROTO_CHARS_MAX = 32
TEXT_CHARS_MAX = 64


class ConnState(Enum):
    """How a connection went, in the five classes that every sensor can tell apart."""

    CLOSED = "closed"  # both sides ended it, or a connectionless exchange was answered
    NO_REPLY = "no reply"  # the responder sent nothing
    REJECTED = "rejected"  # the responder refused
    RESET = "reset"  # established, then torn down
    OPEN = "open"  # still open, or only its middle was seen


@dataclass(frozen=True, slots=True)
class Flow:
    """Both directions of one connection. The originator (`orig`) is who spoke first.

    Addresses, ports and names serve alerts and context only; none of them is ever a feature.

    Args:
        ts: start, seconds since 1970.
        uid: the sensor's own name for the flow.
        orig_h: the originator's address; orig_p its port, or the ICMP type.
        resp_h: the responder's address; resp_p its port, or the ICMP code.
        proto: transport in lower case: "tcp", "udp", "icmp" (both versions), or another name.
        state: how it went.
        duration: first to last packet, s.
        orig_pkts: packets sent by the originator; resp_pkts by the responder.
        orig_ip_bytes: bytes from the IP header on, sent by the originator; resp_ip_bytes likewise.
        community_id: Corelight's Community ID, version 1; empty where none can be computed.
        sensor: which log it came from.
        orientation_confidence: belief in [0, 1] that the originator really began.
        family: a weak label: "benign", one of `FAMILIES`, or another name that
            `gossip.antigens.is_family` allows; None where nobody has said.

    Raises:
        ValueError: a value is out of range; the text begins with the field's name.
    """

    ts: float
    uid: str
    orig_h: str
    orig_p: int
    resp_h: str
    resp_p: int
    proto: str
    state: ConnState
    duration: float
    orig_pkts: int
    resp_pkts: int
    orig_ip_bytes: int
    resp_ip_bytes: int
    community_id: str = ""
    sensor: str = ""
    orientation_confidence: float = 1.0
    family: str | None = None

    def __post_init__(self) -> None:
        """Check every range; one expression first, because nearly every flow is sound."""
        if not (
            0.0 <= self.ts <= TS_MAX  # a NaN fails every comparison
            and 0.0 <= self.duration <= DURATION_S_MAX
            and 0 <= self.orig_p <= PORT_MAX
            and 0 <= self.resp_p <= PORT_MAX
            and 0 <= self.orig_pkts <= COUNT_MAX
            and 0 <= self.resp_pkts <= COUNT_MAX
            and 0 <= self.orig_ip_bytes <= COUNT_MAX
            and 0 <= self.resp_ip_bytes <= COUNT_MAX
            and 0.0 <= self.orientation_confidence <= 1.0
            and 0 < len(self.orig_h) <= HOST_CHARS_MAX
            and 0 < len(self.resp_h) <= HOST_CHARS_MAX
            and 0 < len(self.proto) <= PROTO_CHARS_MAX
            and len(self.uid) <= TEXT_CHARS_MAX
            and len(self.community_id) <= TEXT_CHARS_MAX
            and len(self.sensor) <= TEXT_CHARS_MAX
            and (self.family is None or self.family in FAMILIES or is_family(self.family))
        ):
            self._refuse()

    def _refuse(self) -> None:
        """Name the first field that is out of range."""
        numbers: tuple[tuple[str, float], ...] = (
            ("ts", TS_MAX),
            ("duration", DURATION_S_MAX),
            ("orig_p", PORT_MAX),
            ("resp_p", PORT_MAX),
            ("orig_pkts", COUNT_MAX),
            ("resp_pkts", COUNT_MAX),
            ("orig_ip_bytes", COUNT_MAX),
            ("resp_ip_bytes", COUNT_MAX),
            ("orientation_confidence", 1.0),
        )
        for name, high in numbers:
            value = getattr(self, name)
            if not 0 <= value <= high:
                raise ValueError(f"{name} = {value} is not between 0 and {high}")
        texts = (
            ("orig_h", 1, HOST_CHARS_MAX),
            ("resp_h", 1, HOST_CHARS_MAX),
            ("proto", 1, PROTO_CHARS_MAX),
            ("uid", 0, TEXT_CHARS_MAX),
            ("community_id", 0, TEXT_CHARS_MAX),
            ("sensor", 0, TEXT_CHARS_MAX),
        )
        for name, low, high in texts:
            length = len(getattr(self, name))
            if not low <= length <= high:
                raise ValueError(f"{name} has {length} characters, not {low} to {high}")
        raise ValueError(
            f"family {str(self.family)[:40]!r} names no attack; write up to {FAMILY_CHARS_MAX} "
            "small letters, digits, blanks and ._/+-, a letter or digit first and last"
        )
