"""What follows from a device's profile."""

from scenarios.conditions.distributions import Distribution

LABEL_BYTES = 8
VALUE_BYTES = 4
"""A row is float32 features and an int64 label, as the training code keeps it."""


def rows_that_fit(memory_bytes: int, features: int) -> int:
    """Training rows that fit in the memory a device has for them; 0 bytes is without a bound.

    The model is not counted: every peer has the same, and its size does not depend on the device.
    """
    if not memory_bytes:
        return 2**62
    return memory_bytes // (VALUE_BYTES * features + LABEL_BYTES)


def absence_for(up: Distribution, away: Distribution, share: float) -> Distribution:
    """`away`, stretched so that sessions make up `share` (in (0, 1)) of the time."""
    wanted_us = up.mean_us * (1.0 - share) / share
    return away.times(wanted_us / away.mean_us)
