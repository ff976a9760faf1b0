"""gateway.toml: defaults, mapping to the peer's settings, overrides, and the reference."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from gossip.config import Exchange, PeerConfig
from gossip.errors import ConfigError
from gossip.learning.calibration import BUDGET
from gossip.learning.tails import LENGTH
from node.config import settings
from node.config.flags import overridden
from node.config.reference import describe, markdown
from node.config.settings import MeshSettings, Settings
from node.p2p.limits import Limits

PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


def write(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    loaded = Settings.load(
        write(
            tmp_path,
            f"""
            [node]
            name = "ward 3"
            state_dir = "state"
            listen = ["/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/4001"]
            bootstrap = ["/dns4/gw.example.org/tcp/4001/p2p/{PEER}"]
            [mesh]
            cycle = "2 s"
            exchange = "epidemic"
            fanout = 3
            [[sensor]]
            kind = "suricata"
            path = "eve.json"
            [[sensor]]
            path = "/var/log/zeek/conn.log"
            follow = false
            [detector]
            budget = "1 %"
            gap = "60 s"
            [alerts]
            path = "out/alerts.jsonl"
            [limits]
            dial_max = "500 ms"
            frame_max = "64 KiB"
            """,
        )
    )
    assert loaded.node.state_dir == tmp_path / "state"
    assert loaded.alerts_path == tmp_path / "out/alerts.jsonl"
    assert loaded.status_socket == tmp_path / "state/status.sock"
    assert loaded.mesh.peer_config() == PeerConfig(
        cycle_us=2_000_000, exchange=Exchange.EPIDEMIC, fanout=3, sums_length=LENGTH, greets=True
    )
    assert [sensor.path for sensor in loaded.sensors] == [
        tmp_path / "eve.json",
        Path("/var/log/zeek/conn.log"),
    ]
    assert loaded.detector.budget == 0.01
    assert loaded.detector.gap_us == 60_000_000
    assert loaded.limits.transport() == replace(Limits(), dial_s=0.5, frame_bytes_max=65_536)


def test_every_limit_reaches_the_transport(tmp_path: Path) -> None:
    text = """
        [limits]
        connections_max = 7
        streams_per_peer_max = 6
        frame_max = "64 KiB"
        in_flight_max = "5 MiB"
        inbox_max = 9
        dial_max = "500 ms"
        request_max = "3 s"
        idle_max = "8 s"
        """
    limits = Settings.load(write(tmp_path, text)).limits
    assert [f.name for f in fields(limits) if getattr(limits, f.name) == f.default] == []
    assert limits.transport() == Limits(
        connections_max=7,
        streams_max=6,
        frame_bytes_max=65_536,
        inflight_bytes_max=5 * 2**20,
        dial_s=0.5,
        request_s=3.0,
        keepalive_s=4.0,
        keepalive_reply_s=4.0,
    )


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    loaded = Settings.load(write(tmp_path, ""))
    assert loaded.mesh.peer_config() == PeerConfig(sums_length=LENGTH, greets=True)
    assert loaded.detector.share_tail
    assert loaded.limits.transport() == Limits()
    assert loaded.detector.budget == BUDGET
    assert loaded.node.state_dir == tmp_path / "hedgerow-state"
    assert Settings.defaults().node.state_dir == Path.cwd() / "hedgerow-state"


def test_nothing_is_shared_unless_somebody_says_so(tmp_path: Path) -> None:
    loaded = Settings.load(write(tmp_path, ""))
    assert (loaded.antigens.use, loaded.antigens.share) == (True, False)
    for flags, shares in (({}, False), ({"share_antigens": None}, False)):
        assert overridden(loaded, **flags).antigens.share is shares
    assert overridden(loaded, share_antigens=True).antigens.share
    shared = Settings.load(write(tmp_path, "[antigens]\nshare = true\nlife = '1 d'"))
    assert overridden(shared, share_antigens=None).antigens.share
    assert shared.antigens.life_us == 86_400_000_000


def test_the_status_socket_can_be_elsewhere(tmp_path: Path) -> None:
    loaded = Settings.load(write(tmp_path, '[status]\nsocket = "run/status.sock"'))
    assert loaded.status_socket == tmp_path / "run/status.sock"


def test_the_example_is_the_defaults(tmp_path: Path) -> None:
    assert Settings.load(write(tmp_path, settings.example())) == Settings.load(write(tmp_path, ""))


def test_every_key_is_documented() -> None:
    keys = describe(Settings)
    assert len(keys) > 30
    assert [key.key for key in keys if len(key.doc) < 20] == []
    assert "sensor[].path" in {key.key for key in keys}


def test_flags_override_the_file(tmp_path: Path) -> None:
    loaded = Settings.load(write(tmp_path, '[mesh]\nfanout = 3\n[node]\nname = "a"'))
    changed = loaded.with_overrides(
        {"mesh.fanout": 2, "node.state_dir": "elsewhere", "sensor": [{"path": "eve.json"}]}
    )
    assert changed.mesh.fanout == 2
    assert changed.node.name == "a"
    assert changed.node.state_dir == Path.cwd() / "elsewhere"
    assert changed.sensors[0].path == Path.cwd() / "eve.json"
    with pytest.raises(ConfigError, match=r"^command line: mesh.fanout: 99 is out of range"):
        loaded.with_overrides({"mesh.fanout": 99})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[mesh]\nview_size = 4", "mesh: shuffle_size = 8 is out of range"),
        ("[mesh]\nfragments_per_push = 9", "mesh: fragments_per_push = 9 is out of range"),
        (
            "[node]\nlisten = ['/ip4/300.0.0.1/tcp/1']",
            "node.listen[1]: the address '/ip4/300.0.0.1/tcp/1' is wrong",
        ),
        (
            "[node]\nbootstrap = ['/ip4/1.2.3.4/tcp/1']",
            "node.bootstrap[1]: the address '/ip4/1.2.3.4/tcp/1' nam",
        ),
        ('[node]\nname = "a\\u001b[2J"', "node.name: 'a\\x1b[2J' holds a character that cannot be"),
        ('[node]\nname = "a\\nb"', "node.name: 'a\\nb' holds a character that cannot be printed"),
        ("[status]\nsocket = '" + "x" * 120 + "'", "status.socket: "),
        ("[[sensor]]\npath = 'a'\n[[sensor]]\npath = './a'", "is named twice"),
        ("[sensor]\npath = 'a'", "sensor: a table stands where [[…]] tables"),
        (
            "[antigens]\nshare = true\nuse = false",
            "antigens.share = true needs antigens.use = true",
        ),
        ("[antigens]\nevidence_min = 9", "antigens.evidence_min: 9 is out of range"),
        ("[antigens]\nlife = '31 d'", "antigens.life: 31 d is out of range"),
        ("[[sensors]]", "sensors: unknown key, did you mean 'sensor'?"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=f"^{path}: .*" + re.escape(expected)):
        Settings.load(path)


@pytest.mark.parametrize("name", [field.name for field in fields(MeshSettings)])
def test_mesh_bounds_are_within_the_peers(name: str, tmp_path: Path) -> None:
    """What the table lets through, the peer takes: only keys that depend on others may differ."""
    key = next(key for key in describe(MeshSettings) if name.startswith(key.key.split("_max")[0]))
    match = re.search(r", (\S+(?: [a-z]+)?) to (\S+(?: [a-z]+)?)$", key.type)
    if match is None or name in {"fragments_per_push", "shuffle_size", "token_cost"}:
        return
    extra = "shuffle_size = 1\n" if name == "view_size" else ""
    extra += "fragments_per_push = 1\n" if name == "fragments" else ""
    extra += "token_cost = 1\n" if name == "token_capacity" else ""
    for value in match.groups():
        quoted = f'"{value}"' if " " in value else value
        loaded = Settings.load(write(tmp_path, f"[mesh]\n{extra}{key.key} = {quoted}"))
        assert getattr(loaded.mesh, name) == getattr(loaded.mesh.peer_config(), name)


def test_the_documents_tell_every_setting_as_it_is() -> None:
    docs = Path(__file__).parents[2] / "docs"
    told = (docs / "configuration.md").read_text()
    assert told.endswith(markdown(Settings)), "run `make docs`"
    assert (docs / "gateway.example.toml").read_text() == settings.example()
