"""Going back to an earlier generation of the model, as a new generation.

What goes back is what was learnt and what judges it: the vector and its ages, the part that stays
at home, momentum, the model that serves with its scaler and calibration, the guard's counts and its
last good model, what the mesh told and was told of tails, and who contributed to it all. What stays
is what happened and what was seen: the cycle, sensor positions, incidents, rows of flows and their
labels, antigens held, remembered peers. So no flow is read twice, no alert is forgotten, and
learning goes on from one's own samples. Ages go back with the vector, since an age says what that
vector has absorbed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gossip.contacts import PeerId
from gossip.errors import StateError
from node.state import exclusions, generations
from node.state.exclusions import Exclusion
from node.state.generations import Generation
from node.state.ledger import Ledger
from node.state.ledger_reading import entries, fallen, lineage
from node.state.snapshot import Snapshot
from node.state.store import Store

_GROUPS = ("trainer.", "peer.", "watch.serving.", "watch.guard.")
_ALONE = ("watch.told", "watch.mesh")
_SMALL = ("contributors",)
BACK_TO = "back_to"
"""In the small state of a generation that is a way back: the number that it went back to."""


@dataclass(frozen=True, slots=True)
class Info:
    """A generation, for people.

    Args:
        number: of it.
        cycle: in which it was saved.
        at_s: when, seconds since 1970; where it does not tell, when its file was written.
        bytes: of the file.
        flows: seen until then, in this life and those before; None where it does not tell, as all
            that follow.
        state: "learning" or "watching".
        loss: of the last training.
        alarms: held-out flows that alarmed.
        held: of so many.
        back_to: number of the generation whose model this one took up; None for most.
        sound: whether it can be read.
    """

    number: int
    cycle: int
    at_s: float
    bytes: int
    flows: int | None = None
    state: str = ""
    loss: float | None = None
    alarms: int | None = None
    held: int | None = None
    back_to: int | None = None
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Back:
    """What a way back did.

    Args:
        source: number of the generation whose model is the present one now.
        source_cycle: its cycle.
        left: number of the one that was; it is kept.
        new: number of the one that is.
        fell: merges that are no longer part of the model, as far as the ledger tells.
        fell_of: of these, those of the peers excluded.
        learning: whether the model taken up had no threshold yet.
    """

    source: int
    source_cycle: int
    left: int
    new: int
    fell: int = 0
    fell_of: int = 0
    learning: bool = False


def infos(folder: Path) -> list[Info]:
    """All generations in a state folder, newest first; its node may run.

    Raises:
        StateError: the folder cannot be read, or a generation is of a newer format.
    """
    try:
        found = list(generations.listed(folder))
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be read ({error.strerror}); name the state folder of a node with "
            "--state-dir or --config"
        ) from error
    listed = (_info(folder, each) for each in found)
    return [each for each in listed if each is not None]


def _info(folder: Path, generation: Generation) -> Info | None:
    try:
        about = (folder / generation.name).stat()
    except FileNotFoundError:  # a running node removes those it has outlived
        return None
    snapshot = generations.read(folder, generation)
    if snapshot is None:
        return Info(generation.number, 0, about.st_mtime, about.st_size, sound=False)
    made = snapshot.small.get("made", {})
    return Info(
        generation.number,
        snapshot.cycle,
        _number(made.get("at_s")) or about.st_mtime,
        about.st_size,
        None if (flows := _number(made.get("flows"))) is None else int(flows),
        str(made.get("state", "")),
        _number(made.get("loss")),
        None if (alarms := _number(made.get("alarms"))) is None else int(alarms),
        None if (held := _number(made.get("held"))) is None else int(held),
        None if (back := _number(snapshot.small.get(BACK_TO))) is None else int(back),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def with_model_of(present: Snapshot, source: Snapshot, number: int) -> Snapshot:
    """The present state with another one's model; see the top of this page.

    Args:
        present: as it is.
        source: has the model.
        number: of the source's generation.

    Raises:
        StateError: they are of models of different shape.
    """
    if source.small.get("fingerprint") != present.small.get("fingerprint"):
        raise StateError(
            f"generation {number} is of another model ({source.small.get('fingerprint')}); name "
            "one that was made since; `hedgerow generations` shows them"
        )
    stays = {name: array for name, array in present.arrays.items() if not _is_model(name)}
    goes = {name: array for name, array in source.arrays.items() if _is_model(name)}
    made = source.small.get("made", {}) | {"at_s": present.small.get("made", {}).get("at_s")}
    small = {name: value for name, value in present.small.items() if name not in _SMALL}
    small |= {name: source.small[name] for name in _SMALL if name in source.small}
    small |= {"made": made, BACK_TO: number}
    return replace(present, arrays=stays | goes, small=small)


def _is_model(name: str) -> bool:
    return name.startswith(_GROUPS) or name in _ALONE


def go_back(
    store: Store,
    present: Snapshot,
    source: Generation,
    ledger: Ledger | None,
    what: str = "rollback",
    peers: Iterable[PeerId] = (),
) -> tuple[Back, Snapshot]:
    """Make an earlier generation's model the present one. The present generation is kept, too.

    Args:
        store: open.
        present: its newest snapshot.
        source: one of its generations.
        ledger: says so, if there is one.
        what: kind of the ledger's entry.
        peers: excluded, for the ledger.

    Raises:
        StateError: the source is damaged or of another model, or the disk refuses.
    """
    old = generations.read(store.folder, source)
    if old is None:
        raise StateError(
            f"generation {source.number} is damaged; name another: `hedgerow generations` shows "
            "them"
        )
    taken_up = with_model_of(present, old, source.number)
    left, who = store.generations[0], list(peers)
    fell = fell_of = 0
    if ledger is not None:
        ledger.flush()
        kept = int(old.small.get("ledger", 0))
        fell, fell_of = _fallen(store.folder, kept, who)
        about: dict[str, Any] = {"peers": who} if who else {}
        about |= {"to": source.number, "to_cycle": old.cycle, "left": left.number}
        about |= {"cycle": present.cycle, "fell": fell, "kept": kept}
        ledger.note(what, **about)
        taken_up.small["ledger"] = ledger.number
        ledger.flush()
    store.pin(left.number)
    new = store.save(taken_up, forget=False)
    learning = "watch.serving.vector" not in old.arrays
    back = Back(source.number, old.cycle, left.number, new.number, fell, fell_of, learning=learning)
    return back, taken_up


def _fallen(folder: Path, kept: int, peers: list[PeerId]) -> tuple[int, int]:
    """Merges that are part of the model now and were not after entry `kept`; and whose they are."""
    now = lineage(entries(folder))
    then = lineage(each for each in entries(folder) if each.number <= kept)
    gone = fallen(entries(folder), then) - fallen(entries(folder), now)
    of = sum(e.number in gone and e.about.get("peer") in peers for e in entries(folder))
    return len(gone), of


def rebuild(
    store: Store, present: Snapshot, ledger: Ledger | None, excluded: Iterable[Exclusion]
) -> tuple[Back, Snapshot] | None:
    """Go back to before the parts of excluded peers, where that is still to do.

    Returns:
        What was done and the new present; None where nothing was to do.

    Raises:
        StateError: no generation is old enough any more, or the disk refuses.
    """
    waiting = [each for each in excluded if each.upto_cycle is not None]
    if not waiting:
        return None
    upto = min(each.upto_cycle for each in waiting if each.upto_cycle is not None)
    for source in store.generations:
        old = generations.read(store.folder, source)
        if old is not None and old.cycle <= upto:
            if source == store.generations[0]:  # nothing came since
                exclusions.settle(store.folder)
                return None
            who = [each.peer for each in waiting]
            done = go_back(store, present, source, ledger, "exclude", who)
            exclusions.settle(store.folder)
            return done
    exclusions.settle(store.folder)
    store.warnings.append(
        f"{store.folder}: no generation of cycle {upto} or before is left, so the model stays as "
        "it is, with what excluded peers brought into it; move the generation files away to begin "
        "with an untrained one"
    )
    return None
