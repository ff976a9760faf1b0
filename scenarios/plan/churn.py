"""`[churn]` and `[[event]]`: who comes and goes, and when."""

from collections.abc import Sequence

from scenarios.conditions.churn import Change, Deed, ordered, sessions, staggered
from scenarios.plan.reader import Reader, seed_bytes


def changes(reader: Reader) -> Sequence[Change]:
    """Everything that happens to nodes, in time order.

    Raises:
        ConfigError: see `make_plan`.
    """
    mesh, churn = reader.scenario.mesh, reader.scenario.churn
    told: list[Change] = []
    late = bytearray(mesh.peers)
    before_us = 0
    for place, event in enumerate(reader.scenario.event, 1):
        key = f"event[{place}]"
        if event.at_us < before_us:
            raise reader.wrong(
                f"{key}.at", "lies before the event above it; write events in time order"
            )
        if event.at_us > mesh.duration_us:
            raise reader.wrong(f"{key}.at", "lies after the end; see mesh.duration")
        before_us = event.at_us
        chosen = reader.select(event.peers, f"{key}.peers")
        told.extend(Change(event.at_us, peer, event.do) for peer in chosen)
        if event.do is Deed.JOIN:
            for peer in chosen:
                late[peer] = 1
    seed = seed_bytes(reader.seed)
    at_start = [peer for peer in range(mesh.peers) if not late[peer]]
    if not at_start and not told:
        raise reader.wrong("event", "nobody is ever there; let some peers join")
    changes = staggered(at_start, 0, churn.join_over_us, seed)
    if churn.restless:
        restless = reader.select(churn.restless, "churn.restless")
        end_us = mesh.duration_us
        means = churn.up_us_mean, churn.away_us_mean
        changes += sessions(restless, *means, churn.crash, end_us, seed)
    return ordered([*changes, *told])
