"""The agenda gives what one sorted list would give."""

from hypothesis import given
from hypothesis import strategies as st

from scenarios.world.agenda import DAY_BITS, Agenda, Entry

FAR_US = 5 << DAY_BITS

delays = st.one_of(st.integers(0, 3), st.integers(0, FAR_US), st.just(2**40))


@given(st.lists(delays), st.lists(st.tuples(st.lists(delays, max_size=3), delays), max_size=40))
def test_it_gives_what_is_due_in_order_of_time_and_number(
    first: list[int], steps: list[tuple[list[int], int]]
) -> None:
    """Entries are added while others are taken, as a World does, and time is asked for in steps."""
    numbers = iter(range(10_000))
    held: list[Entry] = [(at_us, next(numbers), 0, None) for at_us in first]
    agenda, now_us, until_us = Agenda(held), 0, 0
    for more, wait_us in steps:
        entry = agenda.next(until_us)
        due = sorted(each for each in held if each[0] <= until_us)
        assert entry == (due[0] if due else None)
        if entry is None:
            until_us += wait_us
        else:
            held.remove(entry)
            now_us = entry[0]
        for after_us in more:
            held.append((now_us + after_us, next(numbers), 0, None))
            agenda.add(held[-1])
        assert sorted(agenda) == sorted(held)
