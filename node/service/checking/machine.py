"""What a node needs of its machine: folders, files, room, a clock."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from pwd import getpwuid
from stat import S_IMODE, S_ISSOCK

from gossip.errors import LocalError
from node.config.settings import Settings
from node.p2p.identity import load_identity
from node.p2p.psk import load_psk
from node.service.checking.finding import Finding, error, ok, said, warning
from node.service.clock import EARLIEST_S
from node.state.saving import room
from node.state.store import LOCK

ROOM_TIMES = 4  # our choice: a warning while there is time to act
BACK_S = 3_600.0
"""A file of the state folder from so far in the future tells of a clock that was set back."""


def user() -> str:
    """Who is asking."""
    try:
        return getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def running_pid(folder: Path) -> str:
    """The process id of the node that uses a state folder; empty where none does."""
    try:
        with (folder / LOCK).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read(20).decode(errors="replace").strip() or "unknown"
    except OSError:
        pass
    return ""


def check_machine(settings: Settings, now_s: float | None = None) -> Iterator[Finding]:
    """Everything that can be looked at without the network; changes nothing.

    Args:
        settings: complete.
        now_s: the wall clock, s since 1970; `time.time()` if None.
    """
    state = settings.node.state_dir
    now_s = time.time() if now_s is None else now_s
    yield _reached("node.state_dir", _state_folder, state)
    yield _identity(state)
    if settings.node.psk_file is not None:
        yield _psk(settings.node.psk_file)
    yield _reached("alerts.path", _alerts, settings.alerts_path)
    yield _reached("status.socket", _socket, settings.status_socket)
    yield _reached("disk", _disk, state)
    yield _clock(state, now_s)


def _reached(what: str, look: Callable[[Path], Finding], path: Path) -> Finding:
    """A finding also where a folder on the way lets this user not even look."""
    try:
        return look(path)
    except OSError as fault:
        return error(
            what,
            f"{path} is out of reach for {user()} ({fault.strerror})",
            "run as the user that runs the node, or open the folders on the way (chmod o+x)",
        )


def _state_folder(state: Path) -> Finding:
    what = "node.state_dir"
    if not state.exists():
        return _to_be_made(what, state)
    if not state.is_dir():
        return error(what, f"{state} is not a folder", "name another, or move it away")
    return _state_there(what, state)


def _state_there(what: str, state: Path) -> Finding:
    about = state.stat()
    if about.st_uid != os.geteuid():
        owner = _name(about.st_uid)
        return error(
            what,
            f"{state} belongs to {owner}, and this is {user()}",
            f"check and start as that user (sudo -u {owner} …), or run chown -R {user()} {state}",
        )
    if not os.access(state, os.R_OK | os.W_OK | os.X_OK):
        return error(what, f"{state} cannot be written", f"run chmod 700 {state}")
    if S_IMODE(about.st_mode) & 0o077 and any(state.iterdir()) and not (state / LOCK).exists():
        return error(
            what,
            f"{state} is open to others and holds what is not a node's",
            "name an empty folder, or run chmod 700 if it is meant",
        )
    if pid := running_pid(state):
        return ok(what, f"{state}, in use by the node with pid {pid}")
    return ok(what, str(state))


def _identity(state: Path) -> Finding:
    try:
        return ok("identity", load_identity(state / "identity").peer)
    except FileNotFoundError:
        return ok("identity", "made at the first start")
    except LocalError as fault:
        return said("identity", fault)


def _psk(path: Path) -> Finding:
    try:
        load_psk(path)
    except LocalError as fault:
        return said("node.psk_file", fault)
    return ok("node.psk_file", f"{path} holds a key")


def _alerts(path: Path) -> Finding:
    what = "alerts.path"
    if path.is_dir():
        return error(what, f"{path} is a folder", "name a file in it")
    if path.exists():
        if not os.access(path, os.W_OK):
            return error(what, f"{path} cannot be written by {user()}", _own(path))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return warning(
                what,
                f"no new file can be made in {path.parent}",
                "after a rotation that renames the log, alerts would wait in memory; let "
                f"{user()} write there, or rotate with copytruncate",
            )
        return ok(what, str(path))
    return _place(what, path)


def _socket(path: Path) -> Finding:
    what = "status.socket"
    if path.exists() and not S_ISSOCK(path.lstat().st_mode):
        return error(what, f"{path} is not a socket", "move it away, or name another")
    return _place(what, path)


def _place(what: str, path: Path) -> Finding:
    """Whether a file can be made there."""
    if path.parent.is_dir():
        if os.access(path.parent, os.W_OK | os.X_OK):
            return ok(what, f"{path}, made at the start")
        return error(what, f"{path.parent} cannot be written by {user()}", _own(path.parent))
    return _to_be_made(what, path.parent)


def _to_be_made(what: str, folder: Path) -> Finding:
    above = next((each for each in folder.parents if os.access(each, os.F_OK)), Path("/"))
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return ok(what, f"{folder}, made at the first start")
    return error(
        what,
        f"{folder} is not there, and {user()} cannot make it in {above}",
        f"run install -d -o {user()} -m 700 {folder} as root",
    )


def _disk(state: Path) -> Finding:
    folder = next(each for each in (state, *state.parents) if os.access(each, os.X_OK))
    try:
        free, reserve = room(folder)
    except OSError as fault:
        return error("disk", f"{folder} cannot be asked ({fault.strerror})", "mend the disk")
    text = f"{free / 2**20:,.0f} MiB free for {folder}"
    if free < reserve:
        return error(
            "disk",
            f"{text}; the last {reserve / 2**20:.0f} MiB are kept for alerts",
            "free some space: until then nothing that is learnt is saved",
        )
    if free < ROOM_TIMES * reserve:
        return warning("disk", text, "free some space before it is full")
    return ok("disk", text)


def _clock(state: Path, now_s: float) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now_s))
    cure = "set it (timedatectl set-ntp true); antigens are dated by it"
    if now_s < EARLIEST_S:
        return error("clock", f"{shown}, which is long past", cure)
    try:
        newest_s = max((each.stat().st_mtime for each in state.iterdir()), default=0.0)
    except OSError:
        newest_s = 0.0
    if newest_s > now_s + BACK_S:
        return warning("clock", f"{shown}, before what the state folder was written at", cure)
    return ok("clock", shown)


def _own(path: Path) -> str:
    return f"run chown {user()} {path}, or name another path"


def _name(number: int) -> str:
    try:
        return getpwuid(number).pw_name
    except KeyError:
        return str(number)
