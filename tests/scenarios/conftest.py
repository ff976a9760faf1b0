"""What tests of scenarios share."""

from functools import cache

import pytest

from scenarios.data import recorded


def read_recordings_once(patch: pytest.MonkeyPatch) -> None:
    """From now on each recording is parsed once, and dealt once to as many gateways.

    That is most of what setting up takes.
    """

    def once(function):
        return cache(lambda *about: tuple(function(*about)))

    for name in ("_true", "_dealt"):
        patch.setattr(recorded, name, once(getattr(recorded, name)))


@pytest.fixture(scope="session")
def recordings_read_once():
    with pytest.MonkeyPatch.context() as patch:
        read_recordings_once(patch)
        yield
