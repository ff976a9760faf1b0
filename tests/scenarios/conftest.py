"""What tests of scenarios share."""

from functools import cache

import pytest

from scenarios.data import recorded


@pytest.fixture(scope="session")
def recordings_read_once():
    """Each recording is parsed once for all tests that ask for this, and dealt once to as many.

    That is most of what setting up takes.
    """

    def once(function):
        return cache(lambda *about: tuple(function(*about)))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_true", "_dealt"):
            patch.setattr(recorded, name, once(getattr(recorded, name)))
        yield
