"""The process that all others of the Lab are forked from: `python -m scenarios.lab.nursery FD`.

It imports libp2p and loads the data once; each peer then begins within milliseconds as a process of
its own, which can be killed like any other. Not a nursery of trio's: no event loop has run here,
and no second thread, so that forking is sound. It ends when the run does, and its children with it.
"""

import gc
import os
import signal
import sys
import traceback
from pathlib import Path

from gossip.contacts import Contact
from gossip.errors import HedgerowError, LocalError
from gossip.fingerprint import Fingerprint
from node.config.tables import from_table
from scenarios.data.load import load_data
from scenarios.lab import kernel, member
from scenarios.lab.channel import Channel, ClosedError, adopt
from scenarios.lab.fit import frame_rules
from scenarios.lab.identities import identities
from scenarios.lab.models import numpy_model
from scenarios.lab.network import Network
from scenarios.lab.orders import (
    ORDER,
    Begin,
    Crash,
    Done,
    Gone,
    Leave,
    Order,
    Plug,
    Prepare,
    Shape,
    Split,
    Start,
)
from scenarios.plan.plan import make_plan
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names


class Nursery:
    """Starts and ends peers.

    Args:
        prepare: what to run.

    Raises:
        HedgerowError: the data, or the network, cannot be made.
    """

    def __init__(self, prepare: Prepare) -> None:
        scenario = from_table(Scenario, prepare.scenario, prepare.where)
        plan = make_plan(scenario, prepare.seed, prepare.where)
        names, seed = peer_names(scenario.mesh.peers), plan.seed_bytes
        shards, rows = load_data(plan, names)
        learner, _ = numpy_model(scenario.learning, shards)
        own = identities(plan)
        contacts = []
        for identity, address in zip(own, prepare.addresses, strict=True):
            host, port = address.split(":")
            contacts.append(Contact(identity.peer, (f"/ip4/{host}/tcp/{port}",)))
        text = f"{learner.shape}, {plan.config.fragments} fragments"
        self._stage = member.Stage(
            plan=plan,
            rows=rows,
            learner=learner,
            initial=learner.initial(seed),
            fingerprint=Fingerprint(shards.schema, text),
            identities=own,
            contacts=tuple(contacts),
            rules=frame_rules(plan),
            folder=Path(prepare.folder),
        )
        hosts = [address.split(":")[0] for address in prepare.addresses]
        self._network = Network(hosts) if prepare.network else None
        self._children: dict[int, int] = {}  # process ids, by peer; not waited for yet
        self._zero_s = 0.0

    def carry_out(self, order: Order, descriptor: int | None, control: Channel) -> Done:
        """Do it, and say how it went."""
        match order:
            case Begin(zero_s):
                self._zero_s = zero_s
            case Start() if descriptor is not None:
                self._start(order, descriptor, control)
                os.close(descriptor)
            case Plug(peer):
                if self._network is not None:
                    self._network.plug(peer)
            case Leave(peer):
                os.kill(self._children[peer], signal.SIGTERM)
            case Crash(peer):
                self._pull(peer)
                os.kill(self._children[peer], signal.SIGKILL)
                return Done(code=self._wait(peer))
            case Gone(peer):
                self._pull(peer)
                return Done(code=self._wait(peer))
            case Split() | Shape():
                self._rewire(order)
            case _:
                raise LocalError(f"no order for now: {order}")
        return Done()

    def _rewire(self, order: Split | Shape) -> None:
        if self._network is None:
            raise LocalError("loopback has no cables")
        if isinstance(order, Split):
            self._network.split(order.switches)
        else:
            for peer, lines in order.limits.items():
                self._network.shape(peer, lines)

    def end(self) -> None:
        """Kill whoever is left."""
        for pid in self._children.values():
            os.kill(pid, signal.SIGKILL)

    def _pull(self, peer: int) -> None:
        if self._network is not None:
            self._network.pull(peer)

    def _wait(self, peer: int) -> int:
        _, status = os.waitpid(self._children.pop(peer), 0)
        return os.waitstatus_to_exitcode(status)

    def _start(self, start: Start, descriptor: int, control: Channel) -> None:
        # Held back until the child listens to it: a SIGTERM may come at once.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if not pid:
            control.close()
            self._become(start, descriptor)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._children[start.peer] = pid

    def _become(self, start: Start, descriptor: int) -> None:
        """The rest of the child's life."""
        code = 1
        try:
            kernel.die_with_parent()
            if self._network is not None:
                self._network.enter(start.peer)
            log = self._stage.folder / f"peer-{start.peer}.log"
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False, errors="backslashreplace")
            member.live(self._stage, start, descriptor, self._zero_s)
            code = 0
        except BaseException:  # noqa: BLE001 - as at the top of any program
            traceback.print_exc()
        finally:
            os._exit(code)


def main(descriptor: int) -> None:
    """Obey until the run goes."""
    kernel.die_with_parent()
    control = adopt(descriptor)
    nursery: Nursery | None = None
    try:
        while True:
            order, beside = control.receive(ORDER)
            try:
                if nursery is None:
                    if not isinstance(order, Prepare):
                        raise LocalError("not prepared")
                    nursery = Nursery(order)
                    # Again: entering a user namespace may undo it.
                    kernel.die_with_parent()
                    # What is never freed is never written to, and stays shared with the children.
                    gc.collect()
                    gc.freeze()
                    done = Done()
                else:
                    done = nursery.carry_out(order, beside, control)
            except (HedgerowError, OSError) as error:
                done = Done(error=str(error))
            control.send(done)
    except ClosedError:
        pass
    finally:
        if nursery is not None:
            nursery.end()


if __name__ == "__main__":
    main(int(sys.argv[1]))
