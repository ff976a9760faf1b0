"""Words and numbers of the pages."""

from math import expm1
from types import MappingProxyType

from gossip.features import UNITS
from node.control.documents import FeatureDocument
from node.status.view import bytes_text, duration_text
from node.times import short_time
from node.web.markup import Markup, Node, el

FEATURES = MappingProxyType(
    {
        "duration": "duration, s",
        "orig_pkts": "packets of the source",
        "resp_pkts": "packets of the destination",
        "orig_ip_bytes": "bytes of the source",
        "resp_ip_bytes": "bytes of the destination",
        "orig_bytes_per_pkt": "bytes per packet of the source",
        "resp_bytes_per_pkt": "bytes per packet of the destination",
        "pkts_per_s": "packets per second",
        "byte_asymmetry": "more bytes from the source (1) or the destination (-1)",
        "proto_tcp": "is TCP",
        "proto_udp": "is UDP",
        "proto_icmp": "is ICMP",
        "state_closed": "ended as usual",
        "state_no_reply": "without a reply",
        "state_rejected": "was rejected",
        "state_reset": "was reset",
        "state_open": "did not end",
        "port_system": "to a port below 1024",
        "port_registered": "to a registered port",
        "port_ephemeral": "to an ephemeral port",
        "src_flows": "flows of the source within 30 s",
        "src_ports": "ports that the source tried within 30 s",
        "src_hosts": "hosts that the source tried within 30 s",
        "src_failures": "share of the source's flows that failed",
        "dst_flows": "flows to the destination within 30 s",
        "pair_flows": "flows between the two within 30 s",
    }
)
"""What each feature of `gossip.features.SCHEMA` says, for people."""


def feature(found: FeatureDocument) -> tuple[str, str, str]:
    """Name, value and usual range, in the unit that people count in."""
    name = FEATURES.get(found.name, found.name)
    if UNITS.get(found.name, "").startswith(("0 or 1", "responder port")):
        usual = {(0, 0): "no", (1, 1): "yes"}.get(
            (round(found.usual_low), round(found.usual_high)), "either"
        )
        return name, "yes" if found.value > 0.5 else "no", usual
    low, high = _plain(found.name, found.usual_low), _plain(found.name, found.usual_high)
    usual = low if low == high else f"{low} to {high}"
    return name, _plain(found.name, found.value), usual


def _plain(name: str, value: float) -> str:
    if UNITS.get(name, "").startswith("log1p"):
        value = expm1(min(value, 60.0))
    rounded = round(value)
    whole = abs(value - rounded) < 0.005 or abs(value) >= 100
    return f"{rounded:,}" if whole else f"{value:,.3g}"


def number(value: float | None, form: str = ",.4g") -> str:
    """A number, or a dash."""
    return "—" if value is None else format(value, form)


def when(ts_s: float | None) -> Markup:
    """A moment in UTC, for people and programs."""
    said = short_time(ts_s)
    if ts_s is None:
        return el("span", said)
    return el("time", said, datetime=said.replace(" ", "T"))


def rate(per_s: float) -> str:
    """Bytes a second."""
    return f"{bytes_text(round(per_s))}/s"


def ago(seconds: float | None) -> str:
    """How long since."""
    return "never" if seconds is None else f"{duration_text(seconds)} ago"


def short(peer: str) -> Markup:
    """The end of a peer's identity, which tells it from others; all of it for who points there."""
    return el("code", f"…{peer[-8:]}" if len(peer) > 8 else peer, title=peer)


def badge(word: str, kind: str = "") -> Markup:
    """A word that stands out; `kind` is good, warn, bad or empty. Colour never says it alone."""
    return el("span", word, class_=f"badge {kind}".strip())


def several(count: int, one: str, more: str = "") -> str:
    """`1 peer`, `2 peers`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def pairs(*facts: tuple[str, Node]) -> Markup:
    """A list of names and what stands behind them."""
    return el("dl", [el("div", el("dt", name), el("dd", fact)) for name, fact in facts])
