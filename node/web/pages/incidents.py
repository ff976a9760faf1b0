"""Incidents: the list, and one with what explains it and the buttons for a verdict."""

from collections.abc import Sequence

from gossip.flows import FAMILIES
from node.control.desk import NONE
from node.control.documents import ContributorDocument, IncidentDocument
from node.status.view import share_text
from node.web.layout import View, notice, section, table
from node.web.markup import Markup, Node, el, join
from node.web.wording import badge, feature, number, pairs, several, short, when

SHOWN = 50
DESTINATIONS_SHOWN = 12
NOT_A_FAMILY = "unknown"
BENIGN = FAMILIES[0]


def body(view: View) -> Node:
    """The list."""
    more = len(view.incidents) - SHOWN
    return [
        el("h1", "Incidents"),
        el(
            "p",
            "An incident is what one source did that looks like one attack. A verdict teaches this "
            "node, from its next training on.",
            class_="lead",
        ),
        listed(view.incidents[:SHOWN]),
        el("p", f"{more} older ones are not shown.") if more > 0 else None,
    ]


def listed(incidents: Sequence[IncidentDocument]) -> Markup:
    """A table of some."""
    rows = [
        (
            el("a", f"{each.family} from {each.source}", href=f"/incidents/{each.key}"),
            _state(each),
            f"{each.flows:,}",
            number(each.score, ",.3g"),
            when(each.last_seen_ts_s),
            _verdict(each),
        )
        for each in incidents
    ]
    headings = ("Incident", "State", "Flows", "Score", "Last seen", "Verdict")
    keys = [f"incident-{each.key}" for each in incidents]
    return table("Incidents, the latest first", headings, rows, empty="None so far.", keys=keys)


def one(view: View, incident: IncidentDocument, said: tuple[str, str] | None) -> Node:
    """One incident; `said` is what came of the last verdict, and whether that is good or bad."""
    more = len(incident.destinations) - DESTINATIONS_SHOWN
    destinations = [
        el("li", el("code", each)) for each in incident.destinations[:DESTINATIONS_SHOWN]
    ]
    explained = [feature(each) for each in incident.explanation]
    return [
        el("p", el("a", "All incidents", href="/incidents"), class_="back"),
        el("h1", incident.family, " from ", el("code", incident.source)),
        notice(said[1], said[0]) if said else None,
        el(
            "div",
            section("Verdict", *_forms(view, incident), wide=True),
            section("What happened", _facts(incident)),
            section(
                "Destinations",
                el("ul", destinations, class_="plain"),
                el("p", f"and {more} more") if more > 0 else None,
            ),
            section(
                "Why it stands out",
                table(
                    "What made the oddest flow stand out",
                    ("What", "Here", "Usual here"),
                    explained,
                    empty="Nothing is kept about that.",
                ),
                wide=True,
            ),
            section("Whose knowledge", _contributors(incident.contributors), wide=True),
            section("First flows", _samples(incident), wide=True),
            class_="cards two",
        ),
    ]


def _state(incident: IncidentDocument) -> Markup:
    return badge("open", "bad") if incident.open else badge("closed")


def _verdict(incident: IncidentDocument) -> Node:
    if not incident.verdict:
        return el("span", "none yet", class_="faint")
    return badge(incident.verdict, "good" if incident.verdict == BENIGN else "bad")


def _facts(incident: IncidentDocument) -> Markup:
    held_back = incident.suppressed or "the rate limit"
    return pairs(
        ("State", _state(incident)),
        ("First seen", when(incident.first_seen_ts_s)),
        ("Last seen", when(incident.last_seen_ts_s)),
        ("Flows", f"{incident.flows:,}"),
        ("Collateral flows", f"{incident.collateral:,}"),
        ("Score", f"{number(incident.score)}, over {number(incident.threshold)}"),
        ("Alert", "written" if incident.reported else f"held back by {held_back}"),
        ("Key", el("code", incident.key)),
    )


def _forms(view: View, incident: IncidentDocument) -> list[Node]:
    """Buttons are of one form each, so that each works without a script."""
    family = incident.family
    known = family != NOT_A_FAMILY and family not in FAMILIES
    families = [*FAMILIES[1:], *([family] if known else [])]
    shown = [each for each in families if each not in (family, incident.verdict)]
    buttons: list[Node] = []
    if incident.verdict:
        by = f" by {incident.verdict_by}" if incident.verdict_by else ""
        note = f": {incident.note}" if incident.note else ""
        buttons.append(el("p", "It was ", _verdict(incident), f"{by}{note}.", id="verdict-now"))
        buttons.append(_button(view, incident, NONE, "Take it back"))
    else:
        buttons.append(el("p", "Nobody has said yet what it was.", id="verdict-now"))
        buttons.append(_button(view, incident, BENIGN, "It was benign"))
        if family != NOT_A_FAMILY:
            buttons.append(_button(view, incident, family, f"It was {family}", main=True))
    choice = el(
        "select",
        [el("option", each, value=each) for each in shown],
        id="word",
        name="word",
    )
    buttons.append(
        _form(
            view,
            incident,
            el("label", "Another family", for_="word"),
            choice,
            el("button", "Say so", type="submit", id="say-word"),
        )
    )
    return [el("div", buttons, class_="verdict")]


def _button(
    view: View, incident: IncidentDocument, word: str, name: str, *, main: bool = False
) -> Markup:
    kind = "main" if main else None
    return _form(
        view,
        incident,
        el("button", name, type="submit", name="word", value=word, class_=kind, id=f"say-{word}"),
    )


def _form(view: View, incident: IncidentDocument, *body: Node) -> Markup:
    return el(
        "form",
        el("input", type="hidden", name="form", value=view.form_token),
        *body,
        method="post",
        action=f"/incidents/{incident.key}/verdict",
    )


def _contributors(contributors: Sequence[ContributorDocument]) -> Markup:
    rows = [
        (
            _whose(each),
            each.family or "the whole model",
            el(
                "span",
                el(
                    "meter",
                    share_text(each.share),
                    value=f"{each.share:.4f}",
                    min=0,
                    max=1,
                    aria_label="Share",
                ),
                f" {share_text(each.share)}",
            ),
            f"{each.evidence:,}" if each.evidence else "—",
        )
        for each in contributors
    ]
    headings = ("Whose", "Speaks of", "Share", "Rows of evidence")
    return join(
        table("Whose knowledge judged", headings, rows, empty="Nothing is kept about that."),
        el(
            "p",
            "Of the whole model: the weight with which each model stands in it by merging; what a "
            "neighbour's had from others, this gateway too, counts as the neighbour's. Of a "
            "family: the share of the rows that it was last trained on.",
            class_="faint",
        )
        if rows
        else None,
    )


def _whose(each: ContributorDocument) -> Node:
    match each.kind:
        case "neighbour":
            return ["neighbour ", short(each.id)]
        case "antigen":
            origin: Node = [" of ", short(each.origin)] if each.origin else None
            return ["antigen ", el("code", each.id), origin]
        case _:
            return "this gateway"


def _samples(incident: IncidentDocument) -> Markup:
    rows = [
        (
            when(each.ts_s),
            el("code", f"{each.source}:{each.source_port}"),
            el("code", f"{each.destination}:{each.destination_port}"),
            each.proto,
            number(each.score, ",.3g"),
            el("code", each.community_id, class_="long"),
        )
        for each in incident.samples
    ]
    headings = ("Time", "Source", "Destination", "Protocol", "Score", "Community ID")
    said = f"{several(len(rows), 'flow')} of it"
    return table(said, headings, rows, empty="None is kept.")
