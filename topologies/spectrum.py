"""How fast averaging over a graph's links spreads what one node knows.

In a mixing matrix W a node's row holds the weights it gives to itself and to its neighbours. The
spread of the nodes' values shrinks every cycle to at most rho times what it was, where rho is the
second largest absolute eigenvalue of W (all graphs here give a normal W); 1 - rho is the spectral
gap. Source: Xiao and Boyd, Fast Linear Iterations for Distributed Averaging, Systems & Control
Letters 53 (2004), section 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from topologies.graphs import Table
from topologies.links import Links

DENSE_NODES_MAX = 2_000
"""Up to here all eigenvalues are computed: 2,000 take 32 MB and about a second on one core."""

LANCZOS_STEPS_MAX = 400
LANCZOS_TOLERANCE = 1e-3
"""Stop when ten more steps change the gap by less than this part of itself."""

_NOISE = 1e-12  # eigenvalues below are the rounding of zero


@dataclass(frozen=True, slots=True)
class Contraction:
    """How mixing contracts.

    Args:
        rate: the factor by which the spread of values shrinks in one cycle, in the long run; 0 is
            full agreement after one period.
        exact: False where the rate is a lower bound found by iteration (the gap an upper bound).
    """

    rate: float
    exact: bool


def contraction(links: Links, rng: np.random.Generator) -> Contraction:
    """The contraction of Metropolis-Hastings mixing on a connected graph.

    Weights are 1 / (1 + the larger of both degrees) for each link and the rest for oneself, which
    makes W doubly stochastic (Xiao, Boyd and Lall, A Scheme for Robust Distributed Sensor Fusion
    Based on Average Consensus, IPSN 2005). The only directed graphs here are circulant: all degrees
    are equal and the same formula gives the uniform weights of Ying et al. 2021.
    """
    weights = _metropolis(links)
    own = np.ones(links.nodes)
    own -= np.bincount(links.origin, weights, links.nodes)
    if _is_circulant(links):
        row = np.zeros(links.nodes)
        row[0] = own[0]
        row[links.to[: links.start[1]]] = weights[: links.start[1]]
        return Contraction(_largest(np.abs(np.fft.fft(row))[1:]), exact=True)
    if links.nodes <= DENSE_NODES_MAX:
        return Contraction(_dense(links, weights, own), exact=True)
    return Contraction(_lanczos(links, weights, own, rng), exact=False)


def periodic_contraction(tables: tuple[Table, ...]) -> Contraction:
    """The contraction a cycle of circulant one-neighbour tables used in turn.

    Each step averages a node with its only neighbour, half and half (Ying et al. 2021).
    The product of a whole period is circulant too; for a power of two it is exact averaging, as
    they prove, otherwise the rate is the geometric mean over the period.
    """
    nodes = len(tables[0])
    product = np.ones(nodes)
    for table in tables:
        row = np.zeros(nodes)
        row[0] = row[table[0][0]] = 0.5
        product = product * np.abs(np.fft.fft(row))
    return Contraction(_largest(product[1:]) ** (1.0 / len(tables)), exact=True)


def _largest(sizes: NDArray[np.float64]) -> float:
    largest = float(sizes.max())
    return largest if largest > _NOISE else 0.0


def _metropolis(links: Links) -> NDArray[np.float64]:
    degrees = links.degrees.astype(np.float64)
    return np.asarray(
        1.0 / (1.0 + np.maximum(degrees[links.origin], degrees[links.to])), np.float64
    )


def _is_circulant(links: Links) -> bool:
    """Whether every node has the same targets, counted from itself."""
    degrees = links.degrees
    if (degrees != degrees[0]).any():
        return False
    hops = (links.to - links.origin) % links.nodes
    table = np.sort(hops.reshape(links.nodes, int(degrees[0])), axis=1)
    return bool((table == table[0]).all())


def _dense(links: Links, weights: NDArray[np.float64], own: NDArray[np.float64]) -> float:
    matrix = np.diag(own)
    matrix[links.origin, links.to] = weights
    eigenvalues = np.linalg.eigvalsh(matrix)  # ascending; the last is 1
    return _largest(np.abs(eigenvalues[:-1]))


def _lanczos(
    links: Links,
    weights: NDArray[np.float64],
    own: NDArray[np.float64],
    rng: np.random.Generator,
) -> float:
    """The largest absolute eigenvalue beside 1, by Lanczos from a random start.

    It costs what power iteration costs a step and needs about the square root of its steps
    (Golub and Van Loan, Matrix Computations, 4th ed., chapter 10). Vectors are not kept and
    not reorthogonalised: that repeats converged eigenvalues, and the largest stays as it is.
    """
    origin, to = links.origin, links.to

    def mix(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mixed = own * values + np.bincount(origin, weights * values[to], links.nodes)
        return np.asarray(mixed - mixed.mean(), np.float64)  # stay clear of the eigenvalue 1

    vector = rng.standard_normal(links.nodes)
    vector -= vector.mean()
    vector /= np.linalg.norm(vector)
    before = np.zeros(links.nodes)
    diagonal: list[float] = []
    beside: list[float] = []
    rate = 0.0
    for step in range(1, LANCZOS_STEPS_MAX + 1):
        mixed = mix(vector)
        diagonal.append(float(vector @ mixed))
        mixed -= diagonal[-1] * vector + (beside[-1] if beside else 0.0) * before
        norm = float(np.linalg.norm(mixed))
        done = norm < _NOISE
        if step % 10 == 0 or done:
            last, rate = rate, _tridiagonal(diagonal, beside)
            if done or abs(rate - last) < LANCZOS_TOLERANCE * (1.0 - rate):
                break
        beside.append(norm)
        before, vector = vector, mixed / norm
    return rate


def _tridiagonal(diagonal: list[float], beside: list[float]) -> float:
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    return _largest(np.abs(np.linalg.eigvalsh(matrix)))
