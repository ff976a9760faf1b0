"""Objects as bytes: what comes back is the same, and of the classes listed, whatever the bytes."""

import math
from collections import Counter, deque
from dataclasses import dataclass
from enum import Enum

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.contacts import Contact
from gossip.errors import StateError
from gossip.peer import Peer
from gossip.records import record
from scenarios.runs.simulate import set_up
from scenarios.world.freezing import Freezer, Kind, Kinds, Known, Made, Thawer
from scenarios.world.frozen import HOST_FIELDS, KINDS, freeze, thaw
from scenarios.world.hosts import Host
from tests.scenarios.fakes import Rig
from tests.scenarios.test_checkpoint import LIVELY, SECOND_US, plan_of


class Node:
    __slots__ = ("never", "next", "values")


@record
class Pair:
    left: object
    right: object


class Colour(Enum):
    RED = "red"


@dataclass(slots=True)
class Bag:
    items: dict
    count: int = 0


KNOWN = Known(texts=["a frequent text"], values=[Pair(1, 2)])
LISTED = Kinds(
    (Kind(Node, single=True), Kind(Bag, anew={"count": lambda bag: len(bag.items)})),
    (Pair,),
    (Colour,),
)

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(
    max_size=40
)  # fmt: skip
keys = st.integers() | st.text(max_size=5) | st.binary(max_size=20) | st.just(Colour.RED)
values = st.recursive(
    plain | st.just("a frequent text") | st.just(Colour.RED) | st.just(Pair(1, 2)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(deque)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(keys, st.integers(), max_size=3).map(Counter)
    ),
    max_leaves=12,
)


def there_and_back(*given, kinds=LISTED, known=KNOWN):
    freezer, thawer = Freezer(kinds, known), Thawer(kinds, known)
    return [thawer.thaw(freezer.freeze(value)) for value in given]


@given(st.lists(values, min_size=1, max_size=3))
def test_plain_values_come_back_as_they_were(given):
    # Of a text, since NaN is not equal to itself; it tells 1 from 1.0 and True, too.
    assert repr(there_and_back(*given)) == repr(given)


@pytest.mark.parametrize("kind", ["<f4", "<f8", "<i8", "<u8", "|u1", "|b1"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
def test_arrays_come_back_writable(kind, shape):
    array = np.arange(math.prod(shape)).reshape(shape).astype(kind)
    (back,) = there_and_back(np.asfortranarray(array) if shape else array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    back[...] = 1


def test_one_object_stays_one_even_in_a_circle():
    node, other = Node(), Node()
    node.next, other.next = other, node
    node.values, other.values = [1], {"x": other}
    one, two, three = there_and_back(node, [other, node], Pair(node, 5))
    assert two == [one.next, one]
    assert one.next.next is one
    assert one.next.values["x"] is one.next
    assert three.left is one
    assert not hasattr(one, "never")


def test_equal_values_are_written_once_and_come_back_as_one():
    blob, name = bytes(range(200)), Pair("left", b"right" * 9)
    freezer = Freezer(LISTED, KNOWN)
    first = freezer.freeze([blob, name])
    second = freezer.freeze([bytes(bytearray(blob)), Pair("left", b"right" * 9)])
    assert len(second) < 12 < len(first)
    thawer = Thawer(LISTED, KNOWN)
    one, two = thawer.thaw(first), thawer.thaw(second)
    assert one == two == [blob, name]
    assert one[0] is two[0]
    assert one[1] is two[1]
    assert there_and_back(Pair(1, 2))[0] is KNOWN.values[0]


def test_fields_that_follow_from_others_are_made_anew_and_some_classes_by_functions():
    listed = Known(made=[Made(complex, lambda c: (c.real, c.imag), lambda parts: complex(*parts))])
    assert there_and_back(Bag({1: 2}, 7), 1 + 2j, known=listed) == [Bag({1: 2}, 1), 1 + 2j]


@pytest.mark.parametrize("value", [object(), {1, 2}, np.float32(1), [Contact("x")], {3: range(2)}])
def test_what_is_not_listed_is_not_written(value):
    with pytest.raises(TypeError, match=r"a checkpoint holds no .* list it in scenarios.world"):
        Freezer(LISTED, KNOWN).freeze(value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xc1", msgpack.packb({}), msgpack.packb([]), msgpack.packb([999]),
        msgpack.packb([["x"]]), msgpack.packb([8, 0]), msgpack.packb([9, 7]),
        msgpack.packb([16, 1]), msgpack.packb([17, [2], [2]]), msgpack.packb([2, 1]),
        msgpack.packb([2, [0], 1]), msgpack.packb([5, 0, [2**62], b""]),
        msgpack.packb([5, 99, [1], b"x"]), msgpack.packb([5, 0, [-1, -1], b"1234"]),
        msgpack.packb(msgpack.ExtType(5, b"x")), msgpack.packb(msgpack.Timestamp(1)),
        msgpack.packb([19, "blue"]), b"\x91" * 5_000, msgpack.packb(1) * 2, msgpack.packb([6, 1]),
    ],
)  # fmt: skip
def test_what_nobody_wrote_is_refused(data):
    with pytest.raises(StateError, match="damaged"):
        Thawer(LISTED, KNOWN).thaw(data)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else_or_make_another_class(data):
    try:
        found = Thawer(LISTED, KNOWN).thaw(data)
    except StateError:
        return
    assert type(found) in {
        type(None), bool, int, float, str, bytes, list, tuple, dict, deque, Counter, np.ndarray,
        Node, Pair, Bag, Colour,
    }  # fmt: skip


# Of a World


@pytest.mark.parametrize("variant", ["age", "epidemic", "pairwise", "exponential", "detector"])
def test_nothing_that_changes_is_reached_on_two_ways_unnoticed(variant):
    """Else it would be one thing before a checkpoint and two after it."""
    singles = {kind.cls for kind in KINDS.kinds if kind.single}
    values = {Host, *KINDS.values, *KINDS.enums}
    stage = set_up(plan_of(variant))
    stage.world.run(33 * SECOND_US)
    seen: dict[int, object] = {}

    def walk(value: object, way: str) -> None:
        if isinstance(value, list | dict | deque | np.ndarray) or type(value) in singles:
            if id(value) in seen:
                # A job's is its host's until it is in a stack; neither is changed in place.
                assert type(value) in singles or way in {"local", "momentum"}, way
                return
            seen[id(value)] = value
        if isinstance(value, dict):
            for key, part in value.items():
                walk(part, f"{way}[{key}]")
        elif isinstance(value, list | tuple | deque):
            for part in value:
                walk(part, f"{way}[]")
        elif type(value) not in values:
            for kind in KINDS.kinds:
                if kind.cls is type(value):
                    for name in kind.fields:
                        walk(getattr(value, name, None), f"{way}.{name}")

    walk(stage.world.standing(), "standing")
    for host in stage.world.hosts:
        for name in HOST_FIELDS:
            walk(getattr(host, name), name)
    for due in stage.world.due():
        walk(due, "due")
    assert Peer in {type(value) for value in seen.values()}


@pytest.mark.parametrize("at_s", [7, 33, 58])
def test_a_world_that_was_taken_up_is_frozen_to_the_same_bytes(at_s):
    stage, other = set_up(plan_of("pairwise")), set_up(plan_of("pairwise"))
    stage.world.run(at_s * SECOND_US)
    pieces = list(freeze(stage.world, stage.trainer))
    thaw(other.world, other.trainer, iter(pieces))
    assert list(freeze(other.world, other.trainer)) == pieces


def test_training_in_another_process_is_waited_for_and_kept_as_it_is_grouped():
    plan = plan_of("age")
    stage, other = set_up(plan, workers=1), set_up(plan_of("age"), workers=0)
    stage.world.run(30 * SECOND_US)
    assert stage.trainer.given
    thaw(other.world, other.trainer, freeze(stage.world, stage.trainer))
    stage.trainer.close()
    waiting, outstanding, full, calls, given = other.trainer.state()
    assert (outstanding, calls, given) == stage.trainer.state()[1:2] + stage.trainer.state()[3:]
    assert [job.peer for job in waiting] == [job.peer for job in stage.trainer.state()[0]]
    assert not full
    for host, twin in zip(stage.world.hosts, other.world.hosts, strict=True):
        assert (host.job is None) == (twin.job is None)
        if host.job is not None and host.job.batch is not None:
            np.testing.assert_array_equal(host.job.batch.stack.memory, twin.job.batch.stack.memory)
            assert host.job.row == twin.job.row


def test_a_peer_of_another_class_is_a_mistake_of_ours():
    rig = Rig(2, lambda *_: [])
    rig.world.run(1)
    with pytest.raises(TypeError, match="FakePeer"):
        list(freeze(rig.world, rig.trainer))


def test_pieces_that_are_missing_or_too_many_are_refused():
    plan = plan_of("age")
    stage = set_up(plan)
    stage.world.run(10 * SECOND_US)
    pieces = list(freeze(stage.world, stage.trainer))
    for wrong in ([], pieces[:1], pieces[:5], pieces[1:], [*pieces, pieces[1]], pieces[::-1]):
        fresh = set_up(plan_of("age"))
        with pytest.raises(StateError, match="damaged"):
            thaw(fresh.world, fresh.trainer, iter(wrong))
    assert len(pieces) == 2 + LIVELY["mesh"]["peers"]
