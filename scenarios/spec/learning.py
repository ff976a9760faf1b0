"""`[learning]`."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from gossip.config import Encoding, Exchange, PeerConfig
from node.config.annotations import Duration, Range, Share
from scenarios.spec.words import DAY_US, FOREVER_US

_PEER = PeerConfig()


class Model(Enum):
    """What is learnt."""

    CLASSIFIER = "classifier"
    DETECTOR = "detector"


class Head(Enum):
    """What a classifier's last layer gives. A detector's is always coded."""

    PLAIN = "plain"  # an output for each family
    CODED = "coded"  # numbers that stand for any name: see `gossip.learning.codes`


class Alarm(Enum):
    """Which of a detector's scores may raise the alarm, to see each one's share."""

    BOTH = "both"  # the more surprising of the two, as a gateway does
    AUTOENCODER = "autoencoder"
    HEAD = "head"


class Arithmetic(Enum):
    """What computes training."""

    TORCH = "torch"  # results differ in the last digits with the size of a stack
    NUMPY = "numpy"  # the same to the last bit whatever is stacked, and faster: see benchmarks


class Method(Enum):
    """Who learns from whom. All but `gossip` are baselines, for comparison."""

    GOSSIP = "gossip"  # as nodes do, see `exchange`
    LOCAL = "local"  # everybody alone
    STATISTICS = "statistics"  # everybody alone, after agreeing on how features are scaled
    POOLED = "pooled"  # one model on everybody's rows: the ceiling
    FEDAVG = "fedavg"  # a server takes the mean of its clients' models (McMahan et al. 2017)
    DPSGD = "dpsgd"  # rounds with all neighbours in a fixed graph (Lian et al. 2017)


@dataclass(frozen=True, slots=True)
class Learning:
    """`[learning]`: the model, its training, and how models are exchanged."""

    model: Model = Model.CLASSIFIER
    head: Head = Head.PLAIN
    arithmetic: Arithmetic = Arithmetic.NUMPY
    hidden: tuple[Annotated[int, Range(1, 4_096)], ...] = ()
    steps: Annotated[int, Range(1, 10_000)] = 7
    batch: Annotated[int, Range(1, 10_000)] = 32
    rate: Annotated[float, Range(1e-9, 99.0)] = 0.05
    momentum: Annotated[float, Range(0.0, 0.999)] = 0.0
    clip: Annotated[float, Range(1e-6, 1e6)] = 1.0
    balance: bool = False
    antigens: bool = False
    rehearse: Annotated[Share, Range(0.0, 0.9)] = 0.33
    train_us: Annotated[Duration, Range(0, DAY_US)] = 500_000
    serve: Annotated[float, Range(0.0, 0.99)] = 0.0
    borrow: bool = False
    evaluate_us: Annotated[Duration, Range(0, FOREVER_US)] = 60_000_000
    evaluate_peers: Annotated[int, Range(0, 100_000)] = 200
    alarm_budget: Annotated[Share, Range(1e-6, 0.5)] = 0.005
    alarm_by: Alarm = Alarm.BOTH
    method: Method = Method.GOSSIP
    clients: Annotated[Share, Range(1e-6, 1.0)] = 1.0
    exchange: Exchange = _PEER.exchange
    fanout: int = _PEER.fanout
    token_cost: int = _PEER.token_cost
    token_capacity: int = _PEER.token_capacity
    fragments: int = _PEER.fragments
    fragments_per_push: int = _PEER.fragments_per_push
    encoding: Encoding = _PEER.encoding
    age_max: int = _PEER.age_max
    age_lead_max: int = _PEER.age_lead_max
    pushes_per_sender_max: int = _PEER.pushes_per_sender_max
    antigens_max: int = _PEER.antigens_max
    antigen_fanout: int = _PEER.antigen_fanout

    @property
    def coded(self) -> bool:
        """Whether the head can give any name."""
        return self.head is Head.CODED or self.model is Model.DETECTOR
