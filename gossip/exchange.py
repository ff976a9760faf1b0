"""When to send a model, and what to do with one that arrives.

Three published algorithms behind one interface. None of them waits for anybody: a peer sends when
its own clock says so and merges whatever has come by then.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from gossip import tokens
from gossip.config import Exchange, PeerConfig
from gossip.contacts import PeerId
from gossip.merge import Vector, age_weighted, mean_with_arrived, midpoint
from gossip.model import LocalModel, Values
from gossip.records import record

ARRIVED_MAX = 64
"""Models that count in one cycle. Honest peers send s = log2 n of them, far fewer than 64."""


@record
class Verdict:
    """What follows from an arrived model.

    Args:
        merged: fragments merged now.
        pushes: how many models to push to random neighbours now.
        shed: why the model was ignored, if it was.
    """

    merged: int = 0
    pushes: int = 0
    shed: str = ""


class Strategy(ABC):
    """One way to exchange models."""

    asks_for_answer: ClassVar[bool] = False
    """Whether a push asks the receiver for its model in return."""

    flips: ClassVar[bool] = False
    """Whether its decisions use their coins; else none is drawn."""

    __slots__ = ("config", "model")

    def __init__(self, config: PeerConfig, model: LocalModel) -> None:
        self.config = config
        self.model = model

    @abstractmethod
    def on_cycle(self, coin: float) -> int:
        """A cycle begins; pushes to make now. `coin` is uniform in [0, 1) if `flips`."""

    @abstractmethod
    def on_trained(self) -> int:
        """This cycle's training is over, or there was none; pushes to make now."""

    @abstractmethod
    def on_model(
        self, sender: PeerId, values: Values, coin: float, *, wants_answer: bool
    ) -> Verdict:
        """A well-formed model arrived."""

    @abstractmethod
    def on_pushed(self, to: PeerId) -> None:
        """A model was sent to this peer because the strategy asked for it."""


@final
class AgeWeighted(Strategy):
    """Push, merge on receipt, flow control by tokens.

    Hegedűs, Danner, Jelasity, "Decentralized learning works" (JPDC 2021), the token variant;
    tokens after Danner and Jelasity (ICDCS 2018). One account serves all fragments, because our
    pushes carry all of them by default, where the partitioned variant of the paper keeps one
    account for each. A model is news when it is at least as old, that is, as much trained, as ours.
    """

    flips = True

    __slots__ = ("_tokens",)

    def __init__(self, config: PeerConfig, model: LocalModel) -> None:
        super().__init__(config, model)
        # The paper starts at 0, which would keep a fresh mesh silent for A cycles.
        self._tokens = config.token_cost

    def on_cycle(self, coin: float) -> int:
        """Push unasked if the account is full enough, else earn a token."""
        cost, capacity = self.config.token_cost, self.config.token_capacity
        if coin < tokens.proactive(self._tokens, cost, capacity):
            return self.config.fanout
        self._tokens = min(self._tokens + 1, capacity)
        return 0

    def on_trained(self) -> int:
        """No push: the account decides when."""
        return 0

    def on_pushed(self, to: PeerId) -> None:
        """Nothing to remember."""

    def on_model(
        self, sender: PeerId, values: Values, coin: float, *, wants_answer: bool
    ) -> Verdict:
        """Merge at once; spend tokens if it was news."""
        useful = False
        for index, (vector, claimed) in values.items():
            own, age = self.model.age(index), self.model.cap(index, claimed)
            useful = useful or age >= own
            merged, _ = age_weighted(self.model.own(index), own, vector, age)
            self.model.merge(index, merged, age)
        pushes = tokens.reactive(self._tokens, self.config.token_cost, coin, useful=useful)
        self._tokens -= pushes
        return Verdict(merged=len(values), pushes=pushes)


@dataclass(slots=True)
class Arrived:
    """Sum of what arrived of one fragment in this cycle, how many, and the highest age."""

    total: Vector
    count: int
    age: int

    def add(self, vector: Vector, age: int) -> None:
        """One more has arrived."""
        if self.count == 1:
            self.total = self.total + vector  # the first is not ours to change
        else:
            self.total += vector
        self.count += 1
        self.age = max(self.age, age)


@final
class Epidemic(Strategy):
    """Epidemic learning, local variant (EL-Local; De Vos et al., NeurIPS 2023).

    Train, push to s random peers, and at the end of the cycle take the mean of one's own model
    and what arrived. Sums are kept, not models, so memory does not grow with the number of senders.
    """

    __slots__ = ("_arrived", "_senders")

    def __init__(self, config: PeerConfig, model: LocalModel) -> None:
        super().__init__(config, model)
        self._arrived: dict[int, Arrived] = {}
        self._senders: dict[PeerId, None] = {}

    def on_cycle(self, coin: float) -> int:
        """Close the cycle: take the mean with what arrived."""
        for index, arrived in self._arrived.items():
            mean = mean_with_arrived(self.model.own(index), arrived.total, arrived.count)
            self.model.merge(index, mean, arrived.age)
        self._arrived.clear()
        self._senders.clear()
        return 0

    def on_trained(self) -> int:
        """Push to s random peers."""
        return self.config.fanout

    def on_pushed(self, to: PeerId) -> None:
        """Nothing to remember."""

    def on_model(
        self, sender: PeerId, values: Values, coin: float, *, wants_answer: bool
    ) -> Verdict:
        """Add to the sum of this cycle, once per sender."""
        if sender in self._senders:
            return Verdict(shed="a second model from one peer in one cycle")
        if len(self._senders) >= ARRIVED_MAX:
            return Verdict(shed=f"more than {ARRIVED_MAX} models in one cycle")
        self._senders[sender] = None
        for index, (vector, claimed) in values.items():
            age = self.model.cap(index, claimed)
            arrived = self._arrived.get(index)
            if arrived is None:
                self._arrived[index] = Arrived(vector, 1, age)
            else:
                arrived.add(vector, age)
        return Verdict(merged=len(values))


@final
class Pairwise(Strategy):
    """Push-pull: after training, one neighbour and we both take the mean of our two models.

    Boyd et al., "Randomized gossip algorithms" (2006); asynchronous as AD-PSGD (Lian et al. 2018),
    so the two means may differ by what each learnt while messages were under way.
    """

    asks_for_answer = True

    __slots__ = ("_asked",)

    def __init__(self, config: PeerConfig, model: LocalModel) -> None:
        super().__init__(config, model)
        self._asked: dict[PeerId, None] = {}

    def on_cycle(self, coin: float) -> int:
        """No push: training comes first."""
        return 0

    def on_trained(self) -> int:
        """Forget stale questions and ask anew."""
        self._asked.clear()  # an answer that took a whole cycle is stale
        return self.config.fanout

    def on_pushed(self, to: PeerId) -> None:
        """Expect an answer from this peer."""
        self._asked[to] = None

    def on_model(
        self, sender: PeerId, values: Values, coin: float, *, wants_answer: bool
    ) -> Verdict:
        """Take the mean, if it is a question or an answer that we wait for."""
        if not wants_answer and sender not in self._asked:
            return Verdict(shed="an answer that nobody is waiting for")
        if not wants_answer:
            del self._asked[sender]
        for index, (vector, claimed) in values.items():
            mean = midpoint(self.model.own(index), vector)
            self.model.merge(index, mean, self.model.cap(index, claimed))
        return Verdict(merged=len(values))


STRATEGIES: dict[Exchange, type[AgeWeighted | Epidemic | Pairwise]] = {
    Exchange.AGE: AgeWeighted,
    Exchange.EPIDEMIC: Epidemic,
    Exchange.PAIRWISE: Pairwise,
}
