"""The beta distribution, as far as intervals of a rate need it; scipy is no dependency."""

from math import exp, lgamma, log, log1p

_TINY = 1e-300
_STEPS_MAX = 10_000
_EPSILON = 1e-15


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Lentz's method for the continued fraction of I_x(a, b) (NIST DLMF 8.17.22)."""
    c, d = 1.0, 1.0 / max(abs(1.0 - (a + b) * x / (a + 1.0)), _TINY)
    value = d
    for m in range(1, _STEPS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        factor = 1.0
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + term / c
            c = c if abs(c) > _TINY else _TINY
            factor = c * d
            value *= factor
        if abs(factor - 1.0) < _EPSILON:
            break
    return value


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) for X ~ Beta(a, b): the regularised incomplete beta function, to about 1e-12.

    Raises:
        ValueError: `a` or `b` is not positive.
    """
    if not (a > 0 and b > 0):
        raise ValueError(f"Beta({a}, {b}) is undefined; both parameters must be positive")
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, use the symmetry
        return 1.0 - beta_cdf(1.0 - x, b, a)
    scale = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    return scale * _continued_fraction(a, b, x) / a


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x with P(X <= x) = p, by bisection down to neighbouring floats or 200 halvings.

    Raises:
        ValueError: `p` is not in [0, 1], or `a` or `b` is not positive.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"a probability lies in [0, 1]; got {p}")
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def clopper_pearson(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a rate after `hits` in `trials` (Clopper and Pearson 1934).

    Raises:
        ValueError: no trials, hits outside 0…trials, or a confidence outside (0, 1).
    """
    if not (trials >= 1 and 0 <= hits <= trials and 0 < confidence < 1):
        raise ValueError(f"no interval for {hits} of {trials} at confidence {confidence}")
    tail = (1 - confidence) / 2
    low = beta_quantile(tail, hits, trials - hits + 1) if hits else 0.0
    high = beta_quantile(1 - tail, hits + 1, trials - hits) if hits < trials else 1.0
    return low, high
