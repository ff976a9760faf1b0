"""A node's part in antigens without the node, and antigens by others."""

from pathlib import Path

import numpy as np

from gossip.antigens import Antigen, signed
from gossip.features import SCHEMA
from gossip.learning.mixture import Mixture
from gossip.learning.rehearsal import Rehearsal
from node.antigens.immune import Immune
from node.antigens.presenting import Presenter
from node.config.settings import Settings
from node.detection import fingerprint_of, new_learner
from node.p2p.identity import Identity, new_identity
from node.p2p.seal import Ed25519Seal

ME = Identity(bytes(range(32)))
PRINT = fingerprint_of(new_learner(), 4)


def immune(settings: Settings, folder: Path, identity: Identity = ME) -> Immune:
    """As the gateway makes it."""
    about, peer = settings.antigens, identity.peer
    presenter = Presenter(about, peer, PRINT.schema, Ed25519Seal(identity), b"secret")
    rehearsal = Rehearsal(len(SCHEMA), b"secret", peer, settings.detector.budget)
    return Immune(about, peer, folder, presenter, rehearsal, b"secret")


def by_another(family: str, rows: np.ndarray, created_s: int, life_s: int = 86_400) -> Antigen:
    """Signed by somebody new."""
    identity = new_identity()
    text = Mixture.fit(rows, np.random.default_rng(1)).pack()
    one = Antigen(identity.peer, family, 1, len(rows), created_s, created_s + life_s, text)
    return signed(one, PRINT.schema, Ed25519Seal(identity))
