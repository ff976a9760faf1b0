"""How learners step; plain numbers, so that no caller needs torch for them."""

from dataclasses import dataclass

from gossip.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Descent:
    """Plain SGD with momentum: `m <- momentum * m + g`, `w <- w - rate * m`.

    The defaults were chosen on the project's recordings (see `SampleConfig`): a rate of 0.02 learns
    too little in 60 cycles, 0.05 to 0.2 are alike; without momentum, or with momentum forgotten at
    every merge, the head learns more slowly; gradients clipped at 0.3 to 5 are alike.

    Args:
        rate: learning rate.
        momentum: in [0, 1).
        clip: a peer's gradient longer than this (Euclidean norm) is shortened to it.

    Raises:
        ConfigError: a value is out of range.
    """

    rate: float = 0.1
    momentum: float = 0.9
    clip: float = 1.0

    def __post_init__(self) -> None:
        """Check every number."""
        if not (0 < self.rate < 100 and 0 <= self.momentum < 1 and self.clip > 0):
            raise ConfigError(f"{self}: rate and clip are positive, momentum lies in [0, 1)")
