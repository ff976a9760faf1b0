"""The grammar of topology specs: `KIND:VALUE[,KEY=VALUE…]`, and its parser.

The first value may stand without its key, so `ring:32` is short for `ring:nodes=32`. A file is the
exception: `file:` is followed by a path and nothing else, because a path may hold any character.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from textwrap import fill

from topologies.errors import TopologyError

NODES_MAX = 100_000
LINKS_MAX = 1_000_000
"""Twenty neighbours for each of 100,000 nodes. Measured: 19 s, and 0.4 GB for the process."""

SPEC_CHARS_MAX = 4_096  # Linux' PATH_MAX; nothing else in a spec is long


@dataclass(frozen=True, slots=True)
class Whole:
    """A key that takes a whole number of at least `least`."""

    least: int
    default: int | None = None
    most: int = NODES_MAX


@dataclass(frozen=True, slots=True)
class Probability:
    """A key that takes a number in [0, 1]."""

    default: float | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """A key that takes ROWSxCOLUMNS, each at least `least`."""

    least: int
    default: None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A key that takes one of a few words."""

    words: tuple[str, ...]
    default: str


Key = Whole | Probability | Size | Choice
Value = int | float | str | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """One family of graphs: an example of its spec, what it is, and its keys in order."""

    example: str
    meaning: str
    keys: Mapping[str, Key]
    random: bool = False

    @property
    def bare(self) -> bool:
        """Whether the first value is best written without its key, as in the example."""
        return "=" not in self.example.partition(",")[0]


# The defaults for small-world are Watts and Strogatz's own picture (Nature 393, 1998, figure 1: few
# links, some rewired); those for clustered are two links a pair, so that no single cable cuts it.
KINDS: dict[str, Kind] = {
    "ring": Kind("ring:32", "each node has two neighbours", {"nodes": Whole(3)}),
    "torus": Kind("torus:6x6", "a grid whose opposite sides meet", {"size": Size(3)}),
    "complete": Kind("complete:10", "everybody knows everybody", {"nodes": Whole(2)}),
    "star": Kind("star:16", "node 0 is the hub of all others", {"nodes": Whole(2)}),
    "regular": Kind(
        "regular:1000,degree=20",
        "random, every node with the same degree; nodes x degree must be even",
        {"nodes": Whole(2), "degree": Whole(1)},
        random=True,
    ),
    "erdos-renyi": Kind(
        "erdos-renyi:100,p=0.05",
        "every pair is linked with probability p",
        {"nodes": Whole(2), "p": Probability()},
        random=True,
    ),
    "small-world": Kind(
        "small-world:100,k=6,rewire=0.1",
        "Watts-Strogatz: a ring with k nearest neighbours (k even), each link rewired by chance",
        {"nodes": Whole(4), "k": Whole(2, 4), "rewire": Probability(0.1)},
        random=True,
    ),
    "scale-free": Kind(
        "scale-free:100,m=3",
        "Barabasi-Albert: each newcomer links to m nodes, the popular ones more often",
        {"nodes": Whole(2), "m": Whole(1, 2)},
        random=True,
    ),
    "exponential": Kind(
        "exponential:64",
        "directed: node i sends to i+1, i+2, i+4, i+8, ... (mod nodes)",
        {"nodes": Whole(2)},
    ),
    "one-peer-exponential": Kind(
        "one-peer-exponential:64",
        "directed, changes with time: in cycle t node i sends to i + 2^(t mod log2 nodes) only",
        {"nodes": Whole(2)},
    ),
    "clustered": Kind(
        "clustered:sites=4,peers=8,links=2",
        "complete sites; `links` random links between each two sites (between=complete), "
        "or only along a ring or a star of sites (between=ring, between=star)",
        {
            "sites": Whole(1),
            "peers": Whole(1),
            "links": Whole(1, 2, LINKS_MAX),
            "between": Choice(("complete", "ring", "star"), "complete"),
        },
        random=True,
    ),
}

FILE = "file"


def _help(example: str, meaning: str) -> str:
    return fill(f"  {example:<34} {meaning}", 96, subsequent_indent=" " * 37)


SPEC_HELP = "\n".join(
    [
        "A topology is KIND:VALUE[,KEY=VALUE...]:",
        *(_help(kind.example, kind.meaning) for kind in KINDS.values()),
        _help("file:PATH.graphml", "a GraphML file"),
        _help("file:PATH.txt", "an edge list: two names a line, # starts a comment"),
    ]
)
"""Every kind of spec, one a line, for a command's help text."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec: its kind and one value for each of the kind's keys, or a file's path."""

    kind: str
    values: Mapping[str, Value]
    path: str = ""

    def __str__(self) -> str:
        """The spec with defaults filled in; parsing it again gives an equal spec."""
        if self.kind == FILE:
            return f"{FILE}:{self.path}"
        parts = [f"{key}={_text(value)}" for key, value in self.values.items()]
        if KINDS[self.kind].bare:
            parts[0] = parts[0].partition("=")[2]
        return f"{self.kind}:{','.join(parts)}"

    def whole(self, key: str) -> int:
        """The value of a `Whole` key."""
        value = self.values[key]
        if not isinstance(value, int):
            raise TypeError(f"{key} of {self.kind} is no whole number")
        return value

    def number(self, key: str) -> float:
        """The value of a `Probability` key."""
        value = self.values[key]
        if not isinstance(value, int | float):
            raise TypeError(f"{key} of {self.kind} is no number")
        return float(value)

    def size(self, key: str) -> tuple[int, int]:
        """The value of a `Size` key."""
        value = self.values[key]
        if not isinstance(value, tuple):
            raise TypeError(f"{key} of {self.kind} is no size")
        return value


def parse(text: str) -> Spec:
    """Read a spec.

    Raises:
        TopologyError: the kind or a key is unknown, missing, given twice, or out of range.
    """
    if len(text) > SPEC_CHARS_MAX:
        raise TopologyError(f"topology: a spec of {len(text)} characters; {SPEC_CHARS_MAX} at most")
    name, _, rest = text.strip().partition(":")
    name = name.strip()
    if name == FILE:
        if not rest:
            raise TopologyError("topology 'file:': a path is missing; write file:PATH.graphml")
        return Spec(FILE, {}, path=rest)
    if name not in KINDS:
        known = [*KINDS, FILE]
        raise TopologyError(f"topology {text!r}: unknown kind {name!r}{_hint(name, known)}")
    kind = KINDS[name]
    where = f"topology {text!r}"
    given = _split(rest, kind, where)
    values: dict[str, Value] = {}
    for key, rule in kind.keys.items():
        if key in given:
            values[key] = _read(given[key], rule, f"{where}: {key}")
        elif rule.default is not None:
            values[key] = rule.default
        else:
            raise TopologyError(f"{where}: {key} is missing; write for example {kind.example}")
    return Spec(name, values)


def _split(rest: str, kind: Kind, where: str) -> dict[str, str]:
    given: dict[str, str] = {}
    first = next(iter(kind.keys))
    for position, part in enumerate(rest.split(",") if rest.strip() else []):
        left, equals, right = part.partition("=")
        key, value = (left.strip(), right.strip()) if equals else (first, left.strip())
        if not equals and position > 0:
            raise TopologyError(
                f"{where}: {part.strip()!r} has no key; write KEY=VALUE, as in {kind.example}"
            )
        if key not in kind.keys:
            raise TopologyError(f"{where}: unknown key {key!r}{_hint(key, list(kind.keys))}")
        if key in given:
            raise TopologyError(f"{where}: {key} is given twice; keep one")
        given[key] = value
    return given


def _hint(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _read(text: str, rule: Key, where: str) -> Value:
    if isinstance(rule, Whole):
        return _whole(text, rule.least, rule.most, where)
    if isinstance(rule, Probability):
        return _probability(text, where)
    if isinstance(rule, Choice):
        if text not in rule.words:
            raise TopologyError(f"{where} is {text!r}{_hint(text, list(rule.words))}")
        return text
    sides = text.lower().split("x")
    if len(sides) != 2:
        raise TopologyError(f"{where} is {text!r}; write ROWSxCOLUMNS, for example 6x6")
    rows, columns = (_whole(side.strip(), rule.least, NODES_MAX, where) for side in sides)
    return rows, columns


def _whole(text: str, least: int, most: int, where: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise TopologyError(f"{where} is {text!r}; write a whole number from {least} to {most:,}")
    value = int(text)
    if not least <= value <= most:
        raise TopologyError(f"{where} is {value}; it must be from {least} to {most:,}")
    return value


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise TopologyError(f"{where} is {text!r}; write a number from 0 to 1") from None
    if not 0.0 <= value <= 1.0:
        raise TopologyError(f"{where} is {text}; it must be from 0 to 1")
    return value


def _text(value: Value) -> str:
    return f"{value[0]}x{value[1]}" if isinstance(value, tuple) else str(value)
