"""What antigens cost together: a bound on the sum of many that are cheap each."""

from gossip.learning.tolerance import VOUCHED_MAX, Cost


class Total:
    """The benign rows that all antigens in use would make alarm together, as they come.

    Each may pass by itself, and ten of them cost ten budgets: Ids cost nothing, so whoever can make
    one such antigen can make many. What an operator approved is not counted, for else it would keep
    out all others.

    Args:
        budget: share of the rows that may alarm.
        rows: how many are held out.
    """

    __slots__ = ("_budget", "_rows", "_vouched", "_within")

    def __init__(self, budget: float, rows: int) -> None:
        self._budget = budget
        self._rows = rows
        self._within = 0  # a bit for each row, set where it would alarm; so are all `alarms`
        self._vouched = 0  # with those that others vouch for

    def with_(self, alarms: int) -> Cost:
        """What those within the budget cost together with one more."""
        return Cost((self._within | alarms).bit_count(), self._rows)

    def takes(self, alarms: int) -> bool:
        """Count one more in, if the sum stays within the budget; what adds nothing always fits."""
        if alarms & ~self._within and self.with_(alarms).exceeds(self._budget):
            return False
        self._within |= alarms
        self._vouched |= alarms
        return True

    def takes_vouched(self, alarms: int) -> bool:
        """The same with what others may vouch for, `VOUCHED_MAX`, in place of the budget."""
        union = self._vouched | alarms
        if alarms & ~self._vouched and union.bit_count() >= VOUCHED_MAX * self._rows:
            return False
        self._vouched = union
        return True
