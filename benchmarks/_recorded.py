"""Lines and flows of the bundled recordings, for other benchmarks."""

import lzma
from collections.abc import Iterator
from itertools import chain, cycle, islice

from gossip.flows import Flow
from node.sensors.reading import Kind, parser_for
from scenarios.recordings import RECORDINGS, path


def lines(count: int, recordings: tuple[str, ...] = RECORDINGS) -> list[bytes]:
    """So many lines of Suricata's `eve.json`, benign recordings first; repeated if need be."""
    names = sorted(recordings, key=lambda name: "-benign" not in name)
    return list(islice(chain.from_iterable(map(_lines, cycle(names))), count))


def _lines(name: str) -> Iterator[bytes]:
    with lzma.open(path(name)) as stream:
        for line in stream:
            yield line.rstrip(b"\n")


def flows(count: int) -> list[Flow]:
    """The flows of so many lines."""
    parser = parser_for(Kind.SURICATA)
    return [flow for line in lines(count) if (flow := parser.parse(line)) is not None]
