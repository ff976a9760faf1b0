"""What a state folder tells of antigens, for commands; its node may run meanwhile."""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from gossip.antigens import SIGNATURE_BYTES, Antigen
from gossip.arrays import group_of
from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError, StateError
from gossip.learning.norms import NORM_ROWS_MIN, Norm
from gossip.learning.presenting import ORIGINS_ENOUGH
from gossip.learning.scaling import Scaler
from node.antigens import approvals, kept, leaving
from node.antigens.presenting import Evidence, Presenter, described
from node.config.settings import Settings
from node.detection import fingerprint_of, new_learner, new_watch
from node.p2p.identity import Identity, load_identity, samples_seed
from node.p2p.seal import Ed25519Seal
from node.state.store import Snapshot, look
from node.status.document import AntigensStatus, AntigenStatus
from node.watch.watch import Watch


@dataclass(frozen=True, slots=True)
class Folder:
    """A state folder as it was saved last. Use `Folder.look`.

    Args:
        settings: the node's.
        identity: the node's.
        snapshot: what it saved.
        held: antigens, revocations left out.
    """

    settings: Settings
    identity: Identity
    snapshot: Snapshot
    held: tuple[Antigen, ...]

    @classmethod
    def look(cls, settings: Settings) -> "Folder":
        """Read it; nothing in it changes.

        Raises:
            StateError: it is none, holds nothing yet, or is damaged.
        """
        path = settings.node.state_dir
        snapshot = look(path)
        try:
            identity = load_identity(path / "identity")
        except FileNotFoundError as error:
            raise StateError(f"{path}: holds no identity; restore it from a backup") from error
        held = kept.from_arrays(snapshot.arrays) if kept.NAME in snapshot.arrays else ()
        return cls(settings, identity, snapshot, tuple(each for each in held if not each.revokes))

    @property
    def path(self) -> Path:
        """Of the folder."""
        return self.settings.node.state_dir

    def as_it_ran(self) -> "Folder":
        """The same with the node's own word on sharing: for who does not have its settings.

        Raises:
            StateError: as `antigens`.
        """
        ran = self._saved()
        flags: dict[str, bool | str] = {"antigens.share": ran.share, "antigens.use": ran.use}
        scaling = self.snapshot.small.get("scaling")
        flags["detector.scaling"] = "mesh" if scaling == "mesh" and ran.use else "own"
        flags["detector.share_tail"] = self.snapshot.small.get("share_tail") is not False
        return replace(self, settings=self.settings.with_overrides(flags))

    def antigens(self) -> AntigensStatus:
        """As the node saw them last, and with what was approved since.

        Raises:
            StateError: the folder's state is another version's.
        """
        found = self._saved()
        approved = {each.hex() for each in approvals.load(self.path)}
        return replace(found, held=tuple(_seen(each, approved) for each in found.held))

    def _saved(self) -> AntigensStatus:
        small = self.snapshot.small.get("antigens", {})
        try:
            return msgspec.convert(small, AntigensStatus)
        except msgspec.ValidationError as error:
            raise StateError(
                f"{self.path}: tells of antigens what this Hedgerow does not understand ({error}); "
                "use the release that wrote it"
            ) from error

    def the_one(self, text: str) -> AntigenStatus:
        """The antigen whose id is or begins with this.

        Raises:
            ConfigError: there is none, or more than one.
        """
        held = self.antigens().held
        matching = [each for each in held if each.id.startswith(text.lower()) and text]
        if len(matching) != 1:
            raise ConfigError(
                f"{text[:40]!r} is the id of {len(matching) or 'no'} antigens held; "
                "`hedgerow antigens list` shows them all"
            )
        return matching[0]

    def what_leaves(self, now_s: float) -> leaving.Leaving:
        """Exactly what the node sends; `now_s` is in seconds since 1970.

        Raises:
            StateError: the folder's state is of another model, or damaged.
        """
        learner, config = new_learner(), self.settings.mesh.peer_config()
        fingerprint = fingerprint_of(learner, config.fragments)
        arrays, small = self.snapshot.arrays, self.snapshot.small
        if small.get("fingerprint") != fingerprint.text:
            raise StateError(
                f"{self.path}: holds the state of another model ({small.get('fingerprint')}); use "
                "the settings and the release of its node"
            )
        known = tuple(Contact(PeerId(p), tuple(a)) for p, a in small["remembered"])
        use = self.settings.antigens.use
        norm, norm_flows = self._norm()
        return leaving.Leaving(
            peer=self.identity.peer,
            features=fingerprint.features,
            model=fingerprint.model,
            share=self.settings.antigens.share,
            shared=self._saved().share,
            use=use,
            numbers=learner.shared,
            numbers_all=learner.dim,
            frames=leaving.frames(
                config,
                fingerprint,
                arrays["peer.vector"],
                arrays["peer.ages"],
                self.settings.node.announce or self.settings.node.listen,
                known,
                self.held,
                use=use,
                share_tail=self.settings.detector.share_tail,
            ),
            share_tail=self.settings.detector.share_tail,
            tail=leaving.tail(self._watch().told),
            share_norm=self.settings.detector.scaling == "mesh",
            norm=norm,
            norm_flows=norm_flows,
            antigens=self._own(now_s),
            passed_on=sum(each.origin != self.identity.peer for each in self.held) if use else 0,
        )

    def _presenter(self, seed: bytes) -> Presenter:
        schema = fingerprint_of(new_learner(), self.settings.mesh.fragments).schema
        seal = Ed25519Seal(self.identity)
        return Presenter(self.settings.antigens, self.identity.peer, schema, seal, seed)

    def _watch(self) -> Watch:
        seed = samples_seed(self.identity)
        watch = new_watch(self.settings.detector.budget, seed, self.identity.peer)
        watch.restore(group_of(self.snapshot.arrays, "watch"))
        return watch

    def _norm(self) -> tuple[tuple[leaving.Column, ...], int]:
        """What others hold of this node's norm or, if they do not, would be told next."""
        for each in self.held:
            if each.is_norm and each.origin == self.identity.peer:
                return leaving.norm(each.description), each.evidence
        benign = self._watch().benign
        if len(benign) < NORM_ROWS_MIN:
            return (), len(benign)
        return leaving.norm(Norm.of(benign).pack()), len(benign)

    def _own(self, now_s: float) -> tuple[leaving.LeavingAntigen, ...]:
        """One for each family that this node has rows of, or has told of before."""
        seed, watch = samples_seed(self.identity), self._watch()
        rows = {each.family: each for each in watch.evidence()}
        mine = self.identity.peer
        told = {e.family: e for e in self.held if e.origin == mine and not e.is_norm}
        return tuple(
            self._told(told[family], rows.get(family))
            if family in told
            else self._possible(rows[family], seed, now_s, watch.scaler)
            for family in sorted({*rows, *told})
        )

    def _told(self, one: Antigen, evidence: Evidence | None) -> leaving.LeavingAntigen:
        settings = self.settings.antigens
        reason = "" if settings.share else "sharing is off: it is taken back when the node starts"
        return leaving.LeavingAntigen(
            one.family,
            "presented" if settings.use else "not presented",
            reason if settings.use else "antigens.use = false: it is neither sent nor taken back",
            0 if evidence is None else len(evidence.rows),
            one.evidence,
            one.created_s,
            one.expires_s,
            leaving.size_of(one),
            leaving.components(one.description),
        )

    def _possible(
        self, evidence: Evidence, seed: bytes, now_s: float, scaler: Scaler | None
    ) -> leaving.LeavingAntigen:
        settings, count = self.settings.antigens, len(evidence.rows)
        if count < settings.evidence_min:
            reason = f"{count} of the {settings.evidence_min} rows without which nothing leaves"
            return leaving.LeavingAntigen(
                evidence.family, "not presented", reason, count, 0, None, None, 0, ()
            )
        text, life_s = described(evidence, seed).pack(), settings.life_us // 1_000_000
        now = int(now_s)
        one = Antigen(
            self.identity.peer,
            evidence.family,
            now,
            count,
            now,
            now + life_s,
            text,
            bytes(SIGNATURE_BYTES),
        )
        if not settings.share:
            reason = "antigens.share = false; with true, this would leave"
        elif self._presenter(seed).due([evidence], self.held, now_s, scaler):
            reason = "it leaves after the next training"
        else:
            reason = f"{ORIGINS_ENOUGH} other peers describe the same already"
        return leaving.LeavingAntigen(
            evidence.family,
            "not presented",
            reason,
            count,
            count,
            None,
            None,
            leaving.size_of(one),
            leaving.components(text),
        )


def _seen(each: AntigenStatus, approved: set[str]) -> AntigenStatus:
    if each.state == "quarantined" and each.id in approved:
        return replace(each, state="approved", reason="used from the next training on")
    return each
