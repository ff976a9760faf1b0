"""Commands to look back: generations, rollback, ledger, exclude."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gossip.errors import ConfigError, StateError
from node.config.flags import FILE, FOLDER, overridden

if TYPE_CHECKING:  # for the types only: --help must not wait for them
    from node.config.settings import Settings
    from node.p2p.identity import Identity
    from node.state.going_back import Back, Info
    from node.state.ledger_reading import Entry
    from node.state.since import Since
    from node.state.store import Store

_CONFIG = click.option("--config", type=FILE, help="The node's settings, to find its state folder.")
_STATE_DIR = click.option("--state-dir", type=FOLDER, help="The node's state folder.")
_JSON = click.option("--json", "as_json", is_flag=True, help="For programs.")


def _settings(config: Path | None, state_dir: Path | None) -> "Settings":
    from node.config.settings import Settings

    found = Settings.defaults() if config is None else Settings.load(config)
    return overridden(found, state_dir=state_dir)


def _identity(folder: Path) -> "Identity":
    from node.p2p.identity import load_identity

    try:
        return load_identity(folder / "identity")
    except FileNotFoundError as error:
        raise StateError(
            f"{folder}: holds no identity; name the state folder of a node with --state-dir or "
            "--config"
        ) from error


def _own(folder: Path) -> Path:
    """The folder, if its user asks: what another one writes there, its node could not read.

    Raises:
        ConfigError: it is another user's.
    """
    try:
        owner = folder.stat().st_uid
    except OSError as error:
        raise StateError(
            f"{folder}: cannot be looked at ({error.strerror}); name the state folder of a node "
            "with --state-dir or --config"
        ) from error
    if owner != os.geteuid():
        raise ConfigError(
            f"{folder}: belongs to another user, whose node could not read what you write there; "
            f"run this as that one: sudo -u '#{owner}' hedgerow …, or with systemd-run as "
            "docs/operate.md tells"
        )
    return folder


@contextmanager
def _stopped(settings: "Settings", identity: "Identity") -> Iterator[tuple["Store", Any]]:
    """The state folder of a node that does not run, and its ledger, which is signed at the end.

    Raises:
        InUseError: the node runs.
    """
    from node.p2p.seal import Ed25519Seal
    from node.state.ledger import Ledger
    from node.state.store import Store

    store = Store.open(settings.node.state_dir)
    try:
        present = store.load()
        noted = 0 if present is None else int(present.small.get("ledger", 0))
        ledger = None
        if settings.ledger.use:
            size = settings.ledger.size_max_bytes
            seal = Ed25519Seal(identity)
            ledger = Ledger(settings.node.state_dir, identity.peer, seal, size, noted)
        yield store, ledger
        if ledger is not None:
            ledger.checkpoint()
            if ledger.trouble:
                raise StateError(f"{ledger.trouble}, so what was done is not noted; all else holds")
    finally:
        store.close()


@click.command()
@_CONFIG
@_STATE_DIR
@_JSON
def generations(config: Path | None, state_dir: Path | None, as_json: bool) -> None:
    """List the generations of the model that are kept, newest first."""
    from node.state.going_back import infos
    from node.times import short_time

    found = infos(_settings(config, state_dir).node.state_dir)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    rows = [("number", "saved", "cycle", "flows", "loss", "false alarms", "size", "")]
    for place, each in enumerate(found):
        alarms = "—" if not each.held else f"{each.alarms} of {each.held:,}"
        said = ["current"] if place == 0 else []
        said += [f"back to {each.back_to}"] if each.back_to is not None else []
        said += ["learning"] if each.state == "learning" else []
        said += [] if each.sound else ["damaged"]
        rows.append(
            (
                str(each.number),
                short_time(each.at_s),
                f"{each.cycle:,}" if each.sound else "—",
                "—" if each.flows is None else f"{each.flows:,}",
                "—" if each.loss is None else f"{each.loss:.4f}",
                alarms,
                f"{each.bytes / 1e6:.1f} MB",
                ", ".join(said),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


@click.command()
@click.argument("generation", type=click.IntRange(min=1), required=False)
@_CONFIG
@_STATE_DIR
def rollback(generation: int | None, config: Path | None, state_dir: Path | None) -> None:
    """Make an earlier GENERATION of the model the current one; the node must be stopped.

    Model, scaler, calibration and guard go back. Sensor positions, incidents, samples, verdicts and
    antigens stay as they are. What is current now is kept, so this can be undone. Without
    GENERATION it goes back by state.spacing, an hour unless set; done again, one further.
    """
    from node.state.going_back import go_back, infos
    from node.state.store import InUseError

    settings = _settings(config, state_dir)
    folder = settings.node.state_dir
    identity = _identity(_own(folder))
    spacing = settings.state.keep(settings.mesh.cycle_us).spacing
    chosen = _chosen(infos(folder), generation, spacing)
    try:
        with _stopped(settings, identity) as (store, ledger):
            present = store.load()
            source = next((g for g in store.generations if g.number == chosen), None)
            if present is None or source is None:
                raise ConfigError(f"generation {chosen} is not kept any more; look again")
            back, _ = go_back(store, present, source, ledger)
    except InUseError as error:
        raise StateError(
            f"{folder}: its node runs; stop it, roll back, and start it again"
        ) from error
    click.echo(_done(back))


def _chosen(found: list["Info"], number: int | None, spacing: int) -> int:
    """The generation to go back to; `spacing` is in cycles.

    Raises:
        ConfigError: there is no such one.
    """
    if not found:
        raise ConfigError("no node has saved anything there yet, so there is nothing to go back to")
    able = {each.number: each for each in found[1:] if each.sound}
    if number is None:
        back, latest = found[0].back_to, found[0].cycle - spacing
        older = [n for n in able if (able[n].cycle <= latest if back is None else n < back)]
        if not older:
            raise ConfigError(
                "no generation is that much older than the current one; name one of "
                f"{', '.join(map(str, able)) or 'those to come'}"
            )
        return older[0]
    if number not in able:
        why = "is current" if number == found[0].number else "is not kept, or is damaged"
        raise ConfigError(
            f"generation {number} {why}; kept are {', '.join(map(str, able)) or 'no others'}"
        )
    return number


def _done(back: "Back") -> str:
    cycle, undo = back.source_cycle, f"`hedgerow rollback {back.left}`"
    lines = [
        f"the model is that of generation {back.source} (cycle {cycle}), as generation {back.new}",
        f"what it was until now is kept as generation {back.left}; {undo} undoes this",
    ]
    if back.fell:
        lines.append(f"{back.fell:,} merges fell away; `hedgerow ledger` marks them")
    if back.learning:
        lines.append("it had no threshold yet: the node learns, and alerts once it has one")
    return "\n".join(lines)


@click.command()
@click.option("--since", metavar="WHEN", help="From then on: a time, 6h, or cycle:1200.")
@click.option("--peer", metavar="PEER", help="Only what tells of this peer.")
@click.option("--verify", is_flag=True, help="Recompute all; name the first bad entry and fail.")
@_JSON
@_CONFIG
@_STATE_DIR
def ledger(
    since: str | None,
    peer: str | None,
    verify: bool,
    as_json: bool,
    config: Path | None,
    state_dir: Path | None,
) -> None:
    """Show what became part of this node's model, and when; the node may run.

    Merges that a rollback or an exclusion undid are marked. With --json, one entry a line.
    """
    from node.state import ledger_reading as reading
    from node.state.since import parse

    folder = _settings(config, state_dir).node.state_dir
    if verify:
        _verify(folder)
        return
    when = None if since is None else parse(since, time.time())
    if when is not None and when.kind == "generation":
        raise ConfigError("--since takes a time, a duration or a cycle here")
    found = _peer(peer) if peer else None
    fallen = reading.fallen(reading.entries(folder), reading.lineage(reading.entries(folder)))
    for entry in _wanted(reading.entries(folder), when, found):
        fell = entry.number in fallen
        if as_json:
            told = entry.about | ({"fell_away": True} if fell else {})
            click.echo(json.dumps(told, separators=(",", ":")))
        else:
            click.echo(_line(entry, fell=fell))


def _wanted(found: Iterator["Entry"], since: "Since | None", peer: str | None) -> Iterator["Entry"]:
    begun = since is None
    for entry in found:
        cycle = entry.about.get("cycle")
        if since is not None and not begun:
            begun = since.holds(entry.at_s, cycle if isinstance(cycle, int) else -1, 0)
        peers = entry.about.get("peers")
        about = [entry.about.get("peer"), *(peers if isinstance(peers, list) else [])]
        if begun and (peer is None or peer in about):
            yield entry


def _line(entry: "Entry", *, fell: bool) -> str:
    from node.logs import printable
    from node.times import short_time

    about = {k: v for k, v in entry.about.items() if k not in _SAID_ALREADY}
    if entry.what == "merge":
        weights = [w for w in about.pop("weights", []) if isinstance(w, int | float)]
        about = {"peer": about.get("peer"), "cycle": about.get("cycle")}
        about["weight"] = f"{sum(weights) / len(weights):.2f}" if weights else "mean of the cycle"
    told = "  ".join(f"{key} {_short(value)}" for key, value in about.items())
    mark = "  (fell away)" if fell else ""
    return printable(f"{entry.number:>8}  {short_time(entry.at_s)}  {entry.what:<18}  {told}{mark}")


_SAID_ALREADY = frozenset({"n", "at_s", "what", "before", "signature"})


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value[:8]))
    return str(value)[:120]


def _verify(folder: Path) -> None:
    from node.p2p.seal import Ed25519Seal
    from node.state import ledger_reading as reading
    from node.state.store import look

    identity = _identity(folder)
    try:
        noted = int(look(folder).small.get("ledger", 0))
    except StateError:  # damaged or none: the ledger speaks for itself
        noted = 0
    found = reading.verify(folder, identity.peer, Ed25519Seal(identity), noted)
    if found.bad:
        raise StateError(
            f"{folder}: the ledger is not as it was written. First bad entry: {found.bad}. What "
            f"is before it holds ({found.entries:,} entries)"
        )
    if not found.entries:
        raise ConfigError(
            f"{folder}: holds no ledger; is ledger.use = false in the node's settings?"
        )
    click.echo(
        f"{found.entries:,} entries, {found.first:,} to {found.last:,}, files: {found.files}: "
        f"each holds the hash of the one before; {found.checkpoints:,} signatures of "
        f"{identity.peer} hold, {found.unsigned:,} entries came after the last"
    )
    if found.missing:
        click.echo(f"{found.missing:,} entries are told to be missing")


def _peer(text: str) -> str:
    from node.addresses import parse_peer

    try:
        return parse_peer(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


@click.command()
@click.argument("peer", required=False)
@click.option(
    "--since",
    metavar="WHEN",
    help="Take the model back to before: a time, 6h, cycle:1200, generation:12, or first for its "
    "first merge.",
)
@click.option("--list", "list_", is_flag=True, help="Show who is excluded.")
@click.option("--lift", metavar="PEER", help="Let a peer in again.")
@_JSON
@_CONFIG
@_STATE_DIR
def exclude(
    peer: str | None,
    since: str | None,
    list_: bool,
    lift: str | None,
    as_json: bool,
    config: Path | None,
    state_dir: Path | None,
) -> None:
    """Keep PEER out, and take back what it brought into the model since WHEN.

    Its connections and frames are refused, its antigens are not learnt from. With --since, the
    model goes back to the newest generation before; samples of one's own stay, and learning goes
    on from them. A node that runs keeps the peer out from its next cycle on, and takes its model
    back when it is started again.
    """
    if sum((peer is not None, list_, lift is not None)) != 1:
        raise click.UsageError("give a PEER to exclude, or --list, or --lift PEER")
    settings = _settings(config, state_dir)
    if list_:
        _list_excluded(settings.node.state_dir, as_json=as_json)
    elif lift is not None:
        _lift(settings, _peer(lift))
    else:
        _exclude(settings, _peer(peer or ""), since)


def _list_excluded(folder: Path, *, as_json: bool) -> None:
    from node.state import exclusions
    from node.times import short_time

    found = exclusions.load(folder)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    if not found:
        click.echo("nobody is excluded")
    for each in found:
        since = f", since {each.since}" if each.since else ""
        waits = "" if each.upto_cycle is None else "; the model goes back at the next start"
        click.echo(f"{each.peer}  excluded {short_time(each.at_s)}{since}{waits}")


def _lift(settings: "Settings", peer: Any) -> None:
    from node.state import exclusions
    from node.state.store import InUseError

    folder = settings.node.state_dir
    identity = _identity(_own(folder))
    if not exclusions.lift(folder, peer):
        raise ConfigError(f"{peer} is not excluded; `hedgerow exclude --list` shows who is")
    try:
        with _stopped(settings, identity) as (_, ledger):
            if ledger is not None:
                ledger.note("lift", peer=peer)
    except InUseError:
        pass  # the node notes it
    click.echo(f"{peer}: may come in again; the model stays as it is")


def _exclude(settings: "Settings", peer: Any, since: str | None) -> None:
    from node.state import exclusions
    from node.state.going_back import infos, rebuild
    from node.state.since import newest_before
    from node.state.store import InUseError

    folder = settings.node.state_dir
    identity = _identity(_own(folder))
    if peer == identity.peer:
        raise ConfigError(f"{peer} is this node itself")
    when = None if since is None else _moment(folder, peer, since)
    upto = None if when is None else newest_before(when, infos(folder)).cycle
    exclusions.exclude(folder, exclusions.Exclusion(peer, time.time(), since or "", upto))
    back = None
    try:
        with _stopped(settings, identity) as (store, ledger):
            if ledger is not None:
                ledger.note("deny", peer=peer, since=since or "")
            present = store.load()
            if present is not None:
                back = rebuild(store, present, ledger, exclusions.load(folder))
    except InUseError:
        click.echo(f"{peer}: excluded; the running node keeps it out from its next cycle on")
        if upto is not None:
            click.echo(
                f"restart the node: its model goes back to that of cycle {upto} or before then"
            )
        return
    click.echo(f"{peer}: excluded")
    if back is not None:
        click.echo(_done(back[0]))
        click.echo(f"{back[0].fell_of:,} of these merges were its own")
    elif when is None:
        click.echo("the model stays as it is; --since WHEN takes it back to before the peer")


def _moment(folder: Path, peer: str, text: str) -> "Since":
    from node.state import ledger_reading as reading
    from node.state.since import Since, parse

    if text != "first":
        return parse(text, time.time())
    for entry in reading.entries(folder):
        if entry.what == "merge" and entry.about.get("peer") == peer:
            return Since("cycle", float(entry.about.get("cycle", 0)), "its first merge")
    raise ConfigError(f"the ledger tells of no merge with {peer}; name a moment, or leave it out")
