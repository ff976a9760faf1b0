"""An interrupt ends a run at a moment at which what it has is whole."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def terminable() -> Iterator[None]:
    """Within the block the first SIGTERM raises KeyboardInterrupt, as SIGINT does.

    Later ones are ignored, so that worker processes are ended in peace; `timeout` sends two. A
    SIGTERM that is ignored or noted already stays so.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    ours = current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Within the block, SIGINT and SIGTERM are noted; what it gives says whether one came.

    A second one raises KeyboardInterrupt at once. A signal that is ignored stays so, and outside
    the main thread, where Python sets no handlers, nothing is noted.
    """
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {}
    if current_thread() is main_thread():
        for number in SIGNALS:
            handler = signal.getsignal(number)
            # None: set by something that is not Python, which could not be put back
            if handler not in {signal.SIG_IGN, None}:
                before[number] = signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
