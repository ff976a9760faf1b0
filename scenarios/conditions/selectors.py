"""Which peers a line of a scenario speaks of, written as short text.

`all`, one number (`7`), a half-open range (`0:50`), a share drawn at random with the scenario's
seed (`30 %`), the name of a group, or several of these joined by commas.
"""

from collections.abc import Mapping

from gossip.draws import Purpose, choose
from gossip.errors import ConfigError

DEPTH_MAX = 16
"""Groups of groups of …: more is a slip of the pen, or meant to exhaust us."""

DIGITS_MAX = 9
"""Of a peer's number; far more than there can be."""


def select(
    text: str,
    peers: int,
    groups: Mapping[str, str],
    seed: bytes,
    salt: str,
    known: dict[str, tuple[int, ...]] | None = None,
    within: tuple[str, ...] = (),
) -> tuple[int, ...]:
    """Indices of the peers that `text` names, ascending and without repeats.

    Args:
        text: the selector; see the module's text.
        peers: how many peers the scenario has.
        groups: name to selector; a group may be built from others.
        seed: of the scenario; decides random shares.
        salt: tells this selector's draws from all others.
        known: the peers of groups worked out before, with the same groups and seed; grows. A group
            is so worked out once, however often others name it.
        within: the groups whose selectors led here.

    Raises:
        ConfigError: the text is no selector, names an unknown group or a peer that is not there,
            or groups are built from each other without end.
    """
    known = {} if known is None else known
    text = text.strip()
    if "," in text:
        found: set[int] = set()
        for part, piece in enumerate(text.split(",")):
            found.update(select(piece, peers, groups, seed, f"{salt}/{part}", known, within))
        return tuple(sorted(found))
    if text == "all":
        return tuple(range(peers))
    if text in groups:
        if text not in known:
            inner = _inside(text, within)
            known[text] = select(groups[text], peers, groups, seed, f"group/{text}", known, inner)
        return known[text]
    if text.endswith("%"):
        return _share(text, peers, seed, salt)
    if ":" in text:
        return _span(text, peers)
    if _is_number(text):
        return _one(int(text), peers)
    there = ", ".join(groups) or "none"
    raise ConfigError(
        f"{text[:80]!r} names no peers; write all, a number, a range as 0:50, a share as 30 %, "
        f"or a group of mesh.groups (there: {there[:400]})"
    )


def _inside(group: str, within: tuple[str, ...]) -> tuple[str, ...]:
    if group in within or len(within) == DEPTH_MAX:
        why = "defined by itself" if group in within else f"more than {DEPTH_MAX} groups deep"
        raise ConfigError(f"group {group!r} is {why}; name peers by number instead")
    return (*within, group)


def _one(peer: int, peers: int) -> tuple[int, ...]:
    if peer >= peers:
        raise ConfigError(f"peer {peer} does not exist; the mesh has peers 0 to {peers - 1}")
    return (peer,)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX


def _share(text: str, peers: int, seed: bytes, salt: str) -> tuple[int, ...]:
    try:
        percent = float(text[:-1])
    except ValueError:
        percent = -1.0
    if not 0.0 <= percent <= 100.0:
        raise ConfigError(f"{text[:80]!r} is no share of the peers; write 0 % to 100 %")
    count = round(peers * percent / 100.0)
    if percent and not count:
        raise ConfigError(f"{text!r} of {peers} peers is nobody; write a larger share, or 0 %")
    return tuple(sorted(choose(range(peers), count, seed, salt, 0, Purpose.WORLD)))


def _span(text: str, peers: int) -> tuple[int, ...]:
    low, _, high = text.partition(":")
    low, high = low.strip() or "0", high.strip() or str(peers)
    if not (_is_number(low) and _is_number(high) and int(low) < int(high) <= peers):
        raise ConfigError(
            f"{text[:80]!r} is no range of peers; write FIRST:END with FIRST < END <= {peers}"
        )
    return tuple(range(int(low), int(high)))
