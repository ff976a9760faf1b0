"""The bound on `world.py`: the same arithmetic, hand-vectorised over all peers; no protocol at all.

One cycle is one sparse product that averages every peer with one random neighbour, and one epoch of
every peer: forward and backward passes by hand with `torch.bmm` over stacked parameters, a stack
small enough for the processor's cache through all of its steps before the next. Prints one JSON
object.
"""

import argparse
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter

import networkx as nx
import numpy as np
import torch
from torch import Tensor

RATE = 0.05
SEED = 42


class Bound:
    """All peers' parameters and rows.

    Args:
        peers: how many.
        sizes: of the layers.
        rows: of each peer.
        batch: rows in a step; the last step of an epoch has what is left.
        stack: peers trained together.
    """

    def __init__(self, peers: int, sizes: list[int], rows: int, batch: int, stack: int) -> None:
        self.peers, self.sizes, self.batch, self.stack = peers, sizes, batch, stack
        random = torch.Generator().manual_seed(SEED)
        centres = 0.35 * torch.randn(sizes[-1], sizes[0], generator=random)
        self.y = torch.randint(sizes[-1], (peers, rows), generator=random)
        self.x = centres[self.y].add_(torch.randn(peers, rows, sizes[0], generator=random))
        layers = list(pairwise(sizes))
        own = [
            ((2 * torch.rand(a, b, generator=random) - 1) * (6 / a) ** 0.5, torch.zeros(1, b))
            for a, b in layers
        ]
        flat = torch.cat([part.flatten() for layer in own for part in layer])
        self.theta = flat.expand(peers, -1).contiguous()
        graph = nx.random_regular_graph(min(20, peers - 1), peers, seed=SEED)
        self.neighbours = np.array([sorted(graph[peer]) for peer in range(peers)])
        self.random = np.random.default_rng(SEED)

    def views(self, theta: Tensor) -> list[Tensor]:
        """Weights and biases of each layer, contiguous copies `(stack, in or 1, out)`."""
        found, start = [], 0
        for a, b in pairwise(self.sizes):
            for height in (a, 1):
                stop = start + height * b
                found.append(theta[:, start:stop].reshape(-1, height, b).contiguous())
                start = stop
        return found

    def mix(self) -> None:
        """Average every peer with one of its neighbours."""
        n, degree = self.neighbours.shape
        other = self.neighbours[np.arange(n), self.random.integers(degree, size=n)]
        columns = np.sort(np.stack([np.arange(n), other], 1), 1)
        mixing = torch.sparse_csr_tensor(
            torch.arange(0, 2 * n + 1, 2),
            torch.from_numpy(columns.ravel()),
            torch.full((2 * n,), 0.5),
            (n, n),
        )
        self.theta = mixing @ self.theta

    def train(self, start: int) -> None:
        """One epoch of the stack that begins at a peer."""
        part = slice(start, min(start + self.stack, self.peers))
        weights = self.views(self.theta[part])
        order = torch.from_numpy(np.random.default_rng(start).permutation(self.x.shape[1]))
        x, y = self.x[part].index_select(1, order), self.y[part].index_select(1, order)
        for step in range(0, x.shape[1], self.batch):
            self.step(weights, x[:, step : step + self.batch], y[:, step : step + self.batch])
        torch.cat([each.flatten(1) for each in weights], 1, out=self.theta[part])

    @staticmethod
    def step(weights: list[Tensor], x: Tensor, y: Tensor) -> None:
        """One step of SGD on softmax cross entropy, in place."""
        inputs = [x]
        for layer in range(0, len(weights) - 2, 2):
            inputs.append(torch.baddbmm(weights[layer + 1], inputs[-1], weights[layer]).relu_())
        delta = torch.baddbmm(weights[-1], inputs[-1], weights[-2]).softmax(2)
        delta.scatter_add_(2, y.unsqueeze(2), torch.full_like(y, -1, dtype=x.dtype).unsqueeze(2))
        delta /= x.shape[1]
        for layer in range(len(weights) - 2, -1, -2):
            a, weight = inputs[layer // 2], weights[layer]
            before = torch.bmm(delta, weight.transpose(1, 2)).mul_(a > 0) if layer else delta
            weight.baddbmm_(a.transpose(1, 2), delta, alpha=-RATE)
            weights[layer + 1].sub_(delta.sum(1, keepdim=True), alpha=RATE)
            delta = before


def main() -> None:
    options = argparse.ArgumentParser()
    for name in ("peers", "cycles", "workers", "stack", "rows", "batch"):
        options.add_argument(f"--{name}", type=int, required=True)
    options.add_argument("--sizes", type=int, nargs="+", required=True)
    given = options.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Sparse")  # torch calls its sparse matrices a beta
    with torch.no_grad(), ThreadPoolExecutor(given.workers) as pool:
        bound = Bound(given.peers, given.sizes, given.rows, given.batch, given.stack)
        starts = range(0, given.peers, given.stack)

        def chore(worker: int) -> None:
            with torch.no_grad():  # each thread has its own
                for start in starts[worker :: given.workers]:
                    bound.train(start)

        def cycle() -> None:
            bound.mix()
            list(pool.map(chore, range(given.workers)))

        cycle()  # unmeasured: allocators and kernels warm up
        begun = perf_counter()
        for _ in range(given.cycles):
            cycle()
        wall_s = perf_counter() - begun
    print(json.dumps({"updates": given.peers * given.cycles, "wall s": wall_s}))


if __name__ == "__main__":
    main()
