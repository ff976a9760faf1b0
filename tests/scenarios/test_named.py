"""Measures by name, and bounds on them."""

from dataclasses import dataclass
from math import inf, isnan, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossip.errors import ConfigError, ExpectationError
from node.config.tables import from_table
from scenarios.measures.named import (
    NAMES,
    SCALARS,
    STATISTICS,
    Metric,
    at_bytes,
    check,
    cycles_to,
    find,
    names,
    parse,
    time_to,
    value,
)
from scenarios.measures.samples import Sample, Spread
from scenarios.runs.expectations import Verdict, demand
from scenarios.spec.expect import parse_bound
from scenarios.spec.scenario import Scenario, table

MIN_US = 60_000_000


def spread(mean: float, n: int = 4) -> Spread:
    return Spread(mean, mean - 0.1, mean - 0.2, n)


def sample(minute: int, detection: float, **groups: float) -> Sample:
    metrics = {"accuracy": spread(0.5), "detection": spread(detection), "auc": spread(nan, 0)}
    metrics |= {"detection:web attack": spread(detection / 2)}
    metrics |= {"bytes_per_peer": Spread(100.0 * minute, 150.0 * minute, 200.0 * minute, 5)}
    own = {name: {"accuracy": spread(share)} for name, share in groups.items()}
    frames = {"delivered": 7, "dropped": 3, "unreachable": 2, "shed": 1}
    return Sample(
        minute * MIN_US, 5, 4, 4, 3, metrics, own, 0.25 / minute, 2, 500 * minute, 30 * minute,
        25 * minute, frames, {3: 4}, {2: 4},
    )  # fmt: skip


@dataclass
class Told:
    samples: tuple[Sample, ...]


RUN = Told((sample(1, 0.2), sample(2, 0.6, east=0.75), sample(4, 0.5, east=0.25)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("detection", 0.5),
        ("detection.worst", 0.3),
        ("detection at 61 s", 0.6),
        ("detection.tenth at 2 min", 0.5),
        ("detection:web attack", 0.25),
        ("detection:web attack.mean at 2 min", 0.3),
        ("accuracy of east", 0.25),
        ("accuracy.worst of east at 2 min", 0.55),
        ("bytes_per_peer.worst", 800.0),
        ("up", 4.0),
        ("parts at 10 s", 2.0),
        ("cycles_per_peer", 24.0),
        ("trainings_per_peer at 1 min", 5.0),
        ("frames.dropped", 3.0),
        ("consensus at 2 min", 0.125),
    ],
)
def test_a_name_gives_its_number(text, expected):
    assert value(RUN, parse(text)) == pytest.approx(expected)
    assert find(RUN, parse(text)).reason == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("accuracy of east at 1 s", "nobody of east was judged"),
        ("auc", "no judged peer has test rows enough"),
        ("detection:scan", "no judged peer has test rows of scan"),
        ("up at 5 min", "the run has no sample at or after 5 min"),
    ],
)
def test_a_number_that_does_not_exist_has_a_reason(text, reason):
    found = find(RUN, parse(text))
    assert isnan(found.value)
    assert found.reason == reason


def test_without_samples_there_is_nothing():
    assert find(Told(()), parse("up")).reason == "the run has no sample"
    assert names(Told(())) == ()


def test_all_names_of_a_result_can_be_read_back():
    found = names(RUN)
    assert {str(each) for each in found} >= {"up", "detection:web attack.tenth", "auc.mean",
                                            "accuracy.worst of east"}  # fmt: skip
    assert [parse(str(each)) for each in found] == list(found)
    assert {each.group for each in names(RUN, groups=False)} == {""}


words = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True)


@given(st.sampled_from(NAMES), words, st.sampled_from(STATISTICS), words, st.integers(0, 10**9))
@settings(max_examples=50)
def test_writing_and_reading_a_name_agree(name, family, statistic, group, at_us):
    if name in SCALARS:
        metric = Metric(name, at_us=at_us)
    else:
        own = family if name in {"detection", "named"} else ""
        metric = Metric(name, own, statistic, group, at_us)
    assert parse(str(metric)) == metric


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detektion", "did you mean 'detection'"),
        ("up.mean", "whole mesh; leave out '.mean'"),
        ("parts of east", "leave out 'of east'"),
        ("accuracy:scan", "not measured by family; detection:scan is"),
        ("named.worst", "such as named:scan; or use accuracy"),
        ("detection at soon", "write NAME"),
        ("detection at 3 weeks", "is not understood"),
        ("", "write NAME"),
        ("d" * 300, "write NAME"),
        ("frames", "metrics are accuracy, "),
    ],
)
def test_what_is_no_name_is_refused(text, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auc of eas", "did you mean 'east'"),
        ("auc at 11 min", "11 min lies after the end; mesh.duration is 10 min"),
        ("detection:scam", "did you mean 'scan'"),
    ],
)
def test_what_a_run_cannot_have_is_refused(text, message):
    places = {"groups": ("east", "west"), "duration_us": 10 * MIN_US}
    with pytest.raises(ConfigError, match=message):
        check(parse(text), families=("scan", "dos"), **places)
    check(parse("detection:anything"), families=None, **places)
    check(parse("detection:dos of west at 10 min"), families=("scan", "dos"), **places)


def test_time_cycles_and_bytes_to_a_target():
    assert time_to(RUN, parse("detection"), 0.5) == 2 * MIN_US
    assert cycles_to(RUN, parse("detection"), 0.5) == 12.0
    assert time_to(RUN, parse("detection"), 0.7) is None
    assert cycles_to(RUN, parse("auc"), 0.0) is None  # NaN reaches nothing
    assert time_to(RUN, parse("consensus"), 0.125) == 2 * MIN_US  # low is good
    assert at_bytes(RUN, 399.9) is RUN.samples[1]
    assert at_bytes(RUN, 400.0) is RUN.samples[2]
    assert at_bytes(RUN, 99.0) is None


@pytest.mark.parametrize(
    ("text", "within", "without"),
    [
        ("< 50 %", (0.49, -3.0), (0.5, nan)),
        ("<= 2 MB", (2_000_000.0,), (2_000_001.0, inf)),
        ("> 0.5", (0.51,), (0.5, nan)),
        (">=0.9", (0.9, 1.0), (0.89,)),
        ("1", (1.0,), (0.999, 2.0, nan)),
        ("0.1 .. 2", (0.1, 1.0, 2.0), (0.09, 2.01, nan)),
        ("10 %..20 %", (0.1, 0.2), (0.3,)),
        ("-0.5", (-0.5,), (0.5,)),
    ],
)
def test_bounds(text, within, without):
    bound = parse_bound(text)
    assert all(bound.holds(number) for number in within)
    assert not any(bound.holds(number) for number in without)


@pytest.mark.parametrize("text", ["", "<", "= 1", "2 .. 1", "1 .. 2 .. 3", "nan", "< inf", "much"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(ConfigError, match=r"no bound|lower end first"):
        parse_bound(text)


def scenario(expect: dict) -> Scenario:
    return from_table(
        Scenario, {"mesh": {"peers": 2, "duration": "1 min"}, "expect": expect}, "small.toml"
    )


def test_expectations_are_text_however_they_are_written():
    given = scenario({"detection": {"mean": ">= 0.5"}, "parts": 1, "auc.worst": 0.5})
    assert given.expect == {"detection.mean": ">= 0.5", "parts": "1", "auc.worst": "0.5"}
    assert from_table(Scenario, table(given), "again") == given
    with pytest.raises(ConfigError, match=r"small\.toml: expect: parts holds no bound"):
        scenario({"parts": [1]})


def test_failures_are_one_line():
    held = Verdict("up", "> 1", 2.0, holds=True)
    demand([held])
    failed = Verdict("auc", ">= 0.9", nan, holds=False, reason="nobody was judged")
    with pytest.raises(ExpectationError) as caught:
        demand([held, failed])
    assert str(caught.value) == (
        "1 of 2 expectations failed; first: auc was expected to be >= 0.9 and is nothing: "
        "nobody was judged"
    )
