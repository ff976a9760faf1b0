"""Names of attacks as fixed codes, so that a head of one shape can name any of them.

The head's last layer gives `CODE_BITS` numbers; the output of a family is their product with the
family's code. A code is made of the name alone, so peers that never spoke of a family agree on it,
and a new name changes nobody's parameters. Error correcting output codes (Dietterich and Bakiri,
JAIR 2, 1995; random ones in Allwein, Schapire and Singer, JMLR 1, 2000); a last layer that is not
learnt costs nothing (Hoffer, Hubara and Soudry, "Fix your classifier", ICLR 2018).

Benign and the standard families have orthogonal codes, rows of a Hadamard matrix. Any other name's
is ±1 by its hash, less what lies along those; so it, too, is orthogonal to them, and nearly so to
others of its kind. With all codes by hash alone the recordings' families were confused more often
(accuracy of the factory, which has no labels, three tuning seeds: 0.72 to 0.84 against 0.93 to
0.97; 0.89 to 0.92 with an output for each family).

The alternative, an output for each name by its hash, was not taken: of ten names in 32 places, two
share a place with a probability of 0.79, and then nobody can tell them apart.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gossip.flows import FAMILIES

CODE_BITS = 32
"""Measured on NSL-KDD (ten families, 32 peers, three seeds): 16 and 32 are alike."""

CODE_LENGTH = 1.5
"""Euclidean length of a code. It sets how far apart outputs are for a given last layer, and so how
fast that learns. Measured on NSL-KDD (four families that one of 32 peers had seen, tuning seeds 100
and 101): lengths 1, 1.5, 2 and 4 find back and warezclient elsewhere at 0.59, 0.66, 0.70 and 0.77
after five cycles, and all four alike, at 0.85 to 0.99, after ten. On the recordings the shorter are
the steadier: accuracy of the factory, worst of five seeds, 0.92, 0.79, 0.76, 0.70.
"""

_STANDARD = np.array(
    [
        [1.0 - 2.0 * ((row & column).bit_count() & 1) for column in range(CODE_BITS)]
        for row in range(1, len(FAMILIES) + 1)
    ]
)
"""Sylvester's Hadamard matrix, one row for each standard family; the first, of ones, is left."""


@lru_cache(maxsize=1_024)
def _code(name: str) -> tuple[float, ...]:
    if name in FAMILIES:
        signs = _STANDARD[FAMILIES.index(name)]
    else:
        digest = blake2b(name.encode(), digest_size=CODE_BITS // 8, person=b"hedgerow code")
        bits = np.unpackbits(np.frombuffer(digest.digest(), np.uint8))
        signs = 2.0 * bits - 1.0
        # Sums of signs by sums of signs: exact, so that all machines agree to the last bit.
        signs = signs - (_STANDARD @ signs) @ _STANDARD / CODE_BITS
    return tuple((signs * (CODE_LENGTH / np.sqrt(np.square(signs).sum()))).tolist())


def codes(names: Sequence[str]) -> NDArray[np.float32]:
    """The codes of these families, float32 `(CODE_BITS, len(names))`, one a column."""
    return np.array([_code(name) for name in names], np.float32).reshape(-1, CODE_BITS).T.copy()
