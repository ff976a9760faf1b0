"""The view: bounded, without self or duplicates, and Cyclon's rules of replacement."""

from hypothesis import given
from hypothesis import strategies as st

from gossip.contacts import Contact, PeerId
from gossip.messages import Entry
from gossip.view import View

ME = PeerId("me")


def entry(name: str, age: int = 0, address: str = "/a") -> Entry:
    return Entry(Contact(PeerId(name), (address,)), age)


def names(view: View) -> list[str]:
    return [c.peer for c in view.contacts()]


def test_received_entries_fill_empty_places_first_then_those_given_away():
    view = View(ME, 3)
    view.add(entry("a"))
    view.add(entry("b"))
    view.absorb([entry("c"), entry("d"), entry("e")], [PeerId("a")])
    assert names(view) == ["b", "c", "d"]


def test_nothing_is_replaced_when_nothing_was_given():
    view = View(ME, 2)
    view.absorb([entry("a"), entry("b"), entry("c")], [])
    assert names(view) == ["a", "b"]


def test_hearsay_about_a_known_peer_is_discarded():
    view = View(ME, 3)
    view.add(entry("a"))
    view.grow_older()
    assert view.add(entry("a", age=0, address="/evil"))
    assert view.entries() == [entry("a", age=1)]


def test_the_peer_itself_may_move_and_is_young_again():
    view = View(ME, 3)
    view.add(entry("a", age=9))
    assert view.meet(Contact(PeerId("a"), ("/new",)))
    assert view.entries() == [entry("a", 0, "/new")]


def test_the_oldest_is_asked_unless_it_is_being_asked():
    view = View(ME, 3)
    for name, age in (("a", 1), ("b", 5), ("c", 5)):
        view.add(entry(name, age))
    assert view.oldest() == entry("b").contact
    assert view.oldest([PeerId("b")]) == entry("c").contact
    assert View(ME, 3).oldest() is None


PEERS = st.sampled_from(["me", *"abcdefgh"])
STEPS = st.one_of(
    st.tuples(st.just("add"), PEERS, st.integers(0, 2**62)),
    st.tuples(st.just("meet"), PEERS),
    st.tuples(st.just("remove"), PEERS),
    st.tuples(st.just("older")),
    st.tuples(st.just("absorb"), st.lists(PEERS, max_size=9), st.lists(PEERS, max_size=9)),
)


@given(st.integers(1, 4), st.lists(STEPS, max_size=30))
def test_whatever_happens_the_view_is_bounded_without_self_or_duplicates(size, steps):
    view = View(ME, size)
    for step in steps:
        match step:
            case ("add", name, age):
                assert view.add(entry(name, age)) == (PeerId(name) in view)
            case ("meet", name):
                assert view.meet(Contact(PeerId(name))) == (PeerId(name) in view)
            case ("remove", name):
                assert view.remove(PeerId(name)) in (True, False)
                assert PeerId(name) not in view
            case ("older",):
                view.grow_older()
            case ("absorb", received, sent):
                view.absorb([entry(n) for n in received], [PeerId(n) for n in sent])
        held = names(view)
        assert len(held) == len(set(held)) == len(view) <= size
        assert ME not in held
        assert all(0 <= e.age <= 2**62 for e in view.entries())
