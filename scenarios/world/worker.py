"""A process beside the World's that trains stacks.

It is forked, so it has the learner and the training rows without a copy. Vectors go there and back
in memory that both share; a pipe in each direction says which part of it is meant. Nothing is
pickled.

    World     fill a slot ── "slot 2, 16 trainings" ──>  worker: train in place
              copy out    <─────── "slot 2" ──────────

The pipe of orders is a queue that both may take from. Where the World would have to wait, it takes
the oldest order back and trains that stack itself; so neither process is idle while there is work,
however slow the other one is.

The worker keeps nothing that would be worth saving, so it is ended by SIGKILL. It ends by itself
when the World's process does: it then finds its pipe closed, or its parent changed.
"""

import gc
import mmap
import os
import select
import signal
import warnings
import weakref
from collections.abc import Callable
from struct import Struct
from typing import NoReturn

import numpy as np

from gossip.errors import LocalError
from scenarios.world.stacks import Form, Stack

SLOTS = 8
"""Stacks that may wait for the worker or be in training there; twice as many as are outstanding in
a mesh whose trainings fill no stack of the largest size (see `STACKS_OUTSTANDING`)."""

_ORDER = Struct("<II")
"""Slot, and trainings in it."""

_ANSWER = Struct("<II")
"""Slot, and bytes of text that follow: what went wrong, if anything."""

_TEXT_MAX = 2_000
"""Bytes; with the header well below what a pipe takes in one piece (4,096 on Linux)."""

_LOOK_MS = 1_000
"""How often an idle worker looks whether its parent lives. Usually the closed pipe tells it sooner;
but another child of the same parent may hold a copy of the pipe's other end."""


class Worker:
    """One child process and the memory shared with it.

    Args:
        work: trains a stack in place; runs in the child, with the World's memory as it is now.
        form: of the stacks.
        trainings_max: in one stack.

    Raises:
        LocalError: the system gives no process or no memory.
    """

    def __init__(self, work: Callable[[Stack], None], form: Form, trainings_max: int) -> None:
        self._form = form
        size = form.size(trainings_max)
        try:
            memory = np.frombuffer(mmap.mmap(-1, SLOTS * size), np.uint8)
            self._slots = [memory[slot * size : (slot + 1) * size] for slot in range(SLOTS)]
            self._taken, self._orders = os.pipe()
            os.set_blocking(self._taken, False)  # the other may have been quicker
            self._answers, answers = os.pipe()
            with warnings.catch_warnings():
                # Python 3.12 warns of forking while threads run. The child uses nothing that one
                # of them could hold: numpy's BLAS mends itself, and it neither logs nor prints.
                warnings.simplefilter("ignore", DeprecationWarning)
                self.pid = os.fork()
        except OSError as error:
            raise LocalError(
                f"no second process for training: {error.strerror}; free some memory, or train in "
                f"one process (workers = 0)"
            ) from None
        if self.pid == 0:
            os.close(self._orders)
            os.close(self._answers)
            _serve(self._taken, answers, lambda slot, n: work(self.stack(slot, n)))
        os.close(answers)
        pipes = self._taken, self._orders, self._answers
        self._end = weakref.finalize(self, _end, self.pid, *pipes)
        self._free = list(range(SLOTS))
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._failure: LocalError | None = None

    @property
    def has_room(self) -> bool:
        """Whether another stack may be given."""
        return bool(self._free)

    def slot(self) -> int:
        """A free slot, to be filled and given."""
        return self._free.pop()

    def stack(self, slot: int, trainings: int) -> Stack:
        """A stack of so many trainings in a slot."""
        return self._form.over(self._slots[slot], trainings)

    def give(self, slot: int, trainings: int) -> None:
        """Let the worker train a slot's stack, after those given before."""
        os.write(self._orders, _ORDER.pack(slot, trainings))

    def take_back(self) -> int | None:
        """The slot given longest ago that the worker has not begun; None if there is none."""
        order = _next(self._taken)
        return None if order is None else order[0]

    def done(self, *, wait: bool) -> int | None:
        """A slot whose stack the worker has trained; None if there is none yet.

        Args:
            wait: until there is one.

        Raises:
            LocalError: training failed, or the worker has died; from then on always.
        """
        if self._failure is not None:
            raise self._failure
        if not self._poll.poll(None if wait else 0):
            return None
        head = os.read(self._answers, _ANSWER.size)
        if len(head) < _ANSWER.size:
            raise self._gone()
        slot, length = _ANSWER.unpack(head)
        if length:
            text = os.read(self._answers, length).decode(errors="replace")
            raise self._fail(f"training failed in the process for training: {text}")
        return int(slot)

    def copy(self, slot: int, trainings: int) -> Stack:
        """A copy of a slot's stack; the slot is free again."""
        self._free.append(slot)
        memory = self._slots[slot][: self._form.size(trainings)]
        return self._form.over(memory.copy(), trainings)

    def close(self) -> None:
        """End the process, whatever it is doing. Closing again does nothing."""
        self._end()

    def _gone(self) -> LocalError:
        ended = "died"
        try:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            ended = (
                f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            )
        except ChildProcessError:
            pass  # somebody else has waited for it
        return self._fail(
            f"the process for training (pid {self.pid}) {ended}; where memory ran out, use fewer "
            f"peers or rows, or train in one process (workers = 0)"
        )

    def _fail(self, text: str) -> LocalError:
        self.close()
        self._failure = LocalError(text)
        return self._failure


def _serve(orders: int, answers: int, work: Callable[[int, int], None]) -> NoReturn:
    """The child's whole life."""
    # Both may reach the whole group; the World decides what they mean and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Collecting would write to, and so copy, every page of objects that we share with the World.
    gc.disable()
    parent = os.getppid()
    poll = select.poll()
    poll.register(orders, select.POLLIN)
    try:
        while True:
            if not poll.poll(_LOOK_MS):
                if os.getppid() != parent:
                    os._exit(0)
                continue
            order = _next(orders)
            if order is None:
                continue
            if not order:
                os._exit(0)
            slot, trainings = order
            work(slot, trainings)
            os.write(answers, _ANSWER.pack(slot, 0))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the World must hear of it
        text = f"{type(error).__name__}: {error}".encode()[:_TEXT_MAX]
        try:
            os.write(answers, _ANSWER.pack(0, len(text)) + text)
        finally:
            os._exit(1)


def _next(orders: int) -> tuple[int, ...] | None:
    """An order off the pipe; None if there is none now, and nothing () if there will be none."""
    try:
        order = os.read(orders, _ORDER.size)
    except BlockingIOError:
        return None
    return _ORDER.unpack(order) if order else ()


def _end(pid: int, *pipes: int) -> None:
    for pipe in pipes:
        os.close(pipe)
    try:
        # Fails where the process is not our child: a fork of the World's process must not end it.
        if not os.waitpid(pid, os.WNOHANG)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    except ChildProcessError:
        pass
