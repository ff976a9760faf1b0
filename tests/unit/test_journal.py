"""The journal: round trips, cut and damaged files, and a replay that finds the first difference."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gossip.actions import Action, Disconnect, Report, Send, SetTimer, Topic, Train
from gossip.config import PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.errors import StateError
from gossip.events import (
    Contribute,
    Event,
    PeerLost,
    Present,
    Received,
    Shun,
    Start,
    Stop,
    Timer,
    TimerFired,
    Trained,
)
from gossip.fingerprint import Fingerprint
from node.state.journal import Head, Journal, Replay, digest, read, replay
from tests.unit.sealing import KeyedHash, an_antigen

INT64 = st.integers(-(2**63), 2**63 - 1)
PEERS = st.text(max_size=8).map(PeerId)
CONTACTS = st.builds(Contact, PEERS, st.lists(st.text(max_size=8), max_size=2).map(tuple))
FLOATS = st.floats(allow_nan=False) | st.just(float("nan"))
VECTORS = hnp.arrays(np.float32, st.integers(0, 5), elements=st.floats(width=32))
TUPLES = st.lists(CONTACTS, max_size=2).map(tuple)
ANTIGENS = st.sampled_from([(), (an_antigen(),), (an_antigen(), an_antigen("x", "dos"))])
EVENTS = st.one_of(
    st.builds(Start, TUPLES, TUPLES, st.none() | TUPLES, antigens=ANTIGENS),
    st.builds(Received, PEERS, st.binary(max_size=20)),
    st.builds(TimerFired, st.sampled_from(Timer)),
    st.builds(Trained, INT64, st.none() | VECTORS, INT64, FLOATS),
    st.builds(PeerLost, PEERS, st.text(max_size=8)),
    st.builds(Present, st.sampled_from([an_antigen(), an_antigen(serial=2, revokes=True)])),
    st.builds(Shun, st.lists(PEERS, max_size=3).map(tuple)),
    st.builds(Contribute, st.none() | VECTORS | VECTORS.map(lambda v: v.astype(np.float64))),
    st.builds(Stop),
)
ACTIONS = st.one_of(
    st.builds(Send, CONTACTS, st.binary(max_size=20)),
    st.builds(SetTimer, st.sampled_from(Timer), INT64),
    st.builds(Train, INT64, VECTORS, ANTIGENS),
    st.builds(Disconnect, PEERS, st.text(max_size=8)),
    st.builds(Report, st.sampled_from(Topic), st.none() | PEERS, st.text(max_size=8), FLOATS),
)
HEAD = Head(
    PeerConfig(cycle_us=1_000_000, fragments=2, fragments_per_push=1, sums_length=2),
    Contact(PeerId("me"), ("/ip4/127.0.0.1/tcp/1",)),
    b"secret",
    Fingerprint("f", "m"),
    np.arange(6, dtype=np.float32),
    np.array([3, 4], np.int64),
    17,
    sealed=True,
    epoch_s=2.5e8,
)
SEAL = KeyedHash("whoever replays")


def plain(value: Any) -> Any:
    """Something that compares equal, NaN included, exactly when it would be the same thing."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if hasattr(value, "__slots__"):
        return (type(value), [plain(getattr(value, name)) for name in value.__slots__])
    return repr(value)


def run(path: Path, claimed: Head = HEAD) -> int:
    """Drive a peer through a short life, journalled under a head; returns the number of events.

    It presents an antigen, and takes one of another peer's; both contribute to the mesh's mean.
    """
    book = Journal(path, claimed, 2**20)
    peer = HEAD.peer(KeyedHash("me"))
    other = replace(HEAD, me=Contact(PeerId("other")), seed=b"other").peer(KeyedHash("other"))
    ours, theirs = (
        an_antigen(
            name,
            created_s=250_000_000,
            expires_s=250_000_003,
            schema=HEAD.fingerprint.schema,
        )
        for name in ("me", "other")
    )
    due: list[tuple[int, Event]] = [
        (0, Start(neighbours=(Contact(PeerId("other")),))),
        (1, Present(ours)),
        (1, Contribute(np.array([0.25, 0.5], np.float32))),
    ]
    other.handle(Start(neighbours=(HEAD.me,)), 0)
    told = other.handle(Present(theirs), 0)
    other.handle(Contribute(np.array([0.5, 0.75])), 0)
    due += [(2, Received(PeerId("other"), a.frame)) for a in told if isinstance(a, Send)]
    count, both = 0, False
    while due and count < 60:
        due.sort(key=lambda item: item[0])
        now_us, event = due.pop(0)
        actions = peer.handle(event, now_us)
        book.write(event, now_us, digest(actions))
        count += 1
        for action in actions:
            if isinstance(action, SetTimer):
                due.append((action.at_us, TimerFired(action.timer)))
            elif isinstance(action, Train):
                delta = np.ones_like(action.vector)
                due.append((now_us + 1, Trained(action.cycle, delta, 6, 0.5)))
            elif isinstance(action, Send):
                answers = other.handle(Received(HEAD.me.peer, action.frame), now_us)
                due += [
                    (now_us + 2, Received(PeerId("other"), answer.frame))
                    for answer in answers
                    if isinstance(answer, Send)
                ]
        both = both or peer.antigens == (ours, theirs)
    assert both
    assert peer.antigens == ()  # both expired
    book.close()
    return count


def test_replay_of_a_real_peer_gives_identical_actions(tmp_path: Path) -> None:
    count = run(tmp_path / "j")
    assert count == 60
    assert replay(tmp_path / "j", SEAL) == Replay(60)
    assert replay(tmp_path / "j", SEAL).identical
    kinds = [type(record.event) for record in read(tmp_path / "j")[1]]
    assert {Present, Contribute} <= set(kinds)
    with pytest.raises(ValueError, match="needs a seal"):
        replay(tmp_path / "j")
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o600


def test_replay_names_the_first_difference(tmp_path: Path) -> None:
    run(tmp_path / "j", replace(HEAD, seed=b"another"))
    found = replay(tmp_path / "j", SEAL)
    assert not found.identical
    assert found.differing is not None
    assert found.records == found.differing + 1
    assert found.event in {"Start", "TimerFired", "Trained"}


def test_the_head_round_trips(tmp_path: Path) -> None:
    for number, head in enumerate([HEAD, replace(HEAD, ages=None, sealed=False)]):
        Journal(tmp_path / str(number), head, 2**20).close()
        found, records = read(tmp_path / str(number))
        assert plain(found) == plain(head)
        assert list(records) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(EVENTS, INT64, st.lists(ACTIONS, max_size=3)), max_size=5))
def test_any_events_round_trip(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[Event, int, list[Action]]]
) -> None:
    path = tmp_path_factory.mktemp("j") / "j"
    book = Journal(path, HEAD, 2**20)
    for event, now_us, actions in told:
        book.write(event, now_us, digest(actions))
    book.close()
    records = list(read(path)[1])
    assert [plain(r.event) for r in records] == [plain(event) for event, _, _ in told]
    assert [(r.now_us, r.actions_digest) for r in records] == [
        (now_us, digest(actions)) for _, now_us, actions in told
    ]


@given(st.lists(ACTIONS, max_size=3), st.lists(ACTIONS, max_size=3))
def test_digests_differ_when_actions_do(one: list[Action], other: list[Action]) -> None:
    alike = [plain(a) for a in one] == [plain(a) for a in other]
    assert (digest(one) == digest(other)) == alike


def test_any_cut_loses_the_last_record_only(tmp_path: Path) -> None:
    count = run(tmp_path / "j")
    data = (tmp_path / "j").read_bytes()
    whole = list(read(tmp_path / "j")[1])
    assert len(whole) == count
    for lost in (1, 3, 16):
        (tmp_path / "cut").write_bytes(data[:-lost])
        assert len(list(read(tmp_path / "cut")[1])) == count - 1
    (tmp_path / "cut").write_bytes(data + b"\0\0\0\x09abc")
    assert replay(tmp_path / "cut", SEAL) == Replay(count)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_a_state_error_or_unseen(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("j")
    book = Journal(folder / "j", HEAD, 2**20)
    book.write(Trained(1, np.ones(3, np.float32), 6, 0.5), 5, b"d" * 16)
    book.write(Received(PeerId("a"), b"frame"), 6, b"d" * 16)
    book.close()
    content = bytearray((folder / "j").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=5))
    (folder / "j").write_bytes(content)
    outcome: object
    try:
        head, records = read(folder / "j")
        outcome = (head, list(records))
    except StateError as error:
        outcome = str(error)[: len(str(folder))]
    assert outcome == str(folder) or isinstance(outcome, tuple)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda path: None, r"cannot be read \(No such file.*; check the path"),
        (lambda path: path.write_bytes(b""), "holds no whole record"),
        (lambda path: path.write_bytes(b"{}\n" * 99), "a record claims"),
        (lambda path: path.write_bytes(b"\0\0\0\x01\x80"), "record 0: damaged"),
        (lambda path: Journal(path, HEAD, 2**20).close(), "holds no event"),
        (lambda path: Journal(path, replace(HEAD, format=3), 2**20).close(), "has format 3"),
    ],
)
def test_what_is_no_journal(tmp_path: Path, write: Callable[[Path], Any], expected: str) -> None:
    write(tmp_path / "j")
    with pytest.raises(StateError, match=expected):
        replay(tmp_path / "j", SEAL)


def test_the_size_is_bounded(tmp_path: Path) -> None:
    book = Journal(tmp_path / "j", HEAD, 2_000)
    for _ in range(100):
        book.write(Received(PeerId("a"), b"x" * 100), 1, b"d" * 16)
    assert "journal.size_max is reached" in book.ended
    book.close()
    assert 1_500 < (tmp_path / "j").stat().st_size <= 2_000
    assert len(list(read(tmp_path / "j")[1])) > 3
    with pytest.raises(StateError, match=r"small: journal\.size_max"):
        Journal(tmp_path / "small", HEAD, 10)


def test_an_older_journal_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("mine")
    with pytest.raises(StateError, match="exists; a journal belongs to one run"):
        Journal(tmp_path / "j", HEAD, 2_000)
    assert (tmp_path / "j").read_text() == "mine"
    with pytest.raises(
        StateError, match=r"cannot be written \(No such file.*; check the folder .*--journal"
    ):
        Journal(tmp_path / "no" / "j", HEAD, 2_000)


def test_a_full_disk_ends_the_journal_and_not_the_node() -> None:
    book = Journal.__new__(Journal)
    book.ended, book._left_bytes = "", 1_000
    book._descriptor = os.open("/dev/full", os.O_WRONLY)
    book.write(Stop(), 1, b"d" * 16)
    assert book.ended == "cannot be written (No space left on device); the journal ends here"
    book.close()
