"""Messages between the Lab's processes."""

import os
from pathlib import Path

import msgspec
import pytest

from scenarios.lab.channel import Channel, ClosedError, pair
from scenarios.lab.orders import DONE, ORDER, Done, Split, Start


@pytest.fixture
def ends():
    ours, theirs = pair()
    other = Channel(theirs)
    yield ours, other
    ours.close()
    other.close()


def test_a_message_arrives_whole_with_its_descriptor(ends):
    ours, theirs = ends
    with Path(os.devnull).open() as file:
        ours.send(Start(3, 2, fresh=True, begin_s=0.5), file.fileno())
    ours.send(Split([0, 1, 0]))
    order, descriptor = theirs.receive(ORDER)
    assert order == Start(3, 2, fresh=True, begin_s=0.5)
    assert os.fstat(descriptor).st_rdev == Path(os.devnull).stat().st_rdev
    os.close(descriptor)
    assert theirs.receive(ORDER) == (Split([0, 1, 0]), None)


def test_the_end_of_the_other_side_is_said(ends):
    ours, theirs = ends
    theirs.send(Done("half"))
    theirs.socket.sendall(b"\0\0\0\x09\x01")
    theirs.close()
    assert ours.receive(DONE) == (Done("half"), None)
    with pytest.raises(ClosedError):
        ours.receive(DONE)
    with pytest.raises(ClosedError):
        ours.send(Done())


def test_a_length_over_the_bound_is_not_believed(ends):
    ours, theirs = ends
    theirs.socket.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(ClosedError, match="over the bound"):
        ours.receive(DONE)


def test_what_is_no_order_is_refused(ends):
    ours, theirs = ends
    theirs.send({"type": "Reboot"})
    with pytest.raises(msgspec.ValidationError):
        ours.receive(ORDER)
