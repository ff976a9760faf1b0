"""The run's side of its processes: start, ask, kill, and never leave one behind."""

import os
import select
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from gossip.errors import LocalError
from scenarios.lab import orders
from scenarios.lab.channel import Channel, ClosedError, pair
from scenarios.lab.orders import DONE, PICTURE, Done, Order, Picture

PATIENCE_S = 60.0  # for a picture; a process that needs it is stuck
PREPARE_S = 600.0  # for the data, which may be a large folder
_LOOKS = 250  # numbers of looks, in one byte

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(slots=True)
class _Life:
    """One process of a peer, and what it last said."""

    channel: Channel
    picture: Picture | None = None


class Fleet:
    """All processes of a run; a context manager, and none outlives it.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lives: dict[int, _Life] = {}
        self._look = 0
        self._control, theirs = pair()
        with theirs, (folder / "nursery.log").open("ab") as log:
            self._nursery = subprocess.Popen(  # noqa: S603 - this very Python, and our own module
                [sys.executable, "-m", "scenarios.lab.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | dict.fromkeys(_THREADS, "1"),
                start_new_session=True,  # Ctrl-C is for the run, which then ends the others
            )

    def __enter__(self) -> Self:
        """Nothing more."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all processes and wait until they have."""
        self._control.close()  # the nursery kills its children and ends
        for life in self._lives.values():
            life.channel.close()
        try:
            self._nursery.wait(PATIENCE_S)
        except BaseException:  # an impatient second Ctrl-C among them
            self._nursery.kill()  # the kernel kills its children, see `kernel.die_with_parent`
            self._nursery.wait()
            raise

    def order(self, order: Order, descriptor: int | None = None) -> Done:
        """Have the nursery do something, and wait until it is done.

        Raises:
            LocalError: it could not, or has gone.
        """
        self.tell(order, descriptor)
        return self.hear()

    def tell(self, order: Order, descriptor: int | None = None) -> None:
        """Give the nursery an order; `hear` must follow.

        Raises:
            LocalError: it has gone.
        """
        self._control.socket.settimeout(PREPARE_S)
        try:
            self._control.send(order, descriptor)
        except (ClosedError, TimeoutError) as error:
            raise LocalError(f"the Lab's nursery ended. {self._tail('nursery')}") from error

    def hear(self) -> Done:
        """Wait for the answer to an order.

        Raises:
            LocalError: it could not be carried out, or the nursery has gone.
        """
        try:
            done, _ = self._control.receive(DONE)
        except (ClosedError, TimeoutError) as error:
            raise LocalError(f"the Lab's nursery ended. {self._tail('nursery')}") from error
        if done.error:
            raise LocalError(done.error)
        return done

    def start(self, peer: int, life: int, *, fresh: bool, begin_s: float) -> None:
        """Start a peer's process; its cable is pulled until `plug`."""
        ours, theirs = pair()
        ours.socket.settimeout(PATIENCE_S)
        with theirs:
            self.order(orders.Start(peer, life, fresh, begin_s), theirs.fileno())
        self._lives[peer] = _Life(ours)

    def plug(self, peer: int) -> None:
        """Plug a peer's cable in."""
        self.order(orders.Plug(peer))

    def runs(self, peer: int) -> bool:
        """Whether the process of a peer's latest life may still be there."""
        return peer in self._lives

    def leave(self, peer: int) -> None:
        """Ask a peer to leave; its last picture comes with `ended`."""
        self.order(orders.Leave(peer))

    def crash(self, peer: int) -> Picture | None:
        """Kill a peer; gives the picture that it gave just before."""
        picture = self.look([peer])[peer]
        self.order(orders.Crash(peer))
        self._lives.pop(peer).channel.close()
        return picture

    def ended(self, wait_s: float) -> dict[int, Picture | None]:
        """Wait for processes that end by themselves; their last pictures, by peer."""
        found: dict[int, Picture | None] = {}
        poll = select.poll()
        for life in self._lives.values():
            poll.register(life.channel, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(wait_s * 1000)]
        for peer, life in list(self._lives.items()):
            if life.channel.fileno() in ready:
                try:
                    picture, _ = life.channel.receive(PICTURE)
                    life.picture = picture
                except ClosedError:
                    found[peer] = self._bury(peer)
        return found

    def look(self, peers: Iterable[int]) -> dict[int, Picture]:
        """A picture of each of these, all asked at the same moment.

        Raises:
            LocalError: one has gone, or does not answer.
        """
        self._look = (self._look + 1) % _LOOKS
        asked = list(peers)
        for peer in asked:
            try:
                self._lives[peer].channel.socket.sendall(bytes([self._look]))
            except OSError as error:
                raise self._lost(peer) from error
        return {peer: self._answer(peer) for peer in asked}

    def _answer(self, peer: int) -> Picture:
        channel = self._lives[peer].channel
        while True:
            try:
                picture, _ = channel.receive(PICTURE)
            except (ClosedError, TimeoutError) as error:
                raise self._lost(peer) from error
            if picture.look == self._look:
                return picture

    def _bury(self, peer: int) -> Picture | None:
        """Take leave of a process that has ended by itself.

        Raises:
            LocalError: it did not end well.
        """
        life = self._lives.pop(peer)
        life.channel.close()
        if self.order(orders.Gone(peer)).code:
            raise self._lost(peer)
        return life.picture

    def _lost(self, peer: int) -> LocalError:
        return LocalError(
            f"the process of peer {peer} ended or fell silent. {self._tail(f'peer-{peer}')}"
        )

    def _tail(self, name: str, lines: int = 12) -> str:
        path = self._folder / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(["The end of its log:", *text.splitlines()[-lines:]])
