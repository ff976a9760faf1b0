"""Who tells others of attacks and norms in a World: honest peers the truth, hostile ones not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gossip.actions import Send
from gossip.antigens import EVIDENCE_MIN, LIFE_S_MAX, NORM, Antigen, body, signed
from gossip.codec import encode
from gossip.contacts import Contact, PeerId
from gossip.draws import Purpose, choose, generator
from gossip.events import Present
from gossip.fingerprint import Fingerprint
from gossip.learning.mixture import Mixture
from gossip.learning.norms import NORM_ROWS_MIN, Norm
from gossip.learning.presenting import Witness, is_due
from gossip.messages import Give, Have
from scenarios.data.shards import Floats
from scenarios.immunity.evidence import Evidence
from scenarios.immunity.seals import HashSeal
from scenarios.plan.antigens import Hostility
from scenarios.spec.mesh import Harm
from scenarios.world.hosts import Machine

JUNK_FAMILIES = 16
"""Names under which one peer floods the others: twice as many as a peer holds of one origin."""

ABSURD = 60_000.0
"""What a liar says of every column: about as much as a norm can say. Features are logarithms,
shares and flags."""

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Presenter:
    """Tells at the beginning of a peer's cycle what its driver has to hand it, or to send.

    When an honest peer presents is told in `gossip.learning.presenting`. Nothing is remembered that
    a checkpoint would lack: what a peer has presented is what it holds of its own.

    Args:
        evidence: what each peer has seen.
        names: identity of each peer.
        fingerprint: of all of them.
        seed: of the scenario; keys the seals.
        hostile: peers that do otherwise.
        attacks: whether honest peers tell of attacks. Of their benign rows they tell where the data
            are scaled by that.
    """

    evidence: Evidence
    names: Sequence[PeerId]
    fingerprint: Fingerprint
    seed: bytes
    hostile: Mapping[int, Hostility]
    attacks: bool = True
    _witnesses: dict[int, Witness] = field(default_factory=dict, init=False)

    def seal(self, peer: int) -> HashSeal:
        """What a peer signs with."""
        return HashSeal(self.seed, self.names[peer])

    def due(self, peer: int, machine: Machine, now_us: int) -> Iterator[Present | Send]:
        """What a peer that begins a cycle has to say now."""
        hostility = self.hostile.get(peer)
        if hostility is not None and now_us < hostility.at_us:
            hostility = None
        absurd = hostility is not None and hostility.harm is Harm.NORM
        if self.evidence.shards.scales is not None:
            yield from self._normal(peer, machine, now_us, absurd=absurd)
        if hostility is None or absurd:
            if self.attacks:
                yield from self._honest(peer, machine, now_us)
        elif hostility.harm in _PRESENTED:
            yield from self._deceitful(peer, machine, hostility, now_us)
        else:
            yield from self._unsent(peer, machine, hostility, now_us)

    def _honest(self, peer: int, machine: Machine, now_us: int) -> Iterator[Present]:
        counts = self.evidence.counts(peer, now_us)
        if not any(count >= EVIDENCE_MIN for count in counts.values()):
            return
        held = machine.antigens
        for family, count in counts.items():
            if self._is_due(peer, family, count, held, now_us):
                rows = self.evidence.rows(peer, family, now_us)
                yield Present(self._antigen(peer, family, rows, now_us))

    def _normal(
        self, peer: int, machine: Machine, now_us: int, *, absurd: bool
    ) -> Iterator[Present]:
        """What a peer says of its benign rows, once; its own norm always has room."""
        own = next((each for each in machine.norms if each.origin == machine.me.peer), None)
        rows = self.evidence.own(peer).train
        if absurd:
            norm = Norm(*np.full((2, rows.shape[1]), ABSURD, np.float32))
            if own is not None and own.description == norm.pack():
                return
        elif own is None and len(rows) >= NORM_ROWS_MIN:
            norm = Norm.of(rows)
        else:
            return
        yield Present(self._signed(peer, NORM, len(rows), norm.pack(), now_us))

    def _is_due(
        self, peer: int, family: str, count: int, held: Sequence[Antigen], now_us: int
    ) -> bool:
        me, now_s = self.names[peer], now_us / US_PER_S
        witness = self._witnesses.setdefault(peer, Witness(self.seed, me))

        def same(other: Antigen) -> bool:
            rows = self.evidence.rows(peer, family, now_us)
            return witness.same(other, rows, self.evidence.own(peer).scaler)

        return is_due(family, count, held, me, now_s, same)

    def _deceitful(
        self, peer: int, machine: Machine, hostility: Hostility, now_us: int
    ) -> Iterator[Present]:
        benign = self.evidence.own(peer).train
        if hostility.harm is Harm.FLOOD:
            family = f"junk-{peer}-{machine.cycle % JUNK_FAMILIES}"
            rng = generator(self.seed, family, machine.cycle, Purpose.IMMUNITY)
            yield Present(self._antigen(peer, family, rng.permuted(benign, axis=0), now_us))
            return
        said = {each.family for each in machine.antigens if each.origin == machine.me.peer}
        if hostility.family not in said:
            yield Present(self._antigen(peer, hostility.family, benign, now_us))

    def _unsent(
        self, peer: int, machine: Machine, hostility: Hostility, now_us: int
    ) -> Iterator[Send]:
        """Frames that no `Peer` sends: it says that it holds something, and hands it over."""
        known = machine.view
        wrong = self._wrong(peer, machine, hostility, now_us)
        if not known or wrong is None:
            return
        name, cycle = machine.me.peer, machine.cycle
        to = choose(known, 1, self.seed, name, cycle, Purpose.IMMUNITY)[0]
        for message in (Have(wrong.id), Give((wrong,))):
            yield Send(Contact(to.peer, to.addresses), encode(message, self.fingerprint.digest))

    def _wrong(
        self, peer: int, machine: Machine, hostility: Hostility, now_us: int
    ) -> Antigen | None:
        benign = self.evidence.own(peer).train
        others = [each for each in machine.antigens if each.origin != machine.me.peer]
        match hostility.harm:
            case Harm.FORGED:
                made = self._antigen(peer, hostility.family, benign, now_us)
                other = self.names[(peer + 1) % len(self.names)]
                return self._sealed(peer, replace(made, origin=other))
            case Harm.EXPIRED:
                made = self._antigen(peer, hostility.family, benign, now_us)
                return self._sealed(peer, replace(made, created_s=0, expires_s=1))
            case Harm.REPLAY if others:
                later = others[machine.cycle % len(others)]
                return replace(later, serial=later.serial + 1, expires_s=later.created_s + 1)
            case Harm.BENIGN:
                counts = self.evidence.counts(peer, now_us)
                family = max(counts, key=lambda name: counts[name], default="")
                rows = self.evidence.rows(peer, family, now_us) if family else benign
                if len(rows) >= EVIDENCE_MIN:
                    made = self._antigen(peer, family or "other", rows, now_us)
                    return self._sealed(peer, replace(made, family="benign"))
        return None

    def _antigen(self, peer: int, family: str, rows: Floats, now_us: int) -> Antigen:
        rng = generator(self.seed, f"{self.names[peer]}\0{family}", now_us, Purpose.IMMUNITY)
        told = Mixture.fit(np.ascontiguousarray(rows), rng).pack()
        return self._signed(peer, family, len(rows), told, now_us)

    def _signed(
        self, peer: int, family: str, evidence: int, description: bytes, now_us: int
    ) -> Antigen:
        now_s = now_us // US_PER_S
        antigen = Antigen(
            origin=self.names[peer],
            family=family,
            serial=now_us,
            evidence=evidence,
            created_s=now_s,
            expires_s=now_s + LIFE_S_MAX,
            description=description,
        )
        return signed(antigen, self.fingerprint.schema, self.seal(peer))

    def _sealed(self, peer: int, antigen: Antigen) -> Antigen:
        """Signed by this peer, whatever bounds it breaks."""
        return replace(
            antigen, signature=self.seal(peer).sign(body(antigen, self.fingerprint.schema))
        )


_PRESENTED = frozenset({Harm.MIMIC, Harm.FLOOD})


def names_of(hostile: Mapping[int, Hostility]) -> tuple[str, ...]:
    """Every name that hostile peers may bring up, sorted."""
    found = {each.family for each in hostile.values() if each.family}
    for peer, each in hostile.items():
        if each.harm is Harm.FLOOD:
            found.update(f"junk-{peer}-{number}" for number in range(JUNK_FAMILIES))
    return tuple(sorted(found))
