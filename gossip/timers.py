"""When a peer's timers come due."""

from gossip.actions import SetTimer
from gossip.config import PeerConfig
from gossip.contacts import PeerId
from gossip.draws import Purpose, fraction
from gossip.events import Timer

_JITTER_INDEX = {timer: index for index, timer in enumerate(Timer)}


class Timers:
    """Which timers a peer has armed, and for when.

    Every `serial` indexes a draw, so none may come twice under one seed.

    Args:
        config: gives the periods, their jitter, and the pauses between attempts to join.
        me: whose timers.
        seed: of the jitter.

    Invariant: each timer is armed at most once.
    """

    __slots__ = ("_armed", "_config", "_me", "_seed")

    def __init__(self, config: PeerConfig, me: PeerId, seed: bytes) -> None:
        self._config = config
        self._me = me
        self._seed = seed
        self._armed: dict[Timer, int] = {}

    def __contains__(self, timer: Timer) -> bool:
        return timer in self._armed

    def begin(self, timer: Timer, now_us: int, serial: int) -> SetTimer:
        """Arm a periodic one for the first time."""
        return self._arm(timer, now_us + self._period(timer, serial))

    def fired(self, timer: Timer) -> int:
        """One has come due; for when it was armed, which it is no longer.

        Raises:
            ValueError: it was not armed.
        """
        due_us = self._armed.pop(timer, None)
        if due_us is None:
            raise ValueError(f"timer {timer.value} fired but was not armed")
        return due_us

    def again(self, timer: Timer, due_us: int, now_us: int, serial: int) -> SetTimer:
        """Arm a periodic one anew, a period after it was due, so that a busy driver stretches none.

        After a sleep of many periods one follows at once, and not all those missed.
        """
        period_us = self._period(timer, serial)
        return self._arm(timer, max(due_us, now_us - period_us + 1) + period_us)

    def join(self, attempts: int, now_us: int, serial: int) -> SetTimer:
        """Arm the one to join by, after a pause that doubles with each attempt made before."""
        low, high = self._config.join_retry_us_min, self._config.join_retry_us_max
        pause_us = min(high, low << min(attempts, 32))
        coin = fraction(self._seed, self._me, serial, Purpose.JOIN)
        return self._arm(Timer.JOIN, now_us + int(pause_us * (0.5 + 0.5 * coin)))

    def stop(self) -> None:
        """None is armed any more."""
        self._armed.clear()

    def _arm(self, timer: Timer, at_us: int) -> SetTimer:
        self._armed[timer] = at_us
        return SetTimer(timer, at_us)

    def _period(self, timer: Timer, serial: int) -> int:
        coin = fraction(self._seed, self._me, serial, Purpose.JITTER, _JITTER_INDEX[timer])
        return int(self._config.cycle_us * (1 + self._config.jitter * (2 * coin - 1)))
