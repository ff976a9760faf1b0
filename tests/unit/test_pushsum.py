"""Averages over a mesh: near the mean in a few cycles, drops and liars included, bounded input."""

import numpy as np
import pytest

from gossip.errors import RemoteError
from gossip.pushsum import BAND, HELD_MAX, PushSum, Sums

LENGTH = 8


def sums(weight: float, *numbers: float) -> Sums:
    return Sums(weight, np.array(numbers, "<f2").tobytes())


def mesh(
    peers: int, cycles: int, dropped: float = 0.1, liars: int = 0, lie: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """What honest peers estimate, `(peers, LENGTH)`, and what they have on average."""
    rng = np.random.default_rng([peers, liars])
    own = rng.gamma(4.0, 0.01, size=(peers, LENGTH))
    states = [PushSum(LENGTH) for _ in range(peers)]
    for _ in range(cycles):
        for state, numbers in zip(states, own, strict=True):
            state.begin(numbers)
        for peer, state in enumerate(states):
            to = int(rng.integers(peers - 1))
            sent = sums(HELD_MAX, *[lie] * LENGTH) if peer < liars else state.share()
            if sent is not None and rng.random() >= dropped:
                states[to + (to >= peer)].absorb(str(peer), sent)
    found = [state.estimate() for state in states[liars:]]
    return np.array([each for each in found if each is not None]), own[liars:].mean(axis=0)


def test_half_is_kept_and_half_is_sent() -> None:
    one = PushSum(2)
    one.begin(np.array([0.5, 0.25]))
    first, second = one.share(), one.share()
    assert (first, second) == (sums(0.5, 0.5, 0.25), sums(0.25, 0.5, 0.25))


def test_there_is_nothing_to_send_or_say_at_first() -> None:
    silent = PushSum(2)
    assert (silent.share(), silent.estimate(), silent.peers) == (None, None, 0)
    silent.begin(None)
    assert silent.share() is None
    for sender in "ab":
        silent.absorb(sender, sums(0.5, 0.5, 0.5))
    assert silent.estimate() is None, "two have no majority"
    silent.absorb("c", sums(0.5, 1.0, 0.0))
    assert silent.estimate() == pytest.approx([0.5, 0.5])
    assert silent.share() is not None, "it passes on what it heard"


@pytest.mark.parametrize("peers", [8, 32, 200])
def test_every_peer_comes_near_the_mean(peers: int) -> None:
    found, mean = mesh(peers, cycles=15)
    assert len(found) > 0.95 * peers
    error = np.linalg.norm(found - mean, axis=1) / np.linalg.norm(mean)
    assert np.median(error) < 0.15


@pytest.mark.parametrize("lie", [0.0, 1.0])
def test_one_liar_in_ten_does_bounded_harm_for_ever(lie: float) -> None:
    """The lie is 25 times the mean; unclipped, it would be most of the estimate after 20 cycles."""
    for cycles, harm_max in ((20, 0.8), (80, 0.4)):
        found, mean = mesh(30, cycles, liars=3, lie=lie)
        assert np.abs(found.mean(axis=0) / mean - 1).max() < harm_max


def test_the_estimate_follows_a_change() -> None:
    states = [PushSum(1) for _ in range(10)]
    rng = np.random.default_rng(3)
    said = []
    for cycle in range(60):
        for state in states:
            state.begin(np.array([0.2 if cycle < 20 else 0.1]))
        for peer, state in enumerate(states):
            sent = state.share()
            assert sent is not None
            states[(peer + int(rng.integers(1, 10))) % 10].absorb(str(peer), sent)
        said.append(states[0].estimate())
    assert said[19] == pytest.approx([0.2], rel=0.01)
    assert said[59] == pytest.approx([0.1], rel=0.1)


def test_what_arrives_counts_once_a_cycle_and_within_the_band() -> None:
    one = PushSum(1)
    one.begin(np.array([0.5]))
    assert one.absorb("a", sums(0.5, 0.5))
    assert not one.absorb("a", sums(0.5, 0.9))
    for sender in "bc":
        one.absorb(sender, sums(0.5, 0.5))
    one.begin(None)
    for sender in "abcdefgh":
        one.absorb(sender, sums(HELD_MAX, 1.0))
    sent = one.share()
    assert sent is not None
    assert sent.weight == pytest.approx(HELD_MAX / 2), "no more is held, whoever sends"
    assert np.frombuffer(sent.means, "<f2")[0] < 0.5 * BAND**2
    assert one.peers == 8
    for sender in ("a", "h", "stranger"):
        one.lose(sender)
    assert one.peers == 6


@pytest.mark.parametrize(
    "hostile",
    [
        sums(0.5, 0.5),
        sums(0.5, 0.5, 0.5, 0.5),
        Sums(0.5, b"abc"),
        sums(0.5, 0.5, 1.5),
        sums(0.5, 0.5, -0.1),
        sums(0.5, 0.5, np.nan),
        sums(0.5, np.inf, 0.5),
        sums(0.0, 0.5, 0.5),
        sums(-1.0, 0.5, 0.5),
        sums(np.nan, 0.5, 0.5),
        sums(np.inf, 0.5, 0.5),
        sums(2 * HELD_MAX, 0.5, 0.5),
    ],
)
def test_hostile_sums_are_refused_and_change_nothing(hostile: Sums) -> None:
    one = PushSum(2)
    one.begin(np.array([0.5, 0.25]))
    with pytest.raises(RemoteError, match="sums"):
        one.absorb("a", hostile)
    assert (one.peers, one.share()) == (0, sums(0.5, 0.5, 0.25))


@pytest.mark.parametrize("own", [[0.5], [0.5, 1.5], [0.5, -0.5], [0.5, np.nan]])
def test_an_own_contribution_out_of_bounds_is_a_mistake(own: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        PushSum(2).begin(np.array(own))


@pytest.mark.parametrize("length", [0, 1025])
def test_its_size_is_bounded(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        PushSum(length)
