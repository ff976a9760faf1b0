"""Merging models of 9,834 parameters: the rules alone, and a whole model frame through a peer.

The rules are measured on one pair and on 256 pairs in one call; both figures are per pair. A frame
is decoded, checked, merged and, where the exchange says so, answered.
"""

import numpy as np
from _common import MLP_SIZES, Row, Work, parser, publish, timed

from gossip.codec import encode
from gossip.config import Exchange, PeerConfig
from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, generator
from gossip.events import Received, Start, Timer, TimerFired
from gossip.fingerprint import Fingerprint
from gossip.learning.shapes import MLPShape
from gossip.merge import age_weighted, mean_with_arrived, midpoint
from gossip.model import LocalModel
from gossip.peer import Peer

SEED = b"benchmark"
STACK = 256
SENDERS = 8
DIM = MLPShape(MLP_SIZES).layout.dim


def rules(repeats: int, seconds: float) -> list[Row]:
    rng = generator(SEED, "merge", 0, Purpose.INITIAL)
    one = rng.standard_normal((2, DIM), np.float32)
    many = rng.standard_normal((2, STACK, DIM), np.float32)
    ages = np.arange(1, STACK + 1)
    works: dict[str, tuple[Work, Work]] = {
        "age_weighted": (
            lambda: age_weighted(one[0], 40, one[1], 50),
            lambda: age_weighted(many[0], ages, many[1], ages[::-1]),
        ),
        "mean_with_arrived": (
            lambda: mean_with_arrived(one[0], one[1], 3),
            lambda: mean_with_arrived(many[0], many[1], ages),
        ),
        "midpoint": (lambda: midpoint(*one), lambda: midpoint(*many)),
    }
    return [
        {
            "rule": name,
            "one pair us": timed(alone, repeats, seconds).scaled(1e6),
            f"one of {STACK} us": timed(stacked, repeats, seconds).scaled(1e6 / STACK),
        }
        for name, (alone, stacked) in works.items()
    ]


def frames(exchange: Exchange, repeats: int, seconds: float) -> Row:
    config = PeerConfig(exchange=exchange)
    fingerprint = Fingerprint("benchmark", MLPShape(MLP_SIZES).text)
    vector = generator(SEED, "frames", 0, Purpose.INITIAL).standard_normal(DIM, np.float32)
    peer = Peer(config, Contact(PeerId("me")), SEED, fingerprint, vector)
    names = [PeerId(f"peer{number}") for number in range(SENDERS)]
    due_us = config.cycle_us * 2
    peer.handle(Start(neighbours=tuple(map(Contact, names))), 0)
    model = LocalModel(config, -vector, None)
    asks = exchange is Exchange.PAIRWISE
    message = model.message(SEED, "other", 1, range(config.fragments), answer=asks)
    events = [Received(name, encode(message, fingerprint.digest)) for name in names]

    def cycle() -> None:
        # A new cycle each time, so that nothing is shed for coming twice.
        nonlocal due_us
        due_us += config.cycle_us
        peer.handle(TimerFired(Timer.CYCLE), due_us)
        for event in events:
            peer.handle(event, due_us)

    return {
        "frame through a peer": exchange.value,
        "us": timed(cycle, repeats, seconds).scaled(1e6 / SENDERS),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=0.5, help="for each repeat (default 0.5)")
    given = options.parse_args()
    rows = rules(given.repeats, given.seconds)
    rows += [frames(each, given.repeats, given.seconds) for each in Exchange]
    publish("merge", given, rows)


if __name__ == "__main__":
    main()
