"""When a peer tells of a family: the rule that nodes and simulated peers share."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.antigens import EVIDENCE_MIN, Antigen
from gossip.contacts import PeerId
from gossip.learning.mixture import Mixture
from gossip.learning.presenting import (
    GROWTH,
    ORIGINS_ENOUGH,
    Said,
    Witness,
    has_news,
    is_due,
)
from gossip.learning.scaling import Scaler

ME, DAY_S = PeerId("me"), 86_400
SCALER = Scaler(np.zeros(3, np.float32), np.ones(3, np.float32))
COUNTS, TIMES = st.integers(0, 500), st.integers(0, 40 * DAY_S)


def rows(centre: float = 3.0, count: int = 40):
    return np.random.default_rng(1).normal(centre, 1.0, (count, 3)).astype(np.float32)


def antigen(origin: str, about: float = 3.0, **fields) -> Antigen:
    text = Mixture.fit(rows(about), np.random.default_rng(2)).pack()
    return replace(Antigen(PeerId(origin), "scan", 1, 40, 0, 30 * DAY_S, text), **fields)


@st.composite
def said(draw) -> Said:
    created_s = draw(TIMES)
    return Said(draw(COUNTS), created_s, created_s + draw(st.integers(1, 30 * DAY_S)))


@given(COUNTS, st.lists(said(), max_size=4), TIMES, st.integers(1, 60))
def test_news_are_enough_rows_and_twice_as_many_or_nothing_young(
    count, before, now_s, least
) -> None:
    found = has_news(count, before, now_s, least)
    young = any(each.created_s <= now_s < each.created_s + (each.expires_s - each.created_s) / 2
                for each in before)  # fmt: skip
    most = max((each.evidence for each in before), default=0)
    assert found == (count >= least and (count >= GROWTH * most or not young))
    for each in before:  # who has said more, or lately, has never more news
        assert has_news(count, [each], now_s, least) or not has_news(count, before, now_s, least)
    assert found or not has_news(count, before, now_s, least + 1)


@given(st.lists(st.booleans(), max_size=8), st.booleans())
def test_as_many_as_a_peer_holds_must_say_the_same(agree, revoked) -> None:
    held = [antigen(f"origin {i}", serial=i) for i in range(len(agree))]
    held += [antigen("other", family="dos"), antigen("gone", expires_s=5)] * ORIGINS_ENOUGH
    if revoked:
        held = [replace(each, evidence=0, description=b"") for each in held]
    asked: list[PeerId] = []

    def same(other: Antigen) -> bool:
        asked.append(other.origin)
        return agree[other.serial]

    due = is_due("scan", 40, held, ME, 10.0, same)
    assert due == (revoked or sum(agree) < ORIGINS_ENOUGH)
    assert {"other", "gone"}.isdisjoint(asked)


def test_others_are_looked_at_only_where_there_are_news() -> None:
    def same(other: Antigen) -> bool:
        pytest.fail(f"looked at {other.origin}")

    others = [antigen(f"origin {i}") for i in range(ORIGINS_ENOUGH)]
    held = [*others, antigen(ME, evidence=40)]
    assert not is_due("scan", EVIDENCE_MIN - 1, others, ME, 10.0, same)
    assert not is_due("scan", 79, held, ME, 10.0, same)
    assert not is_due("scan", 40, others, ME, 10.0, same, [Said(40, 9, DAY_S)])
    assert is_due("scan", 80, held[1:], ME, 10.0, same)
    assert is_due("scan", 40, held[1:], ME, 16 * DAY_S, same), "half its life is over"


def test_a_witness_tells_what_it_has_seen_itself_from_what_liars_say() -> None:
    witness = Witness(b"secret", ME)
    assert witness.same(antigen("honest"), rows(), SCALER)
    assert not witness.same(antigen("liar", 9.0), rows(), SCALER)
    assert not witness.same(antigen("rubbish", description=b"\1\2"), rows(), SCALER)
    changed = antigen("liar", 9.0)
    assert not witness.same(changed, rows(9.0), SCALER), "the answer of before, for as many rows"
    assert witness.same(changed, rows(9.0, 41), SCALER)


def test_who_describes_everything_says_not_the_same() -> None:
    own = rows()
    for spread, same in ((1.0, True), (10.0, False)):
        told = Mixture(np.ones(1, np.float32), own.mean(0)[None], np.full((1, 3), spread, "f4"))
        other = antigen("other", description=told.pack())
        assert Witness(b"secret", ME).same(other, own, SCALER) == same


def test_a_witness_answers_the_same_whatever_it_was_asked_before() -> None:
    asked, some = Witness(b"secret", ME), [antigen(f"origin {i}", 4.0) for i in range(300)]
    told = [asked.same(each, rows(), SCALER) for each in some]
    again = [Witness(b"secret", ME).same(each, rows(), SCALER) for each in some[::50]]
    assert told[::50] == again
    assert asked.same(some[0], rows(), SCALER) == told[0], "forgotten, and found again"
