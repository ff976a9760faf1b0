"""Nodes as processes: killed at any moment, stopped politely, given bad input."""

import json
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import numpy as np
import pytest

from node.antigens import kept
from node.p2p.psk import create_psk
from node.state.store import Store, look
from tests.node.processes import LOOPBACK, ROOT, Factory, address_of
from tests.node.traffic import benign, parsed, scan, write

KILLS = 20
PEER = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"


@pytest.fixture(scope="module")
def factory():
    made = Factory()
    yield made
    made.close()


def one_line(process):
    """What a command that failed as it should has said."""
    code = process.end()
    assert code not in {0, None}, process.output
    assert code > 0, f"signal {-code}: {process.output}"
    assert "Traceback" not in process.output
    lines = [
        line
        for line in process.output.splitlines()
        if not line.startswith("{") and "can join by" not in line and "hedgerow join" not in line
    ]
    assert len(lines) == 1, process.output
    assert lines[0].startswith("hedgerow: ")
    return lines[0]


# Killed


def seen_rows(state_dir):
    """How many flows are in the memory, and the cycle; read as the next life will."""
    store = Store.open(state_dir)
    try:
        snapshot = store.load()
        assert not store.warnings
        roles = ("train", "calibrate", "holdout")
        seen = [int(snapshot.arrays[f"watch.samples.{role}.seen"][0]) for role in roles]
        return sum(seen), snapshot
    finally:
        store.close()


def saved_cycle(state_dir):
    with closing(sqlite3.connect(state_dir / "state.sqlite")) as database:
        return database.execute("SELECT max(cycle) FROM generation").fetchone()[0] or 0


def wait_for_a_moment(process, state_dir, moments, cycle):
    """Some cycles later, or in the middle of a save."""
    kind = moments.choice(["cycles", "cycles", "file", "journal"])
    if kind == "cycles":
        more = moments.randint(1, 4)
        process.status(state_dir, lambda s: s.mesh.cycle >= cycle + more)
        return
    pattern = "generation-*.tmp" if kind == "file" else "state.sqlite-journal"
    newest = max(state_dir.glob("generation-*.safetensors"), default=None)
    share = moments.random() if kind == "file" and newest else 0.0
    size = share * newest.stat().st_size if newest else 0.0

    def caught(found):
        if found.mesh.cycle > cycle + 20:
            return True  # luck was against it; this is a moment like others
        for _ in range(2_000):  # between two looks at the status; a save takes about 10 ms
            for path in state_dir.glob(pattern):
                with suppress(FileNotFoundError):
                    if path.stat().st_size >= size:
                        return True
        return False

    process.status(state_dir, caught)


def test_killed_at_any_moment_it_loses_at_most_the_last_cycle(factory, tmp_path):
    moments = random.Random(7)
    state_dir, log = tmp_path / "a", tmp_path / "eve.json"
    lines = benign(40 * KILLS)
    fed, last = 0, 0
    arguments = ["--sensor", log, "--budget", "0.001%"]  # so that all rows stay believed
    write(log, lines[:1])
    fed = 1
    for _ in range(KILLS):
        with factory.node(state_dir, *arguments) as process:
            found = process.status(state_dir, lambda s: s.sensors)
            assert found.mesh.cycle >= last - 1, "it goes on where it was"
            more = moments.randint(1, 39)
            write(log, lines[fed : fed + more])
            fed += more
            wait_for_a_moment(process, state_dir, moments, found.mesh.cycle)
            assert process.kill() == -signal.SIGKILL
            assert "damaged" not in process.output
            last = saved_cycle(state_dir)
    with factory.node(state_dir, *arguments) as process:
        rows = len(parsed(lines[:fed]))
        # Every flow once: none was lost with a save, none was read again after one.
        cycle = process.status(state_dir, lambda s: s.mesh.cycle > last).mesh.cycle
        process.status(state_dir, lambda s: s.mesh.cycle > cycle + 6)
        process.signal(signal.SIGTERM)
        assert process.end() == 0
    seen, snapshot = seen_rows(state_dir)
    assert seen == rows == fed
    assert snapshot.cycle > last
    assert np.isfinite(snapshot.arrays["peer.vector"]).all()
    found = list(state_dir.glob("generation-*"))
    assert len(found) == 3, "the two newest, one to go back to, and nothing left lying about"


@pytest.mark.parametrize("sight", ["lock", "state.sqlite", "identity", "alerts.jsonl"])
def test_killed_while_it_starts_for_the_first_time(factory, tmp_path, sight):
    state_dir = tmp_path / "a"
    with factory.node(state_dir) as process:
        wait_for_file(process, state_dir / sight)
        process.kill()
    with factory.node(state_dir) as process:
        process.status(state_dir, lambda s: s.mesh.cycle > 1)
        assert "damaged" not in process.output
        process.signal(signal.SIGTERM)
        assert process.end() == 0


def wait_for_file(process, path):
    for _ in range(10_000_000):
        if path.exists():
            return
    raise AssertionError(f"{path.name} never came: {process.output}")


def test_a_disk_that_takes_no_more_is_said_once_and_outlived(factory, tmp_path):
    state_dir = tmp_path / "a"
    with factory.node(state_dir) as process:
        before = process.status(state_dir, lambda s: s.mesh.cycle > 3).mesh.cycle
        process.signal(signal.SIGTERM)
        assert process.end() == 0
    kept = sorted(path.name for path in state_dir.glob("generation-*"))
    with factory.node(state_dir, file_bytes_max=20_000) as process:
        process.says("nothing was saved; going on without")
        process.status(state_dir, lambda s: s.mesh.cycle > before + 10)
        assert process.output.count("nothing was saved") == 1
        process.signal(signal.SIGTERM)
        assert process.end() == 1, "what was learnt since is lost, and that is said"
        assert "cannot be written" in process.output.splitlines()[-1]
        assert "Traceback" not in process.output
    assert sorted(path.name for path in state_dir.glob("generation-*")) == kept
    with factory.node(state_dir) as process:
        assert process.status(state_dir, lambda s: s.mesh.cycle).mesh.cycle >= before - 1


def test_what_it_holds_of_antigens_outlives_a_kill(factory, tmp_path):
    told = write(tmp_path / "a.json", benign(400) + scan(40, 400, labelled=True))
    state_dir, quick = tmp_path / "b", ("--budget", "10%")

    def ids(status):
        return {(each.id, each.origin) for each in status.antigens.held}

    with factory.node(tmp_path / "a", "--sensor", told, "--share-antigens", *quick) as a:
        with factory.node(state_dir, join=address_of(a)) as b:
            found = b.status(state_dir, ids)
            b.status(state_dir, lambda s: s.mesh.cycle > found.mesh.cycle + 3)  # it was saved
            assert b.kill() == -signal.SIGKILL
        assert a.kill() == -signal.SIGKILL
    held = kept.from_arrays(look(state_dir).arrays)
    assert {(each.id.hex(), each.origin) for each in held} == ids(found)
    with factory.node(state_dir) as b:  # and nobody there to ask
        assert ids(b.status(state_dir, lambda s: s.mesh.cycle)) == ids(found)
    for process in (
        factory.start("antigens", "list", "--state-dir", state_dir, "--json"),
        factory.start("show-what-leaves", "--state-dir", state_dir),
    ):
        assert process.end() == 0, process.output
        assert "Traceback" not in process.output


# Stopped


def test_on_sigterm_it_leaves_politely_and_comes_back(factory, tmp_path):
    log = write(tmp_path / "eve.json", benign(400))
    with factory.node(tmp_path / "a") as a:
        address = address_of(a)
        with factory.node(tmp_path / "b", "--sensor", log, join=address) as b:
            found = b.status(tmp_path / "b", lambda s: s.mesh.merges > 1 and s.detector.loss)
            b.signal(signal.SIGTERM)
            assert b.end() == 0
            assert "Traceback" not in b.output
            a.says(rf'"peer": "{found.peer}".*"event": "a peer left"')
            assert not (tmp_path / "b" / "status.sock").exists()
        with factory.node(tmp_path / "b", join=address) as b:
            again = b.status(tmp_path / "b", lambda s: s.mesh.merges > 1)
            assert again.peer == found.peer
            assert again.mesh.cycle >= found.mesh.cycle
            b.signal(signal.SIGINT)  # Ctrl-C
            assert b.end() == 0
        a.signal(signal.SIGTERM)
        assert a.end() == 0


def test_a_peer_that_is_stuck_does_not_keep_a_node_from_stopping(factory, tmp_path):
    with factory.node(tmp_path / "a") as a:
        address = address_of(a)
        with (
            factory.node(tmp_path / "b", join=address) as b,
            factory.node(tmp_path / "c", join=address) as c,
        ):
            for process, name in ((a, "a"), (b, "b"), (c, "c")):
                process.status(tmp_path / name, lambda s: s.mesh.merges and len(s.mesh.peers) == 2)
            b.signal(signal.SIGSTOP)
            a.signal(signal.SIGTERM)
            assert a.end() == 0
            c.says('"event": "a peer left"')  # the others hear of it all the same
            b.signal(signal.SIGCONT)
            b.says('"event": "a peer l(eft|ost)|is lost"')
            assert "Traceback" not in b.output


def test_what_is_logged_and_how_is_as_set(factory, tmp_path):
    config = tmp_path / "gateway.toml"
    for level, form, pattern in (
        ("info", "text", r"\[info *\] listening"),
        ("info", "json", '"event": "listening"'),
        ("error", "json", None),
    ):
        config.write_text(f'[log]\nlevel = "{level}"\nformat = "{form}"\n')
        with factory.node(tmp_path / "a", "--config", config) as a:
            address_of(a)
            a.signal(signal.SIGTERM)
            assert a.end() == 0
        if pattern:
            assert re.search(pattern, a.output)
        else:
            assert "listening" not in a.output


# Bad input


def test_bad_settings_are_one_line(factory, tmp_path):
    state = tmp_path / "a"
    config = tmp_path / "gateway.toml"
    config.write_text('[mesh]\ncycel = "10 s"\n')
    key = tmp_path / "key"
    key.write_text("short")
    key.chmod(0o600)
    journal = tmp_path / "nowhere" / "peer.journal"
    cases = {
        "cycel": ["up", "--config", config],
        "not a multiaddr": ["join", "192.0.2.7:4001"],
        "/udp/": ["join", f"/ip4/192.0.2.7/udp/4001/p2p/{PEER}"],
        "names no peer": ["join", "/ip4/192.0.2.7/tcp/4001"],
        "300.0.0.1": ["up", "--listen", "/ip4/300.0.0.1/tcp/4001"],
        "198.51.100.1": ["up", "--listen", "/ip4/198.51.100.1/tcp/0"],
        "budget": ["up", "--budget", "lots"],
        "no pre-shared key": ["up", "--psk-file", tmp_path / "none"],
        "64 hex digits": ["up", "--psk-file", key],
        str(journal): ["up", "--journal", journal],
        "cannot follow": ["up", "--sensor", ROOT / "scenarios/recordings/factory.eve.json.xz"],
        "no node is running": ["status"],
    }
    started = {}
    for expected, (command, *rest) in cases.items():
        more = [] if command == "status" or "--listen" in rest else ["--listen", LOOPBACK]
        started[expected] = factory.start(command, *rest, *more, "--state-dir", state)
        assert expected in one_line(started[expected])


def test_a_whole_log_of_no_use_ends_the_node(factory, tmp_path):
    log = tmp_path / "eve.json"
    up = ["up", "--listen", LOOPBACK, "--read-once", "--sensor", log, "--state-dir", tmp_path / "a"]
    missing = factory.start(*up)
    assert f"cannot read {log}" in one_line(missing)
    assert "can join by" not in missing.output, "noticed before the port was open"
    log.write_bytes(b"")
    assert "holds no flow" in one_line(factory.start(*up))
    log.write_bytes(b"garbage\n" * 10)
    assert "10 of them bad" in one_line(factory.start(*up))


def test_a_port_and_a_state_folder_have_one_owner(factory, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listen = ["--listen", f"/ip4/127.0.0.1/tcp/{port}"]
        second = factory.start("up", *listen, "--state-dir", tmp_path / "b")
        assert "another process listens there" in one_line(second)
    with factory.node(tmp_path / "a") as a:
        address_of(a)
        second = factory.start("up", "--listen", LOOPBACK, "--state-dir", tmp_path / "a")
        line = one_line(second)
        assert f"a node with pid {a.pid} is using it" in line
        a.status(tmp_path / "a", lambda s: s.state == "running")
        shown = factory.start("status", "--json", "--state-dir", tmp_path / "a")
        assert shown.end() == 0
        assert json.loads(shown.output)["pid"] == a.pid


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_corrupted_state_is_kept_aside_and_never_overwritten(factory, tmp_path):
    state = tmp_path / "a"
    with factory.node(state) as a:
        a.status(state, lambda s: s.mesh.cycle > 3)
        a.signal(signal.SIGTERM)
        assert a.end() == 0
    newer = max(state.glob("generation-*"))
    flip(newer, 1_000)
    damaged = newer.read_bytes()
    with factory.node(state) as a:
        assert "was kept as" in a.says("generation.*damaged[^\n]*\n")[0]
        assert a.status(state, lambda s: s.mesh.cycle > 0).mesh.cycle >= 2
        a.signal(signal.SIGTERM)
        assert a.end() == 0
    assert newer.with_name(f"{newer.name}.damaged-1").read_bytes() == damaged

    database = state / "state.sqlite"
    database.write_bytes(b"not a database" * 100)
    with factory.node(state) as a:
        a.status(state, lambda s: s.mesh.cycle >= 2)
        a.signal(signal.SIGTERM)
        assert a.end() == 0
    assert a.output.count("state.sqlite.damaged-1") == 1, "said once"

    everything = {}
    for path in state.glob("generation-*.safetensors"):
        flip(path, 1_000)
        everything[path.name] = path.read_bytes()
    assert len(everything) == 3, "the two newest, and one to go back to"
    line = one_line(factory.start("up", "--listen", LOOPBACK, "--state-dir", state))
    assert "nothing that was saved can be read" in line
    for name, content in everything.items():
        assert (state / f"{name}.damaged-1").read_bytes() == content


def test_a_damaged_or_exposed_identity_is_refused_and_kept(factory, tmp_path):
    state = tmp_path / "a"
    with factory.node(state) as a:
        address_of(a)
        a.signal(signal.SIGTERM)
        assert a.end() == 0
    identity = state / "identity"
    up = ["up", "--listen", LOOPBACK, "--state-dir", state]
    identity.chmod(0o644)
    assert f"chmod 600 {identity}" in one_line(factory.start(*up))
    identity.chmod(0o600)
    flip(identity, 30)
    before = identity.read_bytes()
    assert str(identity) in one_line(factory.start(*up))
    assert identity.read_bytes() == before


def test_the_wrong_key_is_refused_with_a_clear_message(factory, tmp_path):
    for name in ("right", "wrong"):
        create_psk(tmp_path / name)
    with factory.node(tmp_path / "a", "--psk-file", tmp_path / "right") as a:
        address = address_of(a)
        config = tmp_path / "b.toml"
        config.write_text('[limits]\ndial_max = "500 ms"\n')
        arguments = ["--psk-file", tmp_path / "wrong", "--config", config]
        with factory.node(tmp_path / "b", *arguments, join=address) as b:
            found = b.says('"detail": "[^"]*same pre-shared key')
            assert found
            assert not b.status(tmp_path / "b", lambda s: s.detail).mesh.merges
            b.signal(signal.SIGTERM)
            assert b.end() == 0


def test_a_journal_replays_and_a_changed_one_does_not(factory, tmp_path):
    journal = tmp_path / "peer.journal"
    with factory.node(tmp_path / "a", "--journal", journal) as a:
        a.status(tmp_path / "a", lambda s: s.mesh.cycle > 3)
        a.kill()
    replayed = factory.start("replay", journal)
    assert replayed.end() == 0, replayed.output
    assert re.search(r"[0-9]+ events, identical actions", replayed.output)
    up = ["up", "--listen", LOOPBACK, "--state-dir", tmp_path / "a"]
    assert "belongs to one run" in one_line(factory.start(*up, "--journal", journal))

    content = journal.read_bytes()
    flip(journal, len(content) - 3)  # in the last record's digest of actions
    assert "other actions" in one_line(factory.start("replay", journal))
    journal.write_bytes(content[: len(content) // 2] + b"\xff" * 64)
    one_line(factory.start("replay", journal))
    journal.write_bytes(b"")
    assert "no journal" in one_line(factory.start("replay", journal))
    assert "cannot be read" in one_line(factory.start("replay", tmp_path / "none"))


def test_the_module_can_be_run_where_the_command_is_not_on_the_path(tmp_path):
    command = [sys.executable, "-m", "node", "status", "--state-dir", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("hedgerow: ")
    assert ended.stderr.count("\n") == 1
    assert not ended.stdout
    assert not list(tmp_path.iterdir()), "looking changes nothing"
