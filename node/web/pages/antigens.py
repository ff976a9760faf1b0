"""Antigens: what peers tell of attacks, and whether this node learns from it."""

from node.status.document import AntigenStatus
from node.status.view import bytes_text, share_text
from node.web.layout import View, table
from node.web.markup import Node, el
from node.web.wording import badge, several, short, when

_KINDS = {"quarantined": "bad", "waiting": "warn", "own": ""}
_MEANINGS = (
    ("own", "made by this node of its own labelled flows"),
    ("used", "learnt from"),
    ("known", "learnt from, beside rows of this node's own"),
    ("part", "learnt from but for some components, which look like this gateway's own traffic"),
    ("vouched", "learnt from, for other origins say the same"),
    ("approved", "learnt from, for the operator approved it"),
    ("quarantined", "not learnt from: it would raise false alarms here"),
    ("waiting", "not judged yet"),
)


def body(view: View) -> Node:
    """What stands on it."""
    found = view.status.antigens
    rows = [_row(each) for each in found.held]
    headings = ("Antigen", "Family", "State", "Why", "Alarms", "Origin", "Rows", "Size", "Expires")
    if not found.use:
        part = "This node takes no part: antigens.use = false."
    elif found.share:
        part = "This node shares antigens of its own labelled flows."
    else:
        part = "This node learns from others' antigens and shares none of its own."
    return [
        el("h1", "Antigens"),
        el("p", f"{several(len(found.held), 'antigen')} held. {part}", class_="lead"),
        table(
            "Antigens that are held",
            headings,
            rows,
            empty="None so far.",
            keys=[f"antigen-{each.id}" for each in found.held],
        ),
        el(
            "details",
            el("summary", "What the states mean"),
            el("dl", [el("div", el("dt", name), el("dd", said)) for name, said in _MEANINGS]),
            id="states",
        ),
        el(
            "p",
            "To use one that is quarantined: ",
            el("code", "hedgerow antigens approve ID"),
            ".",
            class_="faint",
        ),
    ]


def _row(each: AntigenStatus) -> tuple[Node, ...]:
    return (
        el("code", each.id),
        each.family,
        badge(each.state, _KINDS.get(each.state, "good")),
        each.reason or "—",
        share_text(each.false_alarms),
        "this node" if each.state == "own" else short(each.origin),
        f"{each.evidence:,}",
        bytes_text(each.bytes) if each.bytes else "—",
        when(each.expires_s),
    )
