"""Neighbours: the mesh as this node sees it, and what came from whom."""

from node.status.document import PeerStatus
from node.status.view import bytes_text
from node.web import drawing
from node.web.layout import View, section, table
from node.web.markup import Markup, Node, el
from node.web.wording import ago, badge, pairs, several


def body(view: View) -> Node:
    """What stands on it."""
    mesh = view.status.mesh
    rows = [
        (
            el("code", peer.peer, class_="long"),
            _state(peer),
            f"{peer.merges:,}",
            f"{peer.antigens:,}",
            f"{peer.frames_in:,} / {bytes_text(peer.bytes_in)}",
            f"{peer.frames_out:,} / {bytes_text(peer.bytes_out)}",
            ago(peer.heard_s),
        )
        for peer in mesh.peers
    ]
    headings = ("Peer", "State", "Models merged", "Antigens", "Frames in", "Frames out", "Heard")
    return [
        el("h1", "Neighbours"),
        el(
            "div",
            section(
                "The mesh as this node sees it",
                drawing.mesh(view.status.name, mesh.peers),
                el(
                    "p",
                    "A line is a connection that is open now; dashes lead to a peer that is known "
                    "and may be chosen next.",
                    class_="faint",
                ),
                id_="mesh",
            ),
            section("Turned away", _refusals(view), id_="refused"),
            section(
                "What came from whom",
                table(
                    "Peers, with what was exchanged since the start",
                    headings,
                    rows,
                    empty="No peer is known yet. Others join by the addresses on the overview.",
                    keys=[f"peer-{peer.peer}" for peer in mesh.peers],
                ),
                id_="peers",
                wide=True,
            ),
            class_="cards two",
        ),
    ]


def _state(peer: PeerStatus) -> Node:
    state = badge("connected", "good") if peer.connected else badge("known")
    return [state, " ", badge(several(peer.faults, "fault"), "bad")] if peer.faults else state


def _refusals(view: View) -> Markup:
    mesh = view.status.mesh
    return pairs(
        ("By this node", _counts(mesh.refusals)),
        ("This node by others", _counts(mesh.refused_by)),
        ("Messages ignored", _counts(mesh.shed)),
        ("Breaches of the protocol", f"{mesh.remote_faults:,}"),
    )


def _counts(counts: dict[str, int]) -> Node:
    if not counts:
        return "none"
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return el("ul", [el("li", f"{reason}: {count:,}") for reason, count in ordered], class_="plain")
