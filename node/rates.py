"""Limits on how often something is done."""


class TokenBucket:
    """Lets `per_minute` through in a minute, and as many at once after a quiet one."""

    def __init__(self, per_minute: int) -> None:
        self._capacity = float(per_minute)
        self._tokens = self._capacity
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Whether one more may pass at this time (any clock that does not go back)."""
        if self._at_s is not None:
            self._tokens += max(0.0, now_s - self._at_s) * self._capacity / 60.0
        self._tokens, self._at_s = min(self._tokens, self._capacity), now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
