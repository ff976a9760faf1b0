"""The scenario's model as a node trains it: in numpy, without torch's memory and start."""

from dataclasses import replace

from gossip.learning.descent import Descent
from gossip.learning.learner import Learner
from gossip.learning.reference import ReferenceDetector
from gossip.learning.shapes import DetectorShape
from scenarios.data.shards import Shards
from scenarios.measures.judges import DetectorJudge, Judge, make_model
from scenarios.spec.learning import Arithmetic, Learning, Model


def numpy_model(learning: Learning, shards: Shards) -> tuple[Learner, Judge]:
    """The learner in numpy, and the judge that fits it; see `make_model`.

    Raises:
        ConfigError: a layer's size is out of bounds.
    """
    if learning.model is Model.CLASSIFIER:
        return make_model(replace(learning, arithmetic=Arithmetic.NUMPY), shards)
    descent = Descent(learning.rate, learning.momentum, learning.clip)
    shape = DetectorShape(shards.features, len(shards.families))
    return ReferenceDetector(shape, descent), DetectorJudge(shape, learning.alarm_budget)
