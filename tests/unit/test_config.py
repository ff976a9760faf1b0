"""Settings: every bound is checked and named, and limits that depend on each other agree."""

from dataclasses import fields

import pytest

from gossip.codec import ENTRIES_MAX, FRAGMENTS_MAX
from gossip.config import Encoding, Exchange, PeerConfig
from gossip.errors import ConfigError


def test_the_defaults_are_in_bounds():
    assert PeerConfig() == PeerConfig(exchange=Exchange.AGE, encoding=Encoding.FLOAT32)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cycle_us", 9_999),
        ("jitter", 0.51),
        ("jitter", -0.1),
        ("jitter", float("nan")),
        ("fanout", 0),
        ("token_cost", 0),
        ("token_capacity", 9),  # below the cost
        ("fragments", 257),
        ("fragments_per_push", 5),  # more than there are
        ("age_max", 0),
        ("age_lead_max", 0),
        ("pushes_per_sender_max", 0),
        ("view_size", 0),
        ("shuffle_size", 21),  # more than the view
        ("samplers", 257),
        ("join_retry_us_min", 60_000_001),  # above the maximum
        ("join_retry_us_max", 0),
        ("probe_cycles", 0),
    ],
)
def test_a_value_out_of_bounds_is_named(key, value):
    with pytest.raises(ConfigError, match=f"^(join_retry_us_min|{key}) = .* is out of range"):
        PeerConfig(**{key: value})


def test_every_number_has_bounds():
    for field in fields(PeerConfig):
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            with pytest.raises(ConfigError):
                PeerConfig(**{field.name: 2**63})


def test_what_may_be_configured_fits_on_the_wire():
    PeerConfig(view_size=256, shuffle_size=ENTRIES_MAX)
    with pytest.raises(ConfigError):
        PeerConfig(view_size=256, shuffle_size=ENTRIES_MAX + 1)
    PeerConfig(fragments=FRAGMENTS_MAX)
