"""Min-wise samplers: uniform over those met, deaf to repetition, and patient with failures."""

from collections import Counter

import numpy as np

from gossip.contacts import Contact, PeerId
from gossip.samplers import FAILURES_MAX, Samplers

ME = PeerId("me")


def contact(i: int, address: str = "/a") -> Contact:
    return Contact(PeerId(f"p{i}"), (address,))


def held(samplers: Samplers) -> list[str]:
    return [c.peer for c in samplers._held if c is not None]


def test_a_slot_holds_one_peer_whatever_the_order_of_meeting():
    forth, back = (Samplers(ME, b"seed", 16) for _ in range(2))
    for i in range(50):
        forth.meet(contact(i))
        back.meet(contact(49 - i))
    assert held(forth) == held(back)
    assert len(held(forth)) == 16


def test_slots_are_uniform_over_those_met_and_repetition_buys_nothing():
    counts: Counter[str] = Counter()
    for seed in range(60):
        samplers = Samplers(ME, b"%d" % seed, 32)
        for i in range(20):
            for _ in range(30 if i == 0 else 1):
                samplers.meet(contact(i))
        counts.update(held(samplers))
    expected = 60 * 32 / 20
    chi2 = sum((counts[f"p{i}"] - expected) ** 2 / expected for i in range(20))
    assert chi2 < 43.8  # 0.1 % of a chi-square of 19 degrees of freedom
    assert abs(counts["p0"] - expected) < 4 * np.sqrt(expected)


def test_self_and_no_slots_hold_nobody():
    samplers = Samplers(ME, b"seed", 4)
    samplers.meet(Contact(ME))
    assert samplers.alive() == []
    none = Samplers(ME, b"seed", 0)
    none.meet(contact(1))
    none.hear([contact(1)])
    none.fail(PeerId("p1"))
    assert (none.alive(), none.failed(), none.met()) == ([], [], {})


def test_a_failed_peer_is_remembered_until_it_failed_too_often():
    samplers = Samplers(ME, b"seed", 8)
    samplers.meet(contact(1))
    for _ in range(FAILURES_MAX - 1):
        samplers.fail(PeerId("p1"))
        assert (samplers.alive(), samplers.failed()) == ([], [contact(1)])
    assert samplers.met() == {}
    samplers.fail(PeerId("p1"))
    assert (samplers.alive(), samplers.failed()) == ([], [])
    samplers.meet(contact(1))  # and may come back, in a new order
    assert samplers.alive() == [contact(1)]


def test_meeting_forgives_and_moves_addresses():
    samplers = Samplers(ME, b"seed", 8)
    samplers.meet(contact(1))
    samplers.fail(PeerId("p1"))
    samplers.meet(contact(1, "/b"))
    assert samplers.met() == {PeerId("p1"): contact(1, "/b")}
    assert samplers.alive() == [contact(1, "/b")]


def test_hearsay_moves_only_the_failed_and_brings_nobody():
    samplers = Samplers(ME, b"seed", 8)
    samplers.meet(contact(1))
    samplers.hear([contact(1, "/evil"), contact(2)])
    assert samplers.alive() == [contact(1)]
    samplers.fail(PeerId("p1"))
    samplers.hear([Contact(PeerId("p1"))])  # no addresses are no news
    assert samplers.failed() == [contact(1)]
    samplers.hear([contact(1, "/new")])
    assert samplers.failed() == [contact(1, "/new")]
