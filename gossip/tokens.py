"""The randomised token account: flow control that adapts to dropped messages without timers.

Danner and Jelasity, "Token account algorithms: the best of the proactive and reactive worlds"
(ICDCS 2018), the randomised strategy. In each cycle a peer either pushes unasked (proactive), the
likelier the fuller its account, or earns a token; on receipt of useful news it spends a share of
its tokens on pushes at once (reactive).
"""


def proactive(tokens: int, cost: int, capacity: int) -> float:
    """Probability of an unasked push in a cycle: 0 below A - 1, then rising to 1 at C."""
    if tokens < cost - 1:
        return 0.0
    return min(1.0, (tokens - cost + 1) / (capacity - cost + 1))


def reactive(tokens: int, cost: int, fraction: float, *, useful: bool) -> int:
    """Pushes to answer a received model with: `tokens / A` rounded at random, 0 if not useful.

    Args:
        tokens: in the account; the result never exceeds it.
        cost: A.
        fraction: a uniform draw in [0, 1) that does the rounding.
        useful: whether what arrived was news.
    """
    if not useful:
        return 0
    share = tokens / cost
    whole = int(share)
    return min(tokens, whole + (fraction < share - whole))
