"""Which names an attack may have."""

import pytest

from gossip.antigens import FAMILY_CHARS_MAX, is_family


@pytest.mark.parametrize(
    "name",
    ["scan", "brute-force", "web attack - sql injection", "gafgyt/udp", "7", "c+1", "abnormal"],
)
def test_an_attack_may_be_called(name):
    assert is_family(name)


@pytest.mark.parametrize(
    "name",
    [
        "benign", "benign ", "be-nign", "benign.2", "normal", "unknown", "Benign", "b\u0435nign",
        "scan ", " scan", "dos/", "dos.", "scan\n", "scan\x1b[2J", "scan\u200b", "", "-x", "+",
        "a" * (FAMILY_CHARS_MAX + 1),
    ],
)  # fmt: skip
def test_no_attack_is_called(name):
    """Neither what ordinary traffic is called nor what looks like another's name."""
    assert not is_family(name)
