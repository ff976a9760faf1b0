"""What the tables of a scenario file share: kinds of text, and bounds."""

from typing import Annotated

from node.config.annotations import Range

DAY_US = 86_400_000_000
FOREVER_US = 365 * DAY_US
SEED_MAX = 2**63 - 1
"""The largest whole number of TOML."""

Text = Annotated[str, Range(0, 200)]
Peers = Annotated[str, Range(1, 2_000)]
"""A selector; see scenarios/conditions/selectors.py."""

TABLES_MAX = 1_000
"""Of one kind in a scenario: each rule looks at each frame, and each table at each peer."""
