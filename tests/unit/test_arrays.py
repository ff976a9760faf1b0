"""Groups of arrays in one mapping."""

import numpy as np

from gossip.arrays import group_of, prefixed


def test_groups_come_back_by_their_own_names_and_apart() -> None:
    one, other = {"a": np.ones(1), "b.c": np.ones(2)}, {"a": np.ones(3)}
    flat = prefixed("x", one) | prefixed("xy", other)
    assert sorted(flat) == ["x.a", "x.b.c", "xy.a"]
    assert group_of(flat, "x") == one
    assert group_of(flat, "xy") == other
    assert group_of(flat, "y") == {}
