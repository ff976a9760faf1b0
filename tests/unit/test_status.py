"""The status socket: private, one document a client, stale ones replaced, clear errors."""

import io
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from click.testing import CliRunner
from rich.console import Console

from gossip.errors import StateError
from node.cli import cli
from node.status import service
from node.status.document import (
    AlertsStatus,
    AlertStatus,
    AntigensStatus,
    AntigenStatus,
    DetectorStatus,
    MeshStatus,
    PeerStatus,
    SensorStatus,
    Status,
    parse,
)
from node.status.service import fetch
from node.status.view import PEERS_LISTED, antigens, bytes_text, duration_text, render

FULL = Status(
    name="ward 3",
    peer="12D3KooWself",
    pid=4711,
    software="0.1.0",
    state="running",
    uptime_s=93_784.0,
    addresses=("/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWself",),
    mesh=MeshStatus(
        peers=(PeerStatus("12D3KooWother", ("/ip4/192.0.2.2/tcp/4001",), connected=True),),
        cycle=1234,
        ages=(600, 700),
        exchange="age",
        bytes_in=1_500_000,
        bytes_out=999,
        merges=77,
        refusals={"fingerprint": 2},
        shed={"model": 5},
    ),
    sensors=(SensorStatus("suricata", "/var/log/eve.json", 12_345, 6, 1_795_407_081.0),),
    detector=DetectorStatus(
        state="watching",
        model="1234-abcdef",
        calibration_flows=2_100,
        calibration_flows_needed=2_000,
        budget=0.005,
        threshold=3.25,
        false_alarm_share=0.0061,
        false_alarm_share_low=0.0042,
        false_alarm_share_high=0.0088,
    ),
    alerts=AlertsStatus(
        written=3,
        suppressed=9,
        incidents_open=1,
        last=(AlertStatus("i1", "scan", "198.18.1.66", 1_000, 9.5, 1e9, 1e9 + 60),),
    ),
)


def with_server(path: Path, check: Callable[[], Awaitable[object]]) -> None:
    async def main() -> None:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                await nursery.start(service.serve, path, lambda: FULL)
                await check()
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_fetch_gets_the_document(tmp_path: Path) -> None:
    path = tmp_path / "private" / "status.sock"

    async def check() -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        for _ in range(3):
            document = await trio.to_thread.run_sync(fetch, path)
            assert parse(document) == FULL
            assert document == json.loads(json.dumps(asdict(FULL)))

    with_server(path, check)
    assert not path.exists()


def test_silent_clients_do_not_keep_others_waiting(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def check() -> None:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(service.CLIENTS_MAX)]
        for client in silent:
            client.connect(str(path))
        assert parse(await trio.to_thread.run_sync(fetch, path)) == FULL
        for client in silent:
            client.close()
        assert parse(await trio.to_thread.run_sync(fetch, path)) == FULL

    with_server(path, check)


def test_a_dead_nodes_socket_is_replaced_and_a_live_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def check() -> None:
        with pytest.raises(StateError, match="a running node answers there"):
            await service.serve(path, lambda: FULL)
        assert parse(await trio.to_thread.run_sync(fetch, path)) == FULL

    with_server(path, check)


def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name, expected in [
        ("file", "is not a socket"),
        ("link", "is not a socket"),
        ("file/below", r"cannot be made a socket \(Not a dir|File exists"),
        ("x" * 120, "cannot be made a socket"),
    ]:
        with pytest.raises(StateError, match=expected):
            trio.run(service.serve, tmp_path / name, lambda: FULL)
    assert (tmp_path / "file").read_text() == "mine"


def test_fetch_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(StateError, match="no node is running there"):
        fetch(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(StateError, match="no node is running there"):
            fetch(path)
        server.listen(1)
        with pytest.raises(StateError, match="did not answer within"):
            fetch(path, 0.01)
    with pytest.raises(StateError, match="cannot be asked"):
        fetch(Path("/" + "x" * 200))


@pytest.mark.parametrize("answer", [b"", b"[]", b"{", b"\xff\xfe", b'"' + b"x" * 2**21])
def test_fetch_distrusts_the_answer(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "s"

    async def main() -> None:
        listener = trio.socket.socket(socket.AF_UNIX)
        await listener.bind(str(path))
        listener.listen(1)

        async def reply() -> None:
            connection, _ = await listener.accept()
            try:
                await trio.SocketStream(connection).send_all(answer)
            except trio.BrokenResourceError:
                pass
            finally:
                connection.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(reply)
            with pytest.raises(StateError, match="no status document"):
                await trio.to_thread.run_sync(fetch, path)
        listener.close()

    trio.run(main)


def test_another_users_socket(tmp_path: Path) -> None:
    path, me = tmp_path / "s", os.geteuid()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o000)
        if me == 0:  # root may open every socket, so become nobody
            os.seteuid(65_534)
        try:
            with pytest.raises(StateError, match="belongs to another user"):
                fetch(path)
        finally:
            os.seteuid(me)


def test_a_client_that_does_not_read_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SERVE_S_MAX", 0.02)
    monkeypatch.setattr(service, "CLIENTS_MAX", 1)
    path = tmp_path / "s"
    documents = [FULL, replace(FULL, detail="x" * 2**22)]

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(service.serve, path, documents.pop)
            with socket.socket(socket.AF_UNIX) as stuck:
                stuck.connect(str(path))
                stuck.sendall(b"\n")
                # The only place is taken; this one's turn comes when the other's time is up.
                assert parse(await trio.to_thread.run_sync(fetch, path)) == FULL
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_parse_checks_types() -> None:
    document = json.loads(json.dumps(asdict(FULL)))
    assert parse(document | {"added_later": 1}) == FULL
    with pytest.raises(StateError, match=r"Expected `int`, got `str` - at `\$.mesh.cycle`"):
        parse(document | {"mesh": {"cycle": "x"}})
    with pytest.raises(StateError, match="missing required field `name`"):
        parse({})


def shown(document: Status) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(render(document), soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_what_matters() -> None:
    text = shown(FULL)
    for part in [
        *("ward 3", "running", "1 d 2 h", "1 known, 1 connected", "12D3KooWother", "1,234"),
        *("600 to 700 updates", "1.5 MB in, 999 B out", "fingerprint 2", "model 5"),
        *("2,100 of 2,000 flows", "0.61 % (95 %: 0.42 % to 0.88 %)", "12,345", "198.18.1.66"),
        *("3 written, 9 over the rate limit", "3.25 for a budget of 0.50 %"),
    ]:
        assert part in text


LONG = replace(
    FULL,
    peer="12D3KooW" + "x" * 44,
    addresses=(
        "/ip6/2001:db8:1111:2222:3333:4444:5555:6666/tcp/40001",
        "/ip4/192.0.2.1/tcp/4001",
    ),
    sensors=(replace(FULL.sensors[0], path="/var/log/" + "deep/" * 30 + "eve.json"),),
)


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_what_is_copied_is_never_broken_and_lines_end_without_blanks(
    tmp_path: Path, columns: str
) -> None:
    async def main() -> str:
        async with trio.open_nursery() as nursery:
            await nursery.start(service.serve, tmp_path / "s", lambda: LONG)
            ask = partial(CliRunner().invoke, cli, ["status", "--socket", str(tmp_path / "s")])
            done = await trio.to_thread.run_sync(partial(ask, env={"COLUMNS": columns}))
            nursery.cancel_scope.cancel()
        assert done.exit_code == 0
        return done.output

    piped = trio.run(main)
    assert piped == shown(LONG)
    lines = piped.splitlines()
    for address in LONG.addresses:
        assert sum(line.endswith(f" {address}/p2p/{LONG.peer}") for line in lines) == 1
    assert sum(line.endswith(f" {LONG.sensors[0].path}") for line in lines) == 1
    assert [line for line in lines if line != line.rstrip()] == []
    assert "" not in lines


def test_the_peers_listed_have_a_line_each() -> None:
    peers = tuple(PeerStatus(f"peer{i}", ("/ip4/192.0.2.2/tcp/1",)) for i in range(15))
    lines = shown(replace(FULL, mesh=replace(FULL.mesh, peers=peers))).splitlines()
    listed = [line for line in lines if "/ip4/192.0.2.2/tcp/1" in line]
    assert len(listed) == PEERS_LISTED
    assert lines[lines.index(listed[-1]) + 1].strip() == f"and {15 - PEERS_LISTED} more"


def test_the_table_of_a_node_that_just_started_and_of_a_hostile_name() -> None:
    text = shown(Status("[red]x\x1b[2J", "p", 1, "0", "starting", 0.2, detail="waiting"))
    assert "[red]x\\x1b[2J" in text
    assert "0 of 0 flows" in text
    assert "starting  waiting" in text


def test_antigens_are_shown_with_what_was_decided_of_them_and_why() -> None:
    day = 86_400
    held = (
        AntigenStatus("a" * 16, "smurf", "12D3KooWx", 512, 10 * day, 17 * day, "used", 0.001),
        AntigenStatus(
            "b" * 16, "dos", "12D3KooWy", 10, 11 * day, 12 * day, "quarantined", 0.5, "costs\x1b[2J"
        ),
        AntigenStatus("c" * 16, "scan", "12D3KooWself", 40, 11 * day, 18 * day, "own"),
    )
    with_some = replace(FULL, antigens=AntigensStatus(share=True, held=held))
    assert parse(msgspec.to_builtins(with_some)) == with_some
    lines = shown(with_some).splitlines()
    (title,) = [line for line in lines if line.startswith("Antigens")]
    assert title == "Antigens: 3 held (used 1, quarantined 1, own 1); own are shared"
    text = antigens(with_some.antigens, 12.5 * day).plain
    for part in ("a" * 16, "0.10 %", "50.00 %", "2 d 12 h", "1970-01-18", "512", "costs\\x1b[2J"):
        assert part in text
    assert "Antigens: 0 held (none); own are not shared" in shown(FULL)
    unused = replace(FULL, antigens=AntigensStatus(use=False))
    assert "Antigens: 0 held (none); not used" in shown(unused)


def test_units() -> None:
    assert [bytes_text(n) for n in (0, 999, 1_000, 10**9, 10**13)] == [
        *("0 B", "999 B", "1.0 kB", "1.0 GB", "10.0 TB"),
    ]
    assert [duration_text(n) for n in (0, 59.9, 61, 3_600, 90_000)] == [
        *("0 s", "59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h"),
    ]
