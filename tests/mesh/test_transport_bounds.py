"""The small tables that keep everything bounded."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.contacts import PeerId
from node.p2p.bounds import BusyError, InFlight, Rate, Refusals


class Clock:
    """Monotonic seconds, by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


A, B = PeerId("a"), PeerId("b")


def test_a_refusal_expires() -> None:
    clock = Clock()
    refusals = Refusals(10.0, 4, clock)
    refusals.add(A, "garbage")
    assert refusals.reason(A) == "garbage"
    assert refusals.reason(B) is None
    clock.now = 5.0
    refusals.add(A, "flood")  # again: from now on
    clock.now = 14.9
    assert refusals.reason(A) == "flood"
    clock.now = 15.0
    assert refusals.reason(A) is None
    assert len(refusals) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 5)), max_size=60))
def test_refusals_stay_bounded_and_drop_what_expires_first(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    refusals = Refusals(10.0, 4, clock)
    added: dict[str, float] = {}
    for name, pause in steps:
        clock.now += pause
        refusals.add(PeerId(name), name)
        added.pop(name, None)
        added[name] = clock.now
        assert len(refusals) <= 4
    for name, at in list(added.items())[-4:]:
        expected = name if at + 10.0 > clock.now else None
        assert refusals.reason(PeerId(name)) == expected
    for name in list(added)[:-4]:
        assert refusals.reason(PeerId(name)) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.booleans()), max_size=60))
def test_nothing_in_flight_exceeds_its_bound_or_stays(
    steps: list[tuple[str, int, bool]],
) -> None:
    bound = InFlight(100, 60, 3)
    held: list[tuple[ExitStack, str, int]] = []
    for name, size, release in steps:
        if release and held:
            held.pop(0)[0].close()
        reservation = ExitStack()
        of_peer = [each for _, who, each in held if who == name]
        fits = (
            len(of_peer) < 3
            and sum(of_peer) + size <= 60
            and sum(each for _, _, each in held) + size <= 100
        )
        if fits:
            reservation.enter_context(bound.reserve(PeerId(name), size))
            held.append((reservation, name, size))
        else:
            with pytest.raises(BusyError):
                reservation.enter_context(bound.reserve(PeerId(name), size))
        assert bound.total == sum(each for _, _, each in held) <= 100
    for reservation, _, _ in held:
        reservation.close()
    assert bound.total == 0
    assert not bound._bytes
    assert not bound._count


def test_a_rate_allows_a_burst_and_then_the_mean() -> None:
    clock = Clock()
    rate = Rate(2.0, 5, clock)
    assert [rate.take() for _ in range(6)] == [True] * 5 + [False]
    clock.now = 1.0
    assert [rate.take() for _ in range(3)] == [True, True, False]
    clock.now = 1_000.0  # it never holds more than a burst
    assert [rate.take() for _ in range(6)] == [True] * 5 + [False]
