"""Tables of delay: the world's, a user's matrix, and who is where."""

from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError
from node.config.tables import from_table
from scenarios.conditions.latency import Tabulated
from scenarios.conditions.links import Crossing, Delivered
from scenarios.conditions.matrix import read_matrix
from scenarios.conditions.regions import REGIONS, Place, assign, world_one_way_us
from scenarios.conditions.traces import read_trace
from scenarios.plan.plan import make_plan
from scenarios.spec.scenario import Scenario, read, table

GOOD = "# from, to\n,office,plant\noffice,2,35.5\n\nplant,40,1\n"
BASE = '[mesh]\npeers = 20\nduration = "100 s"\n'


def planned(folder, text: str, matrix: str = GOOD):
    (folder / "delays.csv").write_text(matrix)
    path = folder / "trial.toml"
    path.write_text(BASE + text)
    return make_plan(read(path), where="trial.toml")


def test_the_world_is_symmetric_and_obeys_the_speed_of_light():
    delays = world_one_way_us()
    names = list(REGIONS)
    assert len(delays) == len(names) == 16
    for sender, row in enumerate(delays):
        assert len(row) == 16
        for receiver, delay_us in enumerate(row):
            assert delay_us == delays[receiver][sender]
            assert (delay_us == 0) == (sender == receiver)
    # Both from the page of 20 June 2024.
    assert delays[names.index("london")][names.index("sydney")] == 140_000
    assert delays[names.index("brazil")][names.index("singapore")] == 171_500
    # Great-circle distance, light in glass at 200 km/ms: nothing can be faster than this.
    for one, other, km in [("london", "tokyo", 9_560), ("virginia", "frankfurt", 6_500),
                           ("california", "sydney", 11_900)]:  # fmt: skip
        assert delays[names.index(one)][names.index(other)] >= km / 200 * 1_000


def test_peers_are_dealt_out_and_every_region_is_a_group(tmp_path):
    plan = planned(tmp_path, '[links]\nlatency = "world"\njitter = 0.0\naccess = "6 ms"\n')
    assert isinstance(plan.otherwise, Tabulated)
    assert sorted(len(plan.groups[name]) for name in REGIONS) == [1] * 12 + [2] * 4
    one, other = plan.groups["london"][0], plan.groups["sydney"][0]
    crossing = Crossing(0, one, other, 100, 0)
    assert plan.links().decide(crossing) == Delivered(146_000)


def test_jitter_spreads_log_normally_around_the_table():
    delay = Tabulated("test", (0, 1), ((0, 50_000), (50_000, 0)), 10_000, 0.5)
    assert delay.after_us(0, 1, 0.5) == 60_000
    assert delay.after_us(0, 1, 0.8413447) == pytest.approx(98_923, rel=1e-4)  # e^0.5 of it
    assert delay.after_us(1, 1, 0.5) == 10_000


def test_named_regions_come_first_and_the_rest_goes_by_weight(tmp_path):
    plan = planned(
        tmp_path,
        'groups = { mine = "0:5" }\n[links]\nlatency = "world"\n'
        '[[links.region]]\nname = "tokyo"\npeers = "mine"\n'
        '[[links.region]]\nname = "london"\nweight = 2.0\n'
        '[[links.region]]\nname = "brazil"\n',
    )
    sizes = {name: len(plan.groups[name]) for name in ("tokyo", "london", "brazil")}
    assert sizes == {"tokyo": 5, "london": 10, "brazil": 5}
    assert plan.groups["tokyo"] == (0, 1, 2, 3, 4)
    again = from_table(Scenario, table(plan.scenario), "again")
    assert again == plan.scenario


@given(st.integers(1, 60), st.lists(st.floats(0.01, 9.0), min_size=1, max_size=6))
def test_everybody_is_dealt_to_one_place_in_proportion(count, weights):
    places = [Place(label, None, weight) for label, weight in enumerate(weights)]
    labels = assign(count, places, b"s")
    found = Counter(labels)
    for label, weight in enumerate(weights):
        assert abs(found[label] - count * weight / sum(weights)) <= 1.0
    assert len(labels) == count


def test_a_matrix_is_directed_and_its_places_are_selectors_or_regions(tmp_path):
    text = '[links]\nlatency = "matrix"\nmatrix = "delays.csv"\njitter = 0.0\n'
    groups = 'groups = { office = "0:12", plant = "12:20" }\n'
    plan = planned(tmp_path, groups + text)
    links = plan.links()
    delays = [links.decide(Crossing(0, *pair, 9, 0)) for pair in ((0, 13), (13, 0), (0, 1))]
    assert delays == [Delivered(35_500), Delivered(40_000), Delivered(2_000)]
    regions = (
        '[[links.region]]\nname = "plant"\npeers = "30 %"\n[[links.region]]\nname = "office"\n'
    )
    dealt = planned(tmp_path, text + regions)
    assert (len(dealt.groups["plant"]), len(dealt.groups["office"])) == (6, 14)
    numbers = ",".join(map(str, range(20)))
    square = f",{numbers}\n" + "".join(f"{n},{','.join(['7'] * 20)}\n" for n in range(20))
    each = planned(tmp_path, text, square)
    assert each.links().decide(Crossing(0, 3, 4, 9, 0)) == Delivered(7_000)


@pytest.mark.parametrize(
    ("matrix", "says"),
    [
        ("", "line 1: names no places"),
        (",a,a\na,1,1\na,1,1\n", "line 1: a place is named twice"),
        (",a,b\na,1,2\n", "ends before the line for 'b'"),
        (",a,b\nb,1,2\n", "line 2: is for 'b', but 'a' is next"),
        (",a,b\na,1\n", "line 2: 1 delays; give 2"),
        (",a\na,-1\n", "line 2: '-1' is no delay"),
        (",a\na,nan\n", "line 2: 'nan' is no delay"),
        (",a\na,soon\n", "line 2: 'soon' is no delay"),
        (",a\na,1\nb,1\n", "line 3: one line too many"),
        (',a\n"a,1\n', "line 2: "),
    ],
)
def test_a_bad_matrix_says_where(tmp_path, matrix, says):
    path = tmp_path / "delays.csv"
    path.write_text(matrix)
    with pytest.raises(ConfigError) as caught:
        read_matrix(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


@given(st.text(alphabet=',ab1.-e"\n# é', max_size=60))
def test_any_text_is_a_matrix_a_trace_or_a_message(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text(text, newline="")
    for work in (read_matrix, partial(read_trace, peers=3, end_us=10**9)):
        try:
            work(path)
        except ConfigError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right
