from hashlib import blake2b

import numpy as np
import pytest

from gossip.flows import FAMILIES
from gossip.learning.codes import CODE_BITS, CODE_LENGTH, codes

OTHERS = tuple(f"family {i}" for i in range(60))


def test_codes_are_one_to_a_name_whoever_is_beside() -> None:
    together = codes((*FAMILIES, *OTHERS))
    assert together.shape == (CODE_BITS, 68)
    assert np.array_equal(together[:, 5:9], codes((*FAMILIES[5:], OTHERS[0])))
    assert codes(()).shape == (CODE_BITS, 0)


def test_codes_are_of_one_length_and_far_apart() -> None:
    all_of_them = codes((*FAMILIES, *OTHERS))
    angles = all_of_them.T @ all_of_them / CODE_LENGTH**2
    assert np.allclose(np.diag(angles), 1.0, atol=1e-5)
    assert np.allclose(angles[: len(FAMILIES)], np.eye(68)[: len(FAMILIES)], atol=1e-6)
    assert (angles - np.eye(68)).max() < 0.8


@pytest.mark.parametrize(
    ("names", "digest"),
    [(FAMILIES, "368d4b785753"), (("back", "smurf", "warezclient"), "bb84efad6212")],
)
def test_codes_never_change(names: tuple[str, ...], digest: str) -> None:
    # Models of peers that disagree here could not be merged, and nobody would notice.
    rounded = np.rint(codes(names) * 1e4).astype("<i4")
    assert blake2b(rounded.tobytes(), digest_size=6).hexdigest() == digest
