"""Who holds what: counted, tabled, drawn, and read back from a result."""

import io
import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from rich.console import Console

from gossip.errors import ConfigError, StateError
from scenarios.data.holdings import COLUMNS_MAX, as_dict, condensed, from_dict, holdings, table
from scenarios.data.pictures import draw
from scenarios.data.shards import Shard, Shards

FAMILIES = ("benign", "scan", "dos")


def some_shards(peers: int) -> Shards:
    """Peer p trains on p + 1 benign rows and one scan; the last has no labels."""
    shards = []
    for peer in range(peers):
        train = np.array([0] * (peer + 1) + [1])
        if peer == peers - 1:
            train[:] = -1
        test = np.array([0, 0, 1, 2])
        shards.append(
            Shard(
                np.zeros((len(train), 2), np.float32),
                train,
                np.zeros((7, 2), np.float32),
                np.zeros((4, 2), np.float32),
                test,
            )
        )
    return Shards("s", 2, FAMILIES, tuple(shards), removed=5)


def printed(held) -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(table(held))
    return console.file.getvalue()


def test_every_row_is_counted_by_use_and_family():
    held = holdings(some_shards(3), {"west": (0, 1), "all-of-it": (0, 1, 2)})
    assert held.train.tolist() == [[1, 1, 0, 0], [2, 1, 0, 0], [0, 0, 0, 4]]
    assert held.calibrate.tolist() == [7, 7, 7]
    assert held.test.tolist() == [[2, 1, 1]] * 3
    assert held.names == ("0 west all-of-it", "1 west all-of-it", "2 all-of-it")
    text = printed(held)
    assert "3 peers; 5 duplicates removed" in text
    assert "unlabelled" in text
    assert "dos" not in text  # nobody trains on any


def test_many_peers_are_summed_up_by_family_and_drawn_as_means_of_neighbours():
    held = holdings(some_shards(1_100))
    small = condensed(held)
    assert (len(small.train), small.per_column) == (367, 3)
    assert small.train[0].tolist() == [2, 1, 0, 0]
    assert small.train[-1].tolist() == [549.5, 0.5, 0, 550.5]  # the last holds two peers
    assert condensed(small) is small
    text = printed(held)
    assert text == printed(holdings(some_shards(1_100)))
    scan = [line.split() for line in text.splitlines() if "train · scan" in line]
    assert scan == [["train", "·", "scan", "1,099", "100%", "-", "1", "1"]]


def test_few_peers_with_many_families_stand_side_by_side():
    held = holdings(some_shards(3), {"west": (0, 1, 2)})
    families = tuple(f"family-{number}" for number in range(9))
    train = np.eye(3, 10) + 1
    wide = replace(held, families=families, train=train, test=train[:, :9])
    lines = [line.split() for line in printed(wide).splitlines()]
    assert ["train", "·", "family-2", "1", "1", "2"] in lines
    assert ["peer", "west", "west", "west"] in lines


@pytest.mark.parametrize("peers", [1, 6, 41, 1_100])
def test_a_picture_is_whole_and_the_same_every_time(peers, tmp_path):
    held = holdings(some_shards(peers), {"west": tuple(range(peers))})
    path = tmp_path / "who.svg"
    draw(held, path)
    first = path.read_bytes()
    ET.fromstring(first)
    stream = io.BytesIO()
    draw(held, stream)
    assert stream.getvalue() == first
    assert [each.name for each in tmp_path.iterdir()] == ["who.svg"]


def test_a_picture_that_cannot_be_made_says_why(tmp_path):
    held = holdings(some_shards(2))
    with pytest.raises(ConfigError, match=r"who\.gif: .* \.png or \.svg"):
        draw(held, tmp_path / "who.gif")
    with pytest.raises(StateError, match=r"cannot be written .* another place"):
        draw(held, tmp_path / "absent" / "who.png")
    stream = io.BytesIO()
    draw(held, stream, "png")
    assert stream.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("peers", [3, 1_100])
def test_a_result_tells_who_held_what(peers):
    held = condensed(holdings(some_shards(peers), {"west": (0,)}))
    told = json.loads(json.dumps(as_dict(held)))
    again = from_dict(told)
    assert as_dict(again) == told
    assert len(again.train) <= COLUMNS_MAX
    assert printed(again) == printed(held)


@pytest.mark.parametrize("key", ["families", "train", "test", "calibrate", "names", "peers"])
def test_a_damaged_result_is_refused(key):
    told = as_dict(holdings(some_shards(3), {"west": (0,)}))
    del told[key]
    with pytest.raises(StateError, match="run the scenario again"):
        from_dict(told)
    told = as_dict(replace(holdings(some_shards(3)), names=("one",)))
    with pytest.raises(StateError, match="does not fit"):
        from_dict(told)
