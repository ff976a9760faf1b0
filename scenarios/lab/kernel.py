"""The few calls of Linux that Python 3.11 has no name for: namespaces, and dying with a parent."""

import ctypes
import os
import signal
from functools import cache
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(returned: int, what: str) -> None:
    if returned:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def become_root_of_own() -> None:
    """Enter a new user namespace, in which we are root over what we make there and nothing else.

    Raises:
        OSError: this machine does not let its users do that.
    """
    user, group = os.geteuid(), os.getegid()
    _checked(_libc().unshare(_CLONE_NEWUSER), "user namespace")
    own = Path("/proc/self")
    own.joinpath("setgroups").write_text("deny")
    own.joinpath("uid_map").write_text(f"0 {user} 1")
    own.joinpath("gid_map").write_text(f"0 {group} 1")


def new_network() -> int:
    """Enter a new network namespace; gives a file descriptor of it.

    Raises:
        OSError: we may not.
    """
    _checked(_libc().unshare(_CLONE_NEWNET), "network namespace")
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_network(descriptor: int) -> None:
    """Enter the network namespace that `new_network` made.

    Raises:
        OSError: it is none, or not ours.
    """
    _checked(_libc().setns(descriptor, _CLONE_NEWNET), "network namespace")


def die_with_parent() -> None:
    """Be killed by the kernel as soon as our parent ends, however it ends.

    A parent that had ended before we asked shows at the other end of our channel.
    """
    _checked(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
