"""What leaves, for a person to read."""

from collections.abc import Iterator, Sequence

from node.antigens.leaving import Component, Leaving, LeavingAntigen
from node.logs import printable
from node.status.view import duration_text
from node.times import short_time

_INDENT = "  "


def lines(found: Leaving) -> list[str]:
    """Lines of text without control characters; every number that leaves is among them."""
    return [printable(line) for line in _lines(found)]


def _lines(found: Leaving) -> Iterator[str]:
    yield f"Peer {found.peer}"
    yield f"{_INDENT}features {found.features}, model {found.model}"
    yield ""
    yield "Frames, to peers only, encrypted; there are no others"
    rows = [("kind", "bytes", "what it holds", "sent")]
    rows += [(f.kind, f"{f.bytes:,}", f.content, f.when) for f in found.frames]
    yield from _columns(rows)
    yield f"{_INDENT}The model has {found.numbers_all:,} numbers; {found.numbers:,} of them travel."
    yield f"{_INDENT}Each frame also holds the protocol's version and 8 bytes of fingerprint."
    yield f"{_INDENT}Antigens of other peers, handed on as they came: {found.passed_on}"
    yield ""
    yield from _tail(found)
    yield ""
    yield from _norm(found)
    yield ""
    yield from _sharing(found)
    for each in found.antigens:
        yield ""
        yield from _antigen(each)
    yield ""
    yield "Never leaves"
    yield from (f"{_INDENT}{each}" for each in found.never)


def _tail(found: Leaving) -> Iterator[str]:
    if found.share_tail:
        yield "How benign flows score: goes into the mesh's mean (detector.share_tail = true)"
    else:
        yield "How benign flows score: does not leave (detector.share_tail = false)"
    if found.tail:
        yield from _columns([(each.what, f"{each.number:.7g}") for each in found.tail])
    else:
        yield f"{_INDENT}There is nothing to tell yet: too few benign flows to calibrate with."


def _norm(found: Leaving) -> Iterator[str]:
    if found.share_norm:
        yield 'What benign flows are like: leaves as a norm (detector.scaling = "mesh")'
    else:
        yield 'What benign flows are like: does not leave (detector.scaling = "own")'
    if not found.norm:
        yield f"{_INDENT}There is nothing to tell yet: too few benign flows."
        return
    yield f"{_INDENT}mean and standard deviation over {found.norm_flows:,} benign flows of"
    rows = [
        (each.feature, f"{each.mean:.7g} ± {each.spread:.7g}", each.unit) for each in found.norm
    ]
    yield from _columns(rows)


def _sharing(found: Leaving) -> Iterator[str]:
    if found.share:
        yield "Own antigens: sharing is on (antigens.share = true)"
    else:
        yield "Own antigens: sharing is off (antigens.share = false); none is made or sent"
    if found.shared and not found.share:
        yield f"{_INDENT}But it was on when the node saved this, by a flag or other settings: as"
        yield f"{_INDENT}long as that node runs, what is below leaves."
    if not found.antigens:
        yield f"{_INDENT}There are no labelled rows of any attack."


def _antigen(one: LeavingAntigen) -> Iterator[str]:
    reason = f": {one.reason}" if one.reason else ""
    yield f"{one.family}: {one.state}{reason}"
    if not one.components:
        return
    made = f"made of {one.evidence} labelled rows ({one.rows} held now)"
    yield f"{_INDENT}{made}, {one.bytes:,} bytes with names, times and signature"
    if one.created_s is not None and one.expires_s is not None:
        life = duration_text(one.expires_s - one.created_s)
        yield (
            f"{_INDENT}created {short_time(one.created_s)}, "
            f"expires {short_time(one.expires_s)} ({life})"
        )
    yield f"{_INDENT}of each component: its share of the rows; mean and standard deviation of"
    yield from _columns(list(_table(one.components)))


def _table(components: Sequence[Component]) -> Iterator[tuple[str, ...]]:
    yield ("", *(f"{each.share:.2%}" for each in components), "")
    for place, column in enumerate(components[0].features):
        cells = [each.features[place] for each in components]
        numbers = (f"{cell.mean:.7g} ± {cell.spread:.7g}" for cell in cells)
        yield (column.feature, *numbers, column.unit)


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{_INDENT}{'  '.join(cells)}".rstrip()
