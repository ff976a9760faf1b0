"""The trace's hash: what it tells apart, and that it can be taken up again."""

import io
import json
from math import nan
from struct import pack, unpack

import numpy as np
import pytest

from gossip.contacts import Contact, PeerId
from gossip.errors import StateError
from gossip.events import (
    Contribute,
    PeerLost,
    Received,
    Start,
    Stop,
    Timer,
    TimerFired,
    Trained,
)
from scenarios.world.trace import Trace

A, B = PeerId("a"), PeerId("b")
DELTA = np.arange(3, dtype=np.float32)
DIFFERENT = [
    Received(A, b"frame"),
    Received(A, b"other"),
    Received(B, b"frame"),
    Received(PeerId("af"), b"rame"),
    TimerFired(Timer.CYCLE),
    TimerFired(Timer.JOIN),
    Trained(1, DELTA, 7, 0.5),
    Trained(2, DELTA, 7, 0.5),
    Trained(1, DELTA + 1, 7, 0.5),
    Trained(1, DELTA, 8, 0.5),
    Trained(1, DELTA, 7, 0.25),
    Trained(1, None, 7, 0.5),
    PeerLost(A, "gone"),
    PeerLost(B, "gone"),
    Start(),
    Start(neighbours=(Contact(A),)),
    Start(bootstrap=(Contact(A),)),
    Start(neighbours=(Contact(A),), turns=((A,), ())),
    Contribute(DELTA / 2),
    Contribute(DELTA / 4),
    Contribute(None),
    Stop(),
]


def digest(*events: object, now_us: int = 5, index: int = 1) -> str:
    trace = Trace()
    for event in events:
        trace.event(now_us, index, A, event)
    return trace.digest


def test_whatever_differs_in_what_happened_gives_another_hash():
    crashed = Trace()
    crashed.crash(5, 1, A)
    found = [digest(event) for event in DIFFERENT]
    found += [digest(Stop(), now_us=6), digest(Stop(), index=2), digest(), crashed.digest]
    found += [digest(*DIFFERENT[:2]), digest(*DIFFERENT[1::-1])]
    assert len(set(found)) == len(found)


def test_the_hash_sees_values_and_not_how_they_lie_in_memory():
    plain = digest(Trained(1, DELTA, 7, nan))
    spread = np.repeat(DELTA, 2)[::2]
    assert not spread.flags.c_contiguous
    other_nan = unpack("<d", pack("<Q", 0xFFF8_0000_0000_0001))[0]
    assert digest(Trained(1, spread, 7, other_nan)) == plain
    assert digest(Trained(1, DELTA.astype(">f4"), 7, nan)) == plain
    assert digest(Contribute(spread)) == digest(Contribute(DELTA.astype(np.float64)))


def test_a_trace_goes_on_where_another_stood():
    events = [DIFFERENT[place % len(DIFFERENT)] for place in range(2_500)]
    whole, halves = Trace(), Trace()
    for number, event in enumerate(events):
        if number in {0, 1, 1_023, 1_024, 1_025, 2_400}:
            earlier, halves = halves, Trace()
            halves.restore(*earlier.state())
        for trace in (whole, halves):
            trace.event(number, 3, A, event)
        assert halves.events == whole.events
    assert halves.digest == whole.digest
    assert len(halves.state()[1]) < 21 * 1_024


@pytest.mark.parametrize(
    "state",
    [(b"short", b"", 0), (bytes(16), bytes(20), 1), (bytes(16), bytes(21), 2),
     (bytes(16), bytes(21 * 1_024), 1_024)],
)  # fmt: skip
def test_a_damaged_state_is_refused(state):
    with pytest.raises(StateError, match="damaged"):
        Trace().restore(*state)


def test_lines_tell_what_the_hash_covers():
    lines = io.StringIO()
    trace = Trace(lines)
    trace.event(5, 0, A, Received(B, b"frame"))
    trace.crash(6, 0, A)
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (first["us"], first["peer"], first["event"], first["bytes"]) == (5, "a", "Received", 7)
    assert (second["us"], second["event"], second["bytes"]) == (6, "Crash", 0)
    assert trace.events == 2
