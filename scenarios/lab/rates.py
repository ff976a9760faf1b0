"""Bandwidth: what `tc` is told for the rules of the links that have one.

A hierarchical token bucket (Linux `htb`) on each sender's end of its cable holds one class for each
of the sender's pipes; a queue of bytes stands in front of it. Acknowledgements and handshakes
share the pipe, as on a real uplink.
"""

from collections.abc import Sequence

from scenarios.conditions.links import Condition, Rule, Shared

BURST_BYTES = 3_200
"""Two full packets: less stalls the bucket, more would let a frame of a small model pass at once.
Our choice."""

_QUEUE_BYTES_MIN = 3_200


def moments(rules: Sequence[Rule]) -> list[int]:
    """When limits begin and end, ascending, without repeats."""
    limited = [rule for rule in rules if isinstance(rule, Condition) and rule.bits_per_s]
    edges = [edge for rule in limited for edge in (rule.start_us, rule.end_us)]
    return sorted(dict.fromkeys(edges))


def limits(rules: Sequence[Rule], hosts: Sequence[str], now_us: int) -> dict[int, list[str]]:
    """The lines of `tc -batch` for each peer at one moment; none for a peer without a limit.

    Of several rules with a bandwidth the first that matches decides, as for frames.
    """
    return {sender: _lines(rules, hosts, now_us, sender) for sender in range(len(hosts))}


def _lines(rules: Sequence[Rule], hosts: Sequence[str], now_us: int, sender: int) -> list[str]:
    lines: list[str] = []
    pipe = 0
    for order, rule in enumerate(rules, 1):
        if not isinstance(rule, Condition) or rule.latency is None:
            continue
        if not rule.start_us <= now_us < rule.end_us:
            continue
        others = [to for to in range(len(hosts)) if to != sender and rule.matches(sender, to)]
        if not others:
            continue
        shared = [others] if rule.shared is Shared.SENDER else [[to] for to in others]
        for receivers in shared:
            pipe += 1
            if rule.bits_per_s:
                queue = max(rule.queue_bytes, _QUEUE_BYTES_MIN)
                rate = f"rate {rule.bits_per_s}bit burst {BURST_BYTES}"
                lines += [
                    f"class add dev eth0 parent 1: classid 1:{pipe:x} htb {rate}",
                    f"qdisc add dev eth0 parent 1:{pipe:x} bfifo limit {queue}",
                ]
            # A rule without a bandwidth, too, decides: its frames go past the later ones' pipes.
            target = f"1:{pipe:x}" if rule.bits_per_s else "1:0"
            lines += [
                f"filter add dev eth0 parent 1: prio {order} protocol ip u32 "
                f"match ip dst {hosts[to]}/32 flowid {target}"
                for to in receivers
            ]
    limited = any(line.startswith("class") for line in lines)
    return ["qdisc add dev eth0 root handle 1: htb default 0", *lines] if limited else []
