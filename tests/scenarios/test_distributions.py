"""Distributions of time: their text, their closed forms, and what is left at a random moment."""

import math
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.draws import Purpose, fraction, generator
from gossip.errors import ConfigError
from scenarios.conditions.distributions import (
    LONGEST_US,
    Distribution,
    Kind,
    constant,
    parse_distribution,
    parse_span_us,
)

CYCLE_US = 10_000_000
TEXTS = {
    "40 s": (40.0, 40.0),
    "uniform(10 s, 50 s)": (30.0, 30.0),
    "lognormal(40 s, 0.5)": (40.0 * math.exp(0.125), 40.0),
    "exponential(40 s)": (40.0, 40.0 * math.log(2.0)),
    "weibull(40 s, 0.6)": (40.0 * math.gamma(1.0 + 1.0 / 0.6), 40.0 * math.log(2.0) ** (1 / 0.6)),
    "pareto(40 s, 3)": (60.0, 40.0 * 2.0 ** (1.0 / 3.0)),
}
"""Each with its mean and its median in seconds, by the closed forms of any textbook."""


def draws(distribution: Distribution, count: int) -> list[int]:
    return [
        distribution.quantile_us(fraction(b"seed", "test", number, Purpose.WORLD))
        for number in range(count)
    ]


@pytest.mark.parametrize("text", TEXTS)
def test_draws_have_the_mean_and_median_of_the_closed_form(text):
    distribution = parse_distribution(text, CYCLE_US)
    mean_s, median_s = TEXTS[text]
    assert distribution.mean_us == pytest.approx(mean_s * 1e6)
    assert distribution.quantile_us(0.5) == pytest.approx(median_s * 1e6, abs=1.0)
    drawn = draws(distribution, 20_000)
    assert fmean(drawn) == pytest.approx(mean_s * 1e6, rel=0.03)
    assert median(drawn) == pytest.approx(median_s * 1e6, rel=0.03)


@pytest.mark.parametrize("text", [*TEXTS, "weibull(40 s, 2)", "pareto(40 s, 5)"])
def test_what_is_left_at_a_random_moment_is_as_renewal_theory_says(text):
    """The mean of it is E[X^2] / (2 E[X]), and the share above x is that of all time above x."""
    distribution = parse_distribution(text, CYCLE_US)
    rng = generator(b"seed", "test", 0, Purpose.WORLD)
    left = [distribution.remaining_us(rng) for _ in range(6_000)]
    grid = [distribution.quantile_us((place + 0.5) / 200_000) for place in range(200_000)]
    limit_us = distribution.mean_us / 2.0
    beyond = sum(max(0.0, length_us - limit_us) for length_us in grid) / sum(grid)
    assert sum(each > limit_us for each in left) / len(left) == pytest.approx(beyond, abs=0.025)
    assert min(left) >= 1


@given(
    st.sampled_from(sorted(TEXTS)),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_quantiles_grow_and_stay_in_bounds(text, one, other):
    distribution = parse_distribution(text, CYCLE_US)
    low, high = (distribution.quantile_us(share) for share in sorted((one, other)))
    assert 0 <= low <= high <= LONGEST_US
    if distribution.kind is Kind.UNIFORM:
        assert high <= 50_000_000


@pytest.mark.parametrize("text", TEXTS)
def test_a_stretched_distribution_has_a_stretched_mean(text):
    distribution = parse_distribution(text, CYCLE_US)
    assert distribution.times(2.5).mean_us == pytest.approx(2.5 * distribution.mean_us)


def test_spans_may_be_in_cycles():
    uniform = parse_distribution(" uniform( 1 cycle , 10 cycles ) ", CYCLE_US)
    assert uniform == Distribution(Kind.UNIFORM, CYCLE_US, 10.0 * CYCLE_US)
    assert parse_distribution("0.5 cycles", CYCLE_US) == constant(5_000_000)
    assert parse_span_us("3 min", CYCLE_US) == 180_000_000


@pytest.mark.parametrize(
    "text",
    ["40", "", "uniform(50 ms, 10 ms)", "uniform(10 ms)", "lognormal(40 ms, 0)", "gauss(1 ms, 2)",
     "lognormal(40 ms, x)", "lognormal(40 ms, nan)", "uniform(10 ms, 20 ms", "weibull(1 s, 0.05)",
     "pareto(1 s, 1)", "exponential(1 s, 2)", "constant(1 s, 2)", "-1 s", "1 cycle 2"],
)  # fmt: skip
def test_bad_text_says_what_to_write(text):
    with pytest.raises(ConfigError, match=r"is no distribution of time; write|must be from"):
        parse_distribution(text, CYCLE_US)


@given(st.text(alphabet="unifomlgparetwbcys(),. 0123456789", max_size=30))
def test_any_text_is_a_distribution_or_a_message(text):
    try:
        distribution = parse_distribution(text, CYCLE_US)
    except ConfigError:
        return
    assert distribution.mean_us >= 0.0
