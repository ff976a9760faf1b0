"""The scenario's model as a node trains it: in numpy, without torch's memory and start."""

from dataclasses import replace

from gossip.learning.learner import Learner
from scenarios.data.shards import Shards
from scenarios.measures.judges import Judge, make_model
from scenarios.spec.learning import Arithmetic, Learning


def numpy_model(learning: Learning, shards: Shards) -> tuple[Learner, Judge]:
    """The learner in numpy, whatever the scenario asks for, and its judge; see `make_model`.

    Raises:
        ConfigError: a layer's size is out of bounds.
    """
    return make_model(replace(learning, arithmetic=Arithmetic.NUMPY), shards)
