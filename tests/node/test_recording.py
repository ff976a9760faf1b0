"""What the ledger says of merges is enough to redo them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.codec import encode, frame_bytes_max, pack
from gossip.config import Encoding
from gossip.events import Received, Start
from gossip.messages import Model
from node.config.settings import Settings
from node.state.keeping import Keeping
from node.state.ledger_reading import entries
from node.state.snapshot import bytes_digest, vector_digest
from node.state.store import Store
from tests.unit.meshes import FINGERPRINT, make_peer, peer_id

DIM, PARTS = 12, 4


class Nobody:
    """A seal that signs nothing that is looked at here."""

    def sign(self, body):
        return b""

    def verifies(self, origin, body, signature):
        return False


@settings(max_examples=25)
@given(
    exchange=st.sampled_from(["age", "pairwise"]),
    own=st.integers(0, 3_000),
    arriving=st.lists(
        st.tuples(
            st.sets(st.integers(0, PARTS - 1), min_size=1),
            st.integers(0, 50_000),
            st.integers(0, 2**16),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_weights_and_digests_follow_from_each_other(tmp_path_factory, exchange, own, arriving):
    chosen = Settings.defaults().with_overrides({"mesh.exchange": exchange})
    config = chosen.mesh.peer_config()
    peer = make_peer(0, config, dim=DIM, ages=own)
    store = Store.open(tmp_path_factory.mktemp("state") / "s")
    keeping = Keeping(store, peer.me.peer, Nobody(), chosen, FINGERPRINT, frame_bytes_max(DIM))
    keeping.load()
    record = keeping.recorder(peer)
    start = Start(())
    record(start, 0, peer.handle(start, 0))
    befores, values = [], []
    for indices, age, seed in arriving:
        theirs = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
        fragments = tuple(
            pack(theirs[3 * i : 3 * i + 3], i, age, Encoding.FLOAT32, None) for i in sorted(indices)
        )
        befores.append(peer.vector.copy())
        values.append(theirs)
        asks = exchange == "pairwise"
        event = Received(peer_id(1), encode(Model(fragments, asks), FINGERPRINT.digest))
        record(event, 1, peer.handle(event, 1))
        after = peer.vector.copy()
        befores.append(after)
    keeping.close()
    store.close()
    noted = [each.about for each in entries(store.folder) if each.what == "merge"]
    assert noted
    for about, before, after, theirs in zip(
        noted, befores[::2], befores[1::2], values, strict=False
    ):
        assert about["model"] == vector_digest(after)
        redone = before.copy()
        parts = []
        for index, weight in zip(about["fragments"], about["weights"], strict=True):
            where = slice(3 * index, 3 * index + 3)
            redone[where] += np.float32(weight) * (theirs[where] - redone[where])
            parts.append(theirs[where].tobytes())
        assert about["got"] == bytes_digest(parts)
        assert redone == pytest.approx(after, abs=1e-4)
