"""A peer's settings, each with its bounds and where its default comes from."""

from dataclasses import dataclass
from enum import Enum

from gossip.errors import ConfigError
from gossip.pushsum import LENGTH_MAX


class Exchange(Enum):
    """How models are exchanged. See docs/protocol.md for the three algorithms."""

    AGE = "age"  # age-weighted merge on receipt, token account (Hegedűs, Danner, Jelasity)
    EPIDEMIC = "epidemic"  # push to s random peers, mean of what arrived (De Vos et al. 2023)
    PAIRWISE = "pairwise"  # push-pull with one neighbour, both take the mean (Boyd et al. 2006)


class Encoding(Enum):
    """How a fragment's numbers travel."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"  # one scale per fragment, stochastic rounding

    __hash__ = object.__hash__  # members are single: as right as Enum's and four times as fast


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """Settings of the protocol. Times are integer microseconds.

    Raises:
        ConfigError: a value is out of its bounds; the message names the key.
    """

    cycle_us: int = 10_000_000
    """Period of training and exchange. With 10 s the detector's 13.3 kB frames make 1.3 kB/s a
    peer. Our choice."""

    jitter: float = 0.1
    """Each period is stretched or shrunk by up to this fraction, so that peers started together
    drift apart. Our choice."""

    exchange: Exchange = Exchange.AGE

    fanout: int = 1
    """Peers addressed by one push. 1 in age mode is the papers' protocol; epidemic learning wants
    about log2 of the mesh's size (De Vos et al. 2023: 7 of 96)."""

    token_cost: int = 10
    """A of the randomised token account (Danner and Jelasity 2018). A and C as the experiments of
    Hegedűs, Danner, Jelasity (2021) with this strategy, as we remember them; not tuned here."""

    token_capacity: int = 20
    """C of the randomised token account; see A."""

    fragments: int = 4
    """Fixed slices of the flat vector, each with an age of its own. Our choice."""

    fragments_per_push: int = 4
    """Fragments in one push, drawn at random. All of them by default: our models are small."""

    encoding: Encoding = Encoding.FLOAT32

    age_max: int = 100_000
    """A peer's age stops growing here, so weights stay responsive for ever. Our choice."""

    age_lead_max: int = 1_000
    """How far above our own age a received age may count. Bounds the weight that a lying peer
    can claim against a trained model to (a + lead) / (2a + lead). Our choice."""

    pushes_per_sender_max: int = 8
    """Model messages accepted from one sender in one of our cycles; the rest are shed. Measured
    over 3,000 cycles, honest token accounts lose 0.5 % of their models to it in a mesh of two,
    0.01 % in one of three, and none in larger ones."""

    view_size: int = 20
    """c of Cyclon (the experiments of Voulgaris et al. 2005 use 20 to 100)."""

    shuffle_size: int = 8
    """l of Cyclon: entries exchanged in one shuffle (the paper's figures use 3 and 8)."""

    samplers: int = 32
    """Min-wise samplers kept beside the view (Brahms: Bortnikov et al. 2009). 0 is Cyclon as
    published, for comparison: without them whoever shuffles most owns the view, and nobody is
    remembered after a partition."""

    join_retry_us_min: int = 1_000_000
    """First pause between attempts to join. Our choice."""

    join_retry_us_max: int = 60_000_000
    """Longest pause between attempts to join; a node whose bootstrap is down waits this long at
    most before it tries again. Our choice."""

    probe_cycles: int = 3
    """Every this many shuffles, one remembered peer outside the view is tried, so that two halves
    of a healed mesh find each other. Our choice."""

    antigens_max: int = 64
    """Antigens held, revocations among them; 0 takes no part in them. 64 are 16 families from four
    origins each, 250 kB, and 512 bytes of ids on each model. Our choice."""

    antigen_fanout: int = 3
    """Neighbours that are told at once of a new antigen. An id pushed once by each peer to three
    others reaches 94 % of them (the root of x = 1 - exp(-3 x)); models carry it to the rest."""

    greets: bool = False
    """Whether a peer that comes to know somebody pushes its model at once and asks for one back,
    and answers who asks so. Measured with two nodes at a cycle of 10 s: without it, the token
    account left a newcomer without a model for over a minute. Nodes do; scenarios do as published.
    """

    sums_length: int = 0
    """Numbers of which the mesh's mean is taken, the same at all peers; 0 takes no part in it.
    What they mean is the driver's matter, `gossip.learning.tails` for instance."""

    def __post_init__(self) -> None:
        """Check every bound."""
        bounds: dict[str, tuple[float, float]] = {
            "cycle_us": (10_000, 86_400_000_000),
            "jitter": (0.0, 0.5),
            "fanout": (1, 64),
            "token_cost": (1, 1_000),
            "token_capacity": (self.token_cost, 10_000),
            "fragments": (1, 256),
            "fragments_per_push": (1, self.fragments),
            "age_max": (1, 2**40),
            "age_lead_max": (1, 2**40),
            "pushes_per_sender_max": (1, 1_000),
            "view_size": (1, 256),
            "shuffle_size": (1, min(32, self.view_size)),
            "samplers": (0, 256),
            "join_retry_us_min": (1_000, self.join_retry_us_max),
            "join_retry_us_max": (1_000, 86_400_000_000),
            "probe_cycles": (1, 1_000_000),
            "antigens_max": (0, 64),
            "antigen_fanout": (1, 64),
            "sums_length": (0, LENGTH_MAX),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(
                    f"{name} = {value} is out of range; give a value from {low} to {high}"
                )
