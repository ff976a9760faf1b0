"""Traffic: what the node itself sends and receives, and the flows that it sees, over time."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from node.status.view import bytes_text, duration_text
from node.web import drawing
from node.web.history import Point
from node.web.layout import View, section
from node.web.markup import Markup, Node, el
from node.web.wording import pairs, rate

SPANS = (("hour", "Last hour"), ("day", "Last day"))


def body(view: View, span: str) -> Node:
    """What stands on it; `span` is "hour" or "day"."""
    points = view.history.day if span == "day" else view.history.hour
    mesh, detector = view.status.mesh, view.status.detector
    choices = [
        el("a", name, href=f"/traffic?span={key}", aria_current="true" if key == span else None)
        for key, name in SPANS
    ]
    return [
        el("h1", "Traffic"),
        el("p", choices, class_="choices"),
        el(
            "div",
            section(
                "Bytes of the mesh",
                pairs(
                    ("Received", bytes_text(mesh.bytes_in)),
                    ("Sent", bytes_text(mesh.bytes_out)),
                ),
                _chart(
                    points,
                    ("in", "received", lambda p: p.bytes_in),
                    ("out", "sent", lambda p: p.bytes_out),
                    rate,
                ),
                wide=True,
                id_="bytes",
            ),
            section(
                "Flows of this network",
                pairs(
                    ("Seen", f"{detector.flows_seen:,}"),
                    ("Anomalous", f"{detector.flows_anomalous:,}"),
                ),
                _chart(
                    points,
                    ("in", "seen", lambda p: p.flows),
                    ("bad", "anomalous", lambda p: p.anomalous),
                    lambda per_s: f"{per_s:,.3g} flows/s",
                ),
                wide=True,
                id_="flows",
            ),
            class_="cards",
        ),
    ]


Line = tuple[str, str, Callable[[Point], int]]


def _chart(points: Sequence[Point], one: Line, other: Line, said: Callable[[float], str]) -> Markup:
    rates = [(kind, name, _rates(points, of)) for kind, name, of in (one, other)]
    times = [point.ts_s for point in points[1:]]
    if len(times) < 2:
        return el("p", "A line needs half a minute of life; come back soon.", class_="empty")
    legend = [
        el(
            "li",
            el("span", class_=f"swatch {kind}"),
            f"{name}: {said(values[-1])} now, {said(max(values))} at most",
        )
        for kind, name, values in rates
    ]
    span = duration_text(times[-1] - times[0])
    words = (
        f"{one[1]} and {other[1]} over {span}, at most {said(max(map(max, (r[2] for r in rates))))}"
    )
    return el(
        "figure",
        el("ul", legend, class_="legend"),
        drawing.lines(words, times, [(kind, values) for kind, _, values in rates]),
        el("figcaption", el("span", f"{span} ago"), el("span", "now")),
    )


def _rates(points: Sequence[Point], of: Callable[[Point], int]) -> list[float]:
    """Growth a second between neighbouring points."""
    return [
        max(0, of(after) - of(before)) / max(0.001, after.ts_s - before.ts_s)
        for before, after in pairwise(points)
    ]
