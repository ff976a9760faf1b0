"""Which peers a line of a scenario speaks of, written as short text.

`all`, one number (`7`), a half-open range (`0:50`), a share drawn at random with the scenario's
seed (`30 %`), the name of a group, or several of these joined by commas.
"""

from collections.abc import Mapping

from gossip.draws import Purpose, choose
from gossip.errors import ConfigError


def select(
    text: str,
    peers: int,
    groups: Mapping[str, str],
    seed: bytes,
    salt: str,
    depth: int = 0,
) -> tuple[int, ...]:
    """Indices of the peers that `text` names, ascending and without repeats.

    Args:
        text: the selector; see the module's text.
        peers: how many peers the scenario has.
        groups: name to selector; a group may be built from others.
        seed: of the scenario; decides random shares.
        salt: tells this selector's draws from all others.
        depth: how many group names led here.

    Raises:
        ConfigError: the text is no selector, names an unknown group, or a peer that is not there.
    """
    text = text.strip()
    if "," in text:
        found: set[int] = set()
        for part, piece in enumerate(text.split(",")):
            found.update(select(piece, peers, groups, seed, f"{salt}/{part}", depth))
        return tuple(sorted(found))
    if text == "all":
        return tuple(range(peers))
    if text in groups:
        if depth > len(groups):
            raise ConfigError(f"group {text!r} is defined by itself; name peers by number instead")
        return select(groups[text], peers, groups, seed, f"group/{text}", depth + 1)
    if text.endswith("%"):
        return _share(text, peers, seed, salt)
    if ":" in text:
        return _span(text, peers)
    if text.isdecimal():
        if int(text) >= peers:
            raise ConfigError(f"peer {text} does not exist; the mesh has peers 0 to {peers - 1}")
        return (int(text),)
    known = ", ".join(groups) or "none"
    raise ConfigError(
        f"{text!r} names no peers; write all, a number, a range as 0:50, a share as 30 %, "
        f"or a group of mesh.groups (there: {known})"
    )


def _share(text: str, peers: int, seed: bytes, salt: str) -> tuple[int, ...]:
    try:
        percent = float(text[:-1])
    except ValueError:
        percent = -1.0
    if not 0.0 <= percent <= 100.0:
        raise ConfigError(f"{text!r} is no share of the peers; write 0 % to 100 %")
    count = round(peers * percent / 100.0)
    return tuple(sorted(choose(range(peers), count, seed, salt, 0, Purpose.WORLD)))


def _span(text: str, peers: int) -> tuple[int, ...]:
    low, _, high = text.partition(":")
    low, high = low.strip() or "0", high.strip() or str(peers)
    if not (low.isdecimal() and high.isdecimal() and int(low) < int(high) <= peers):
        raise ConfigError(
            f"{text!r} is no range of peers; write FIRST:END with FIRST < END <= {peers}"
        )
    return tuple(range(int(low), int(high)))
