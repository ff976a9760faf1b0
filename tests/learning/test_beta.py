from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.learning.beta import beta_cdf, beta_quantile, clopper_pearson


@pytest.mark.parametrize(
    ("x", "a", "b"), [(0.3, 2, 5), (0.01, 3, 400), (0.5, 10, 10), (0.995, 50, 2), (0.2, 1, 1)]
)
def test_whole_parameters_agree_with_the_binomial_sum(x: float, a: int, b: int) -> None:
    n = a + b - 1  # I_x(a, b) = P(at least a of n)
    expected = sum(comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert beta_cdf(x, a, b) == pytest.approx(expected, rel=1e-11)


def test_known_values_that_have_closed_forms() -> None:
    assert beta_cdf(0.25, 0.5, 0.5) == pytest.approx(1 / 3, rel=1e-12)  # arcsine law
    assert beta_cdf(0.3, 1, 7) == pytest.approx(1 - 0.7**7, rel=1e-12)
    assert beta_cdf(0.3, 7, 1) == pytest.approx(0.3**7, rel=1e-12)
    assert beta_cdf(0.0, 2, 3) == 0.0
    assert beta_cdf(1.0, 2, 3) == 1.0


@given(st.floats(0.5, 5000), st.floats(0.5, 5000), st.floats(0.001, 0.999))
def test_the_quantile_undoes_the_distribution(a: float, b: float, p: float) -> None:
    assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # 1 - (alpha/2)^(1/n) at the ends, the tables of Clopper and Pearson between.
        (0, 10, 0.0, 0.3085),
        (10, 10, 0.6915, 1.0),
        (5, 10, 0.1871, 0.8129),
        (1, 100, 0.0003, 0.0545),
        (10, 100, 0.0490, 0.1762),
    ],
)
def test_clopper_pearson_matches_the_tables(
    hits: int, trials: int, low: float, high: float
) -> None:
    assert clopper_pearson(hits, trials) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(1, 2000), st.data())
def test_the_interval_holds_the_rate_seen(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = clopper_pearson(hits, trials)
    assert 0 <= low <= hits / trials <= high <= 1


def test_senseless_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="no interval for 3 of 2"):
        clopper_pearson(3, 2)
    with pytest.raises(ValueError, match="no interval"):
        clopper_pearson(0, 0)
    with pytest.raises(ValueError, match="both parameters"):
        beta_cdf(0.5, 0, 1)
    with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
        beta_quantile(1.5, 1, 1)
