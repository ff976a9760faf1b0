"""What systemd is told, by a socket of ours in its place."""

import socket
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.service.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path: Path):
    address = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        listener.setblocking(False)
        yield listener, address


def test_a_life_in_datagrams(manager) -> None:
    listener, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready("listens on\nREADY=0")
    notifier.reloading(12_345)
    notifier.status("learning")
    notifier.stopping()
    assert [listener.recv(999).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=listens on READY=0",
        "RELOADING=1\nMONOTONIC_USEC=12345",
        "STATUS=learning",
        "STOPPING=1",
    ]


def test_a_watchdog_is_fed_at_half_its_time(manager) -> None:
    listener, address = manager
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "7"}

    async def main() -> None:
        with trio.move_on_after(9):
            await Notifier(environment, pid=7).keep_alive()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    for _ in range(5):
        assert listener.recv(99) == b"WATCHDOG=1"
    with pytest.raises(BlockingIOError):
        listener.recv(99)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "8"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "0"},
    ],
)
def test_without_a_watchdog_nothing_is_fed(environment) -> None:
    notifier = Notifier(environment, pid=7)
    assert notifier.watchdog_s is None
    trio.run(notifier.keep_alive)


def test_without_a_manager_or_with_a_deaf_one_the_node_goes_on(tmp_path: Path) -> None:
    Notifier({}).ready("")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("")
