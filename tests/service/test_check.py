"""`hedgerow check`: each thing that can be wrong is found, and said with a cure."""

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import trio
from click.testing import CliRunner

from node.addresses import parse_contact
from node.cli import service
from node.config.settings import Settings
from node.p2p.host import open_transport
from node.p2p.identity import new_identity
from node.p2p.probing import Probe, probe
from node.p2p.transport import TransportSettings
from node.service.checking.all import check_settings
from node.service.checking.finding import Finding
from node.state.store import Store
from tests.node.live import LOOPBACK
from tests.node.traffic import benign, write

PEER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"


def settings(folder: Path, **overrides) -> Settings:
    values = {"node.state_dir": str(folder / "state"), "node.listen": [LOOPBACK]}
    values |= {name.replace("__", "."): value for name, value in overrides.items()}
    return Settings.defaults().with_overrides(values)


def findings(folder: Path, **overrides) -> dict[str, Finding]:
    return {each.what: each for each in check_settings(settings(folder, **overrides), offline=True)}


def troubles(folder: Path, **overrides) -> dict[str, tuple[str, str]]:
    return {
        what: (each.level, each.found)
        for what, each in findings(folder, **overrides).items()
        if each.level != "ok"
    }


def sensor(path: Path, **more: object) -> list[dict[str, object]]:
    return [{"path": str(path), **more}]


def test_all_is_well(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    write(log, benign(20))
    found = findings(tmp_path, sensor=sensor(log))
    assert {each.level for each in found.values()} == {"ok"}
    assert found[f"sensor {log}"].found == "20 flows in the first 20 lines"
    assert not (tmp_path / "state").exists(), "nothing is changed"


def test_sensors_of_no_use(tmp_path: Path) -> None:
    write(tmp_path / "other.json", [b'{"x": 1}', b"nothing"])
    write(tmp_path / "alerts.json", [b'{"event_type": "stats"}'])
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    expected = {
        "other.json": ("error", "0 flows in the first 2 lines, 2 bad"),
        "alerts.json": ("warning", "0 flows in the first 1 lines"),
        "empty": ("warning", "empty so far"),
        "folder": ("error", "not a regular file"),
        "none": ("warning", "not there yet"),
    }
    for name, (level, words) in expected.items():
        ((_, found),) = troubles(tmp_path, sensor=sensor(tmp_path / name)).items()
        assert found[0] == level, name
        assert words in found[1]
    ((_, found),) = troubles(tmp_path, sensor=sensor(tmp_path / "none", follow=False)).items()
    assert found == ("error", "not there")
    assert "sensor" in troubles(tmp_path), "one without any is told so"


def test_packets_and_interfaces(tmp_path: Path) -> None:
    (tmp_path / "x.pcap").write_bytes(b"GIF89a")
    ((_, found),) = troubles(tmp_path, sensor=sensor(tmp_path / "x.pcap", kind="pcap")).items()
    assert found == ("error", "holds no packets")
    ((_, found),) = troubles(tmp_path, sensor=[{"kind": "interface", "interface": "none0"}]).items()
    assert found == ("error", "there is no such interface")


def as_nobody(look: Callable[[], list[Finding]]) -> list[Finding]:
    """What a user finds who may do nothing; root may read and write everywhere."""
    if os.geteuid() != 0:
        return look()
    look()  # so that all is imported while this still may
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65_534)
            os.setuid(65_534)
            os.write(writing, msgspec.json.encode(look()))
        finally:
            os._exit(0)  # whatever happened: there is to be no second pytest
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        data = answer.read()
    os.waitpid(child, 0)
    return msgspec.json.decode(data, type=list[Finding])


def test_what_is_out_of_reach(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="hedgerow-") as name:  # where others may look
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "locked").mkdir(mode=0o500)
        write(folder / "eve.json", benign(1))
        (folder / "eve.json").chmod(0)
        ours = settings(
            folder / "locked",
            status__socket=str(folder / "run" / "status.sock"),
            sensor=[*sensor(folder / "eve.json"), {"kind": "interface", "interface": "lo"}],
        )
        found = as_nobody(lambda: list(check_settings(ours, offline=True)))
        troubles_ = {each.what: each.found for each in found if each.level == "error"}
    assert "is out of reach" in troubles_["node.state_dir"]
    assert "is out of reach" in troubles_["alerts.path"]
    assert "cannot make it in" in troubles_["status.socket"]
    assert "cannot be read by" in troubles_[f"sensor {folder / 'eve.json'}"]
    assert "CAP_NET_RAW" in troubles_["sensor lo"]
    uncured = {each.what for each in found if each.level == "error" and not each.cure}
    assert uncured <= {"identity", "verdicts"}, "whose text has its cure in it"


def test_folders_that_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "state").mkdir(mode=0o755)
    (tmp_path / "state" / "thesis.txt").touch()
    found = troubles(tmp_path, alerts__path=str(tmp_path), status__socket=str(tmp_path / "file"))
    assert {"node.state_dir", "alerts.path", "status.socket"} <= set(found)
    assert {each for each, _ in found.values()} == {"error", "warning"}


def test_ports_that_are_taken_unless_by_the_node_itself(tmp_path: Path) -> None:
    with socket.socket() as taken, socket.socket(type=socket.SOCK_DGRAM) as udp:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        udp.bind(("127.0.0.1", 0))
        port, flows = taken.getsockname()[1], f"127.0.0.1:{udp.getsockname()[1]}"
        ours = {
            "node__listen": [f"/ip4/127.0.0.1/tcp/{port}"],
            "dashboard__listen": f"127.0.0.1:{port}",
            "sensor": [{"kind": "netflow", "listen": flows}],
        }
        assert [level for level, _ in troubles(tmp_path, **ours).values()] == ["error"] * 3
        store = Store.open(tmp_path / "state")
        try:
            assert troubles(tmp_path, **ours) == {}
        finally:
            store.close()


def test_a_clock_that_was_never_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    assert troubles(tmp_path)["clock"] == ("error", "1970-01-01 00:16 UTC, which is long past")


# Bootstrap addresses


async def at(address: str, psk: bytes | None = None, dial_s: float = 5.0) -> Probe:
    return await probe(parse_contact(address), psk, dial_s)


def test_what_answers_is_told_apart() -> None:
    key, other = b"k" * 32, b"o" * 32

    async def main() -> None:
        for psk in (None, key):
            settings_ = TransportSettings((LOOPBACK,), (), psk)
            async with open_transport(settings_, new_identity()) as node:
                address = node.addresses[0]
                right, wrong = f"{address}/p2p/{node.peer}", f"{address}/p2p/{PEER}"
                assert (await at(right, psk)).ok
                assert (await at(wrong, psk)).found == "another peer answers there"
                if psk is None:
                    assert "open mesh" in (await at(right, key)).found
                else:
                    assert "private mesh" in (await at(right)).found
                    assert "another key" in (await at(right, other, dial_s=0.5)).found
                assert not node.peers(), "it hung up"

    trio.run(main)


def test_what_is_no_node() -> None:
    async def main() -> None:
        async def greet(stream: trio.SocketStream) -> None:
            await stream.send_all(b"SSH-2.0-x\r\n")

        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
            port = listener.socket.getsockname()[1]
            found = await at(f"/ip4/127.0.0.1/tcp/{port}/p2p/{PEER}")
            assert "'SSH-2.0-x'" in found.found
            nursery.cancel_scope.cancel()
        found = await at(f"/ip4/127.0.0.1/tcp/{port}/p2p/{PEER}")
        assert found.found.startswith("refused")
        assert found.cure

    trio.run(main)


# The command


def test_the_command_says_all_and_ends_with_one_where_something_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'[node]\nlisten = ["{LOOPBACK}"]\n')
    ran = CliRunner().invoke(service.check, ["--config", str(file), "--offline"])
    assert ran.exit_code == 0, ran.output
    assert "0 errors, 1 warnings" in ran.output
    ran = CliRunner().invoke(service.check, ["--config", str(file), "--offline", "--json"])
    assert {each["what"] for each in json.loads(ran.output)} >= {"settings", "disk", "clock"}
    file.write_text("[nodes]\n")
    ran = CliRunner().invoke(service.check, ["--config", str(file)])
    assert ran.exit_code == 1
    assert "did you mean 'node'" in ran.output
