"""What tests of scenarios share."""

from functools import cache

import pytest

from scenarios.data import recorded


@pytest.fixture(scope="session")
def recordings_read_once():
    """Each recording is parsed once for all tests that ask for this: half of what dealing takes."""
    flows = cache(lambda name, site, sensor, read=recorded._true: tuple(read(name, site, sensor)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "_true", flows)
        yield
