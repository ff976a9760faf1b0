"""All that a run with antigens has beside one without."""

from collections.abc import Sequence
from dataclasses import dataclass

from gossip.antigens import EVIDENCE_MIN
from gossip.contacts import PeerId
from gossip.errors import ConfigError
from gossip.fingerprint import Fingerprint
from gossip.learning.mixture import components_max
from gossip.learning.norms import features_max
from scenarios.data.shards import Shards
from scenarios.immunity.evidence import Evidence
from scenarios.immunity.presenting import Presenter
from scenarios.immunity.rehearsing import Rehearsing
from scenarios.plan.antigens import rehearsed
from scenarios.plan.plan import Plan
from scenarios.world.training import Rows


@dataclass(frozen=True, slots=True)
class Immune:
    """Who tells of attacks, and who learns from that.

    Args:
        presenter: see there.
        rehearsing: see there.
    """

    presenter: Presenter
    rehearsing: Rehearsing


def immune(
    plan: Plan,
    shards: Shards,
    rows: Rows,
    names: Sequence[PeerId],
    vocabulary: Sequence[str],
    fingerprint: Fingerprint,
) -> Immune | None:
    """What a plan asks for; None where it asks for no antigens.

    Args:
        plan: see there.
        shards: every peer's data.
        rows: that peers train on.
        names: of the peers.
        vocabulary: every family that anybody may name, those of the data first.
        fingerprint: of the peers.

    Raises:
        ConfigError: rows have more features than an antigen can tell of, or a hostile peer has too
            few for one.
    """
    learning = plan.scenario.learning
    if not learning.antigens:
        return None
    if components_max(shards.features) < 1:
        raise ConfigError(
            f"{plan.where}: learning.antigens: no antigen has room for {shards.features} features"
        )
    if shards.scales is not None and shards.features > features_max():
        raise ConfigError(
            f"{plan.where}: data.scaling: no norm has room for {shards.features} features, only "
            f'for {features_max()}; write "own"'
        )
    evidence = Evidence(shards)
    for peer in plan.hostile:
        if len(evidence.own(peer).train) < EVIDENCE_MIN:
            raise ConfigError(
                f"{plan.where}: mesh.hostile: peer {peer} has fewer than {EVIDENCE_MIN} benign "
                f"rows to make antigens of; give it more, see data.rows"
            )
    seed, share = plan.seed_bytes, rehearsed(learning.batch, learning.rehearse)
    return Immune(
        Presenter(evidence, names, fingerprint, seed, plan.hostile, attacks=share > 0),
        Rehearsing(rows, evidence, names, vocabulary, share, learning.alarm_budget, seed),
    )
