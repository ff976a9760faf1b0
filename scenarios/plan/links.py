"""`[links]`: the rules that decide on every frame."""

from scenarios.conditions.links import Condition, Partition, Rule
from scenarios.plan.reader import Reader
from scenarios.spec.links import LinkRule, Split


def rules(reader: Reader) -> tuple[Rule, ...]:
    """Every rule in the order in which it is asked; partitions first.

    Raises:
        ConfigError: see `make_plan`.
    """
    links = reader.scenario.links
    splits, conditions = enumerate(links.partition, 1), enumerate(links.rule, 1)
    return (
        *(_partition(reader, split, f"links.partition[{n}]") for n, split in splits),
        *(_condition(reader, rule, f"links.rule[{n}]") for n, rule in conditions),
    )


def _partition(reader: Reader, split: Split, key: str) -> Rule:
    reader.in_order(split.start_us, split.end_us, key)
    side = [0] * reader.scenario.mesh.peers  # those that no side names form one of their own
    for number, text in enumerate(split.sides, 1):
        for peer in reader.select(text, f"{key}.sides[{number}]"):
            if side[peer]:
                raise reader.wrong(
                    f"{key}.sides[{number}]",
                    f"peer {peer} already stands on side {side[peer]}; name it once",
                )
            side[peer] = number
    if len(frozenset(side)) == 1:
        raise reader.wrong(f"{key}.sides", "everybody is on one side; leave somebody out")
    return Partition(tuple(side), split.start_us, split.end_us)


def _condition(reader: Reader, rule: LinkRule, key: str) -> Rule:
    reader.in_order(rule.start_us, rule.end_us, key)
    if rule.kbit_per_s and not rule.latency:
        raise reader.wrong(
            f"{key}.latency", 'missing; a bandwidth needs one, such as latency = "40 ms"'
        )
    if not rule.drop and not rule.latency:
        raise reader.wrong(key, "does nothing; give it a drop, or a latency, or remove it")
    return Condition(
        reader.mask(rule.senders, f"{key}.senders"),
        reader.mask(rule.receivers, f"{key}.receivers"),
        rule.start_us,
        rule.end_us,
        rule.drop,
        reader.latency(rule.latency, f"{key}.latency") if rule.latency else None,
        round(rule.kbit_per_s * 1_000),
        rule.queue_bytes,
        rule.shared,
    )
