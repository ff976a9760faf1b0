"""The control: each gateway on its own, with the same rows, the same steps, and no neighbours.

Everything else is as in the mesh: the node's own classes read the same lines in the same pieces,
train as many cycles, and calibrate alike. Only nothing is ever merged.
"""

from collections.abc import Callable

from gossip.actions import Train
from gossip.draws import Purpose, draw
from node.detection import fingerprint_of, new_learner, new_watch
from node.sensors.reading import Kind, parser_for
from node.trainer import Trainer
from scenarios.demo.feeds import Feed, zeek_header
from scenarios.demo.marks import Marks, mark


def alone(
    feed: Feed,
    pieces: list[list[bytes]],
    budget: float,
    seed: int,
    told: Callable[[], None] | None = None,
) -> list[Marks]:
    """Marks after each cycle of a gateway that has nobody to learn from.

    Args:
        feed: its rows.
        pieces: lines of its log, one list a cycle.
        budget: of false alarms.
        seed: of its draws.
        told: called after each cycle.
    """
    learner = new_learner()
    initial = learner.initial(fingerprint_of(learner, fragments=4).digest)
    trainer = Trainer(learner, initial)
    secret = draw(seed.to_bytes(8, "big"), feed.plan.name, 0, Purpose.WORLD).to_bytes(8, "big")
    watch = new_watch(budget, secret, feed.plan.name)
    parser = parser_for(Kind(feed.plan.sensor))
    if feed.plan.sensor == "zeek":
        for line in zeek_header().splitlines():
            parser.parse(line)
    shared = initial[: learner.shared]
    marks = []
    for cycle, lines in enumerate(pieces, start=1):
        flows = [flow for line in lines if (flow := parser.parse(line.rstrip(b"\n"))) is not None]
        watch.observe(flows)
        trained = trainer.train(Train(cycle, shared), watch.batches(cycle))
        if trained.delta is not None:
            shared = shared + trained.delta
            watch.serve(trainer.whole(shared), cycle)
        marks.append(mark(watch, feed))
        if told is not None:
            told()
    return marks
