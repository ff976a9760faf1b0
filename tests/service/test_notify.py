"""What systemd is told, by a socket of ours in its place."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.service.notify import Notifier
from node.status import document, service
from tests.node.processes import LOOPBACK, PATIENCE_S, ROOT


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


def test_a_service_from_start_to_end(tmp_path: Path) -> None:
    settings, state = tmp_path / "gateway.toml", tmp_path / "state"
    text = f'[node]\nstate_dir = "{state}"\nlisten = ["{LOOPBACK}"]\n'
    settings.write_text(text)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        node = subprocess.Popen(
            [sys.executable, "-m", "node", "up", "--config", str(settings)],
            env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert manager.recv(999).startswith(b"READY=1\nSTATUS=listens on /ip4/127.0.0.1/")
            settings.write_text(text + '[detector]\nbudget = "2 %"\n[mesh]\nfanout = 2\n')
            node.send_signal(signal.SIGHUP)
            assert manager.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(999) == b"READY=1\nSTATUS=settings reloaded"
            found = document.parse(service.fetch(state / "status.sock"))
            assert (found.detector.budget, found.service.restart_for) == (0.02, ("mesh.fanout",))
            settings.write_text("[detector")
            node.send_signal(signal.SIGHUP)
            assert manager.recv(999).startswith(b"RELOADING=1")
            assert manager.recv(999).startswith(b"READY=1\nSTATUS=settings not reloaded: ")
            node.send_signal(signal.SIGTERM)
            assert manager.recv(999) == b"STOPPING=1"
            assert node.wait(PATIENCE_S) == 0
        finally:
            node.kill()
            node.wait()
