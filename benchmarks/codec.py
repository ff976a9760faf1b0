"""Model frames of 9,834 parameters: how long writing and reading one takes, and how long it is.

Encoding is `LocalModel.message` and `codec.encode`, as a push does it; decoding is `codec.decode`
and `LocalModel.read`, as a receiver does it before it merges. MB/s are of the float32 model.
"""

import numpy as np
from _common import MLP_SIZES, Row, parser, publish, timed

from gossip.codec import decode, encode
from gossip.config import Encoding, PeerConfig
from gossip.draws import Purpose, generator
from gossip.learning.shapes import MLPShape
from gossip.messages import Model
from gossip.model import LocalModel

SEED = b"benchmark"
DIGEST = bytes(8)


def measured(encoding: Encoding, repeats: int, seconds: float) -> Row:
    dim = MLPShape(MLP_SIZES).layout.dim
    config = PeerConfig(encoding=encoding)
    rng = generator(SEED, "codec", 0, Purpose.INITIAL)
    model = LocalModel(config, rng.standard_normal(dim, np.float32), None)
    indices = range(config.fragments)

    def write() -> bytes:
        return encode(model.message(SEED, "a", 1, indices, answer=False), DIGEST)

    frame = write()

    def read() -> None:
        message = decode(frame, DIGEST)
        if not isinstance(message, Model):
            raise TypeError("a model came back as something else")
        model.read(message.fragments)

    numbers = sum(
        len(fragment.data)
        for fragment in model.message(SEED, "a", 1, indices, answer=False).fragments
    )
    wrote, got = timed(write, repeats, seconds), timed(read, repeats, seconds)
    return {
        "encoding": encoding.value,
        "encode us": wrote.scaled(1e6),
        "encode MB/s": wrote.per(4 * dim / 1e6),
        "decode us": got.scaled(1e6),
        "decode MB/s": got.per(4 * dim / 1e6),
        "frame bytes": len(frame),
        "numbers bytes": numbers,
        "of float32": len(frame) / (4 * dim),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=0.5, help="for each repeat (default 0.5)")
    given = options.parse_args()
    publish("codec", given, [measured(each, given.repeats, given.seconds) for each in Encoding])


if __name__ == "__main__":
    main()
