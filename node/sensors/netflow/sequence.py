"""How many exports never arrived, by the numbers that exporters give their datagrams.

The number counts datagrams (NetFlow v9) or records (IPFIX), by the standards; what exporters do
differs: softflowd 1.1.0 counts the records of the datagram itself, too, and leaves out those of
options. So several readings are tried on each stream, and something is missing only where none of
them fits what came. It is counted by the reading that has fitted most often, once it has done so
three times, since a wrong one would find a loss in every datagram.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

STREAMS_MAX = 256  # exporters and observation domains watched
FITS_MIN = 3
JUMP_MAX = 1_000_000  # further ahead it has begun anew
BACK_MAX = 1_000  # so much earlier a datagram may be and still be one that was overtaken
BACK_RUN = 5  # as many in a row mean that it has begun anew
"""Our choices."""

MODULUS = 1 << 32

Stream = tuple[str, int]


@dataclass(slots=True)
class _State:
    """The datagram before, and how often each reading has fitted."""

    number: int
    flows: int
    options: int
    fits: list[int] = field(default_factory=lambda: [0] * 5)
    back: int = 0


class Sequence:
    """Watches the numbers of many streams."""

    def __init__(self) -> None:
        self._states: OrderedDict[Stream, _State] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def forget(self, stream: Stream) -> None:
        """Begin anew: a datagram came whose records could not be counted."""
        self._states.pop(stream, None)

    def missing(self, stream: Stream, number: int, flows: int, options: int) -> int:
        """How many exports are missing before this datagram; 0 while its reading is learnt.

        Args:
            stream: whose.
            number: the datagram's.
            flows: records of flows in it.
            options: records of options in it.
        """
        state = self._states.get(stream)
        if state is None:
            self._states[stream] = _State(number, flows, options)
            while len(self._states) > STREAMS_MAX:
                self._states.popitem(last=False)
            return 0
        self._states.move_to_end(stream)
        steps = (
            1,
            state.flows + state.options,  # RFC 7011, section 3.1
            state.flows,
            flows + options,
            flows,
        )
        step = (number - state.number) % MODULUS
        fitting = [reading for reading, expected in enumerate(steps) if expected == step]
        gap = 0
        if fitting:
            for reading in fitting:
                state.fits[reading] += 1
        else:
            best = max(range(len(steps)), key=lambda reading: state.fits[reading])
            gap = (step - steps[best] + MODULUS // 2) % MODULUS - MODULUS // 2
            if -BACK_MAX <= gap < 0 and state.back + 1 < BACK_RUN:
                state.back += 1
                return 0
            if not 0 < gap <= JUMP_MAX or state.fits[best] < FITS_MIN:
                gap = 0
        state.number, state.flows, state.options, state.back = number, flows, options, 0
        return gap
