"""Whose knowledge a model holds: the shares are the merges' own arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.alerts.contributors import NEIGHBOURS_MAX, SHARE_MIN, Contributors, Source

UNKNOWN = "unknown"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 0.9)), max_size=12))
def test_shares_of_the_model_are_what_merging_vectors_gives(merges):
    """Each neighbour's vector is an axis; the merged vector's coordinates are the shares."""
    found, axes = Contributors(), {"a": 0, "b": 1, "c": 2}
    vector = np.array([0.0, 0.0, 0.0, 1.0])
    for peer, weight in merges:
        found.merged(peer, weight)
        vector = (1 - weight) * vector + weight * np.eye(4)[axes[peer]]
    told = {each.id: each.share for each in found.of(UNKNOWN)}
    assert sum(told.values()) == pytest.approx(1.0)
    for peer, place in axes.items():
        assert told.get(peer, 0.0) == pytest.approx(vector[place], abs=SHARE_MIN * len(merges))


def test_shares_of_a_family_are_the_last_trainings_rows():
    found = Contributors()
    found.learnt({"scan": 30, "dos": 5}, {"scan": 10}, {"scan": 12, "dos": 5})
    found.rehearsed(
        [
            Source("aa", "scan", "P", 40, 0.75),
            Source("bb", "scan", "Q", 10, 0.25),
            Source("cc", "dos", "Q", 10, 1.0),
        ]
    )
    family = [each for each in found.of("scan") if each.family]
    assert [(each.kind, each.id, each.origin, each.evidence, each.share) for each in family] == [
        ("own", "", "", 12, 0.75),
        ("antigen", "aa", "P", 40, 0.1875),
        ("antigen", "bb", "Q", 10, 0.0625),
    ]
    assert [each.kind for each in found.of("dos") if each.family] == ["own"]
    (alone,) = found.of(UNKNOWN)
    assert (alone.kind, alone.share) == ("own", 1.0)


def test_names_are_bounded_and_outlive_a_restart():
    found = Contributors()
    for number in range(3 * NEIGHBOURS_MAX):
        found.merged(f"peer {number}", 0.01)
    assert len(found.saved()) <= NEIGHBOURS_MAX
    again = Contributors()
    again.restore(found.saved())
    assert again.of(UNKNOWN) == found.of(UNKNOWN)
    for damage in (None, [], {"a": "x"}, {"a": 2.0}, {"a": float("nan")}):
        other = Contributors()
        other.restore(damage)
        assert other.saved() == {}
