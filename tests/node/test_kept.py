"""Antigens in the state folder: what comes back is what was put there, or nothing."""

from dataclasses import replace

import msgpack
import numpy as np
import pytest

from gossip.antigens import Antigen
from gossip.contacts import PeerId
from gossip.errors import StateError
from node.antigens import kept

ONE = Antigen(PeerId("12D3KooWx"), "scan", 3, 20, 100, 200, b"mixture", bytes(64))
TWO = replace(ONE, family="dos", evidence=0, description=b"")


def test_they_come_back_as_they_were() -> None:
    for antigens in ((), (ONE,), (ONE, TWO)):
        assert kept.from_arrays(kept.to_arrays(antigens)) == antigens


def array(value: object) -> dict[str, np.ndarray]:
    return {kept.NAME: np.frombuffer(msgpack.packb(value), np.uint8)}


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {kept.NAME: np.zeros(3, np.float32)},
        {kept.NAME: np.zeros((2, 2), np.uint8)},
        {kept.NAME: np.zeros(0, np.uint8)},
        {kept.NAME: np.frombuffer(b"\xdd\xff\xff\xff\xff", np.uint8)},
        {kept.NAME: kept.to_arrays((ONE,))[kept.NAME][:-1]},
        array(7),
        array([7]),
        array({"a": 1}),
        array([["x"] * 8]),
        array([[]] * (kept.KEPT_MAX + 1)),
    ],
)
def test_damage_is_said_and_nothing_else_raises(arrays) -> None:
    with pytest.raises(StateError):
        kept.from_arrays(arrays)
