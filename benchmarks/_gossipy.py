"""gossipy-dfl from PyPI doing the work of `world.py`; runs in an environment of its own.

Vanilla gossip: every node pushes its model once a round to a random neighbour, which averages the
two and then trains one epoch. Nothing is evaluated. Prints one JSON object.

Of its parts: `GossipNode`, `TorchModelHandler`, `StaticP2PNetwork` and `GossipSimulator`, as they
are. A round has 100 time steps, as in its own examples.
"""

import argparse
import json
import logging
import sys
from itertools import pairwise
from time import perf_counter
from types import ModuleType, SimpleNamespace

# gossipy.data imports torchvision, only to download pictures, and does not name it as a need.
sys.modules["torchvision"] = ModuleType("torchvision")

import networkx as nx  # noqa: E402 - after the stand-in, like all that follows
import torch  # noqa: E402
from gossipy import set_seed  # noqa: E402
from gossipy.core import (  # noqa: E402
    AntiEntropyProtocol,
    ConstantDelay,
    CreateModelMode,
    StaticP2PNetwork,
)
from gossipy.model import TorchModel  # noqa: E402
from gossipy.model.handler import TorchModelHandler  # noqa: E402
from gossipy.node import GossipNode  # noqa: E402
from gossipy.simul import GossipSimulator  # noqa: E402

RATE = 0.05
SEED = 42
STEPS_A_ROUND = 100


class Layers(TorchModel):
    """Dense layers with relu between them."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    def init_weights(self) -> None:
        """Everybody starts from the same parameters: those of the copied model."""


class Counting(TorchModelHandler):
    """Counts its updates."""

    updates = 0

    def _update(self, data: tuple[torch.Tensor, torch.Tensor]) -> None:
        Counting.updates += 1
        super()._update(data)


def main() -> None:
    options = argparse.ArgumentParser()
    for name in ("peers", "cycles", "rows", "batch"):
        options.add_argument(f"--{name}", type=int, required=True)
    options.add_argument("--sizes", type=int, nargs="+", required=True)
    given = options.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    set_seed(SEED)
    features, classes = given.sizes[0], given.sizes[-1]
    centres = 0.35 * torch.randn(classes, features)
    graph = nx.random_regular_graph(min(20, given.peers - 1), given.peers, seed=SEED)
    network = StaticP2PNetwork(given.peers, nx.to_numpy_array(graph))
    handler = Counting(
        net=Layers(given.sizes),
        optimizer=torch.optim.SGD,
        optimizer_params={"lr": RATE},
        criterion=torch.nn.CrossEntropyLoss(),
        batch_size=given.batch,
        create_model_mode=CreateModelMode.MERGE_UPDATE,
    )
    nodes = {}
    for peer in range(given.peers):
        y = torch.randint(classes, (given.rows,))
        data = (centres[y] + torch.randn(given.rows, features), y), None
        nodes[peer] = GossipNode(peer, data, STEPS_A_ROUND, handler.copy(), network)
    simulator = GossipSimulator(
        nodes=nodes,
        data_dispatcher=SimpleNamespace(has_test=lambda: False),
        delta=STEPS_A_ROUND,
        protocol=AntiEntropyProtocol.PUSH,
        delay=ConstantDelay(0),
    )
    simulator.init_nodes()
    Counting.updates = 0
    begun = perf_counter()
    simulator.start(n_rounds=given.cycles)
    print()  # its progress bar leaves the cursor in the line
    print(json.dumps({"updates": Counting.updates, "wall s": perf_counter() - begun}))


if __name__ == "__main__":
    main()
