"""Pictures as SVG, coloured by the style sheet: the mesh as a node sees it, lines over time."""

from collections.abc import Sequence
from math import cos, pi, sin

from node.status.document import PeerStatus
from node.web.markup import Markup, el
from node.web.wording import several

DRAWN_MAX = 24
"""Peers in the picture; more would lie upon each other. All are in the table beside it."""

_WIDTH, _HEIGHT, _RADIUS = 360, 310, 112


def mesh(name: str, peers: Sequence[PeerStatus]) -> Markup:
    """This node in the middle; lines to who is connected, dashes to who is only in the view."""
    drawn = sorted(peers, key=lambda each: not each.connected)[:DRAWN_MAX]
    middle_x, middle_y = _WIDTH / 2, _HEIGHT / 2
    lines, dots = [], []
    for number, peer in enumerate(drawn):
        angle = 2 * pi * number / len(drawn) - pi / 2
        # Every second one a little further out, so that their names do not meet.
        reach = _RADIUS * (1.12 if number % 2 and len(drawn) > 8 else 1.0)
        x, y = middle_x + reach * 1.2 * cos(angle), middle_y + reach * sin(angle)
        kind = "connected" if peer.connected else "known"
        ends = {
            "x1": f"{middle_x:.1f}",
            "y1": f"{middle_y:.1f}",
            "x2": f"{x:.1f}",
            "y2": f"{y:.1f}",
        }
        lines.append(el("line", class_=f"edge {kind}", **ends))
        dots.append(
            el(
                "g",
                el("title", f"{peer.peer}: {kind}"),
                el("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=9, class_=f"peer {kind}"),
                el("text", peer.peer[-6:], x=f"{x:.1f}", y=f"{y + 23:.1f}", class_="label"),
            )
        )
    me = [
        el("circle", cx=middle_x, cy=middle_y, r=14, class_="peer me"),
        el("text", name[:18], x=middle_x, y=middle_y + 30, class_="label me"),
    ]
    connected = sum(peer.connected for peer in peers)
    said = f"This node, connected to {connected} of {several(len(peers), 'known peer')}"
    return el(
        "svg", el("title", said), lines, dots, me,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", class_="mesh", aria_label=said,
    )  # fmt: skip


def lines(
    said: str, times: Sequence[float], series: Sequence[tuple[str, Sequence[float]]]
) -> Markup:
    """Lines over one span of time, stretched to the width that there is.

    Args:
        said: what they show, in words.
        times: s, increasing; two at least.
        series: a class of the style sheet, and as many values as there are times.
    """
    top = max((max(values) for _, values in series), default=0.0) or 1.0
    span = times[-1] - times[0] or 1.0
    shapes = []
    for kind, values in series:
        points = [
            f"{600 * (t - times[0]) / span:.1f},{118 - 114 * v / top:.1f}"
            for t, v in zip(times, values, strict=True)
        ]
        shapes.append(
            el("polygon", points=f"0,120 {' '.join(points)} 600,120", class_=f"area {kind}")
        )
        shapes.append(el("polyline", points=" ".join(points), class_=f"line {kind}"))
    return el(
        "svg", el("title", said), shapes,
        viewBox="0 0 600 120", preserveAspectRatio="none", role="img", class_="chart",
        aria_label=said,
    )  # fmt: skip
