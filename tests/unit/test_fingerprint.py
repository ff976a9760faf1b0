"""The fingerprint: equal exactly when everything is, and fit for the other side's log."""

import pytest

from gossip.codec import decode, encode
from gossip.fingerprint import DIGEST_BYTES, TEXT_CHARS_MAX, Fingerprint
from gossip.messages import Refuse


def test_every_part_counts():
    base = Fingerprint("features", "model")
    assert base.digest == Fingerprint("features", "model").digest
    assert len(base.digest) == DIGEST_BYTES
    others = {
        Fingerprint("feature", "model").digest,
        Fingerprint("features", "models").digest,
        Fingerprint("features", "model", 99).digest,
    }
    assert len({base.digest, *others}) == 4


def test_what_is_signed_depends_on_the_features_alone():
    base = Fingerprint("features", "model")
    assert base.schema == Fingerprint("features", "another", 99).schema
    assert base.schema != Fingerprint("other features", "model").schema


@pytest.mark.parametrize("bad", ["ä", "two\nlines", "\x1b[31m", "x" * TEXT_CHARS_MAX])
def test_a_text_that_a_peer_could_not_log_is_refused(bad):
    with pytest.raises(ValueError, match="printable ASCII"):
        Fingerprint(bad, "model")


def test_the_longest_text_fits_a_refusal():
    longest = Fingerprint("f" * 300, "m" * 40)
    refusal = Refuse(f"it has {longest.text}")
    assert decode(encode(refusal, longest.digest), longest.digest) == refusal
