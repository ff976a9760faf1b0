"""Whole nodes: going back to a generation, keeping a peer out, and what the ledger tells."""

import json

import numpy as np
import pytest
import trio
from click.testing import CliRunner

from gossip.contacts import PeerId
from gossip.errors import ConfigError, HedgerowError, StateError
from node.antigens import kept
from node.cli import cli, keeping
from node.p2p.identity import load_identity, load_or_create_identity, new_identity
from node.state import exclusions, generations, going_back
from node.state.exclusions import Exclusion
from node.state.generations import Snapshot
from node.state.ledger_reading import entries
from node.state.store import Store, look
from tests.node.live import exchanging, patient, running, sensor, settings_for
from tests.node.states import lay_down
from tests.node.traffic import benign, scan, write

CALM = 500


def ran(folder, *words):
    """What a command said, on a node's folder."""
    done = CliRunner().invoke(
        cli, [*words, "--state-dir", str(folder)], catch_exceptions=isinstance(words, str)
    )
    assert done.exit_code == 0, done.output
    return done.output


def refused(folder, *words):
    """Why a command did not do what was asked."""
    done = CliRunner().invoke(cli, [*words, "--state-dir", str(folder)])
    assert isinstance(done.exception, HedgerowError), done.output
    return str(done.exception)


def quick(folder, **more):
    """A node that keeps four generations half a second apart."""
    return settings_for(folder, state__generations=4, state__spacing="500 ms", **more)


def merges(folder, peer):
    return [e for e in entries(folder) if e.what == "merge" and e.about["peer"] == peer]


def test_a_node_goes_back_and_forward_and_keeps_a_peer_out(tmp_path):
    log, other = tmp_path / "a.json", tmp_path / "b.json"
    settings = quick(tmp_path / "a", sensor=sensor(log))
    folder = settings.node.state_dir
    theirs = quick(tmp_path / "b", sensor=sensor(other), antigens__share=True)
    write(log, benign(CALM))
    write(other, benign(CALM) + scan(60, CALM, labelled=True))

    def known(found):
        return exchanging(found) and found.detector.state == "watching" and found.antigens.held

    async def first_life(b):
        joined = settings.with_overrides({"node.bootstrap": [b.address]})
        async with running(settings) as a:  # alone, so that there is a generation without others
            await a.until(lambda s: s.mesh.cycle > 12 and s.detector.flows_seen == CALM)
        async with running(joined) as a:
            await a.until(known)
            early = (await a.look()).mesh.cycle
            await a.until(lambda s: s.mesh.cycle > early + 15)
            assert "its node runs; stop it" in refused(folder, "rollback", "1")
            return early

    def rolled_back():
        before = look(folder)
        listed = json.loads(ran(folder, "generations", "--json"))
        assert 3 <= len(listed) <= 6
        assert listed[0]["flows"] == CALM
        chosen = listed[-1]
        said = ran(folder, "rollback", str(chosen["number"]))
        assert f"the model is that of generation {chosen['number']} " in said
        now, old = look(folder), of(chosen["number"])
        for name, array in now.arrays.items():
            source = old if going_back._is_model(name) else before
            assert np.array_equal(array, source.arrays[name]), name
        assert {"trainer.own", "peer.vector"} <= old.arrays.keys()
        assert (now.cycle, now.small["sensors"]) == (before.cycle, before.small["sensors"])
        assert now.small["incidents"] == before.small["incidents"]
        assert "(fell away)" in ran(folder, "ledger")
        said = ran(folder, "rollback", str(listed[0]["number"]))
        undone = look(folder)
        assert all(np.array_equal(undone.arrays[n], before.arrays[n]) for n in before.arrays)
        assert "(fell away)" not in ran(folder, "ledger")
        assert "is not kept" in refused(folder, "rollback", "1000")

    def of(number):
        found = [each for each in generations.listed(folder) if each.number == number]
        snapshot = generations.read(folder, found[0])
        assert snapshot is not None
        return snapshot

    async def second_life(b):
        """It runs while the peer is excluded."""
        joined = settings.with_overrides({"node.bootstrap": [b.address]})
        async with running(joined) as a:
            await a.until(lambda s: exchanging(s) and s.antigens.held)
            said = await trio.to_thread.run_sync(
                ran, folder, "exclude", b.started.peer, "--since", "first"
            )
            assert "restart the node" in said
            gone = await a.until(lambda s: not any(p.connected for p in s.mesh.peers))
            await a.until(lambda s: s.mesh.cycle > gone.mesh.cycle + 3)
            after = await a.look()
            await a.until(lambda s: s.mesh.cycle > after.mesh.cycle + 10)
            assert (await a.look()).mesh.merges == after.mesh.merges
            assert a.gateway._watch.rehearsed == ()
            assert (await a.look()).antigens.held == ()
        return after.mesh.cycle

    async def third_life(b):
        """The model went back, and the peer finds no way in."""
        joined = settings.with_overrides({"node.bootstrap": [b.address]})
        async with running(joined) as a:
            begun = (await a.look()).mesh.cycle
            found = await a.until(lambda s: s.mesh.cycle > begun + 10)
            assert found.mesh.merges == 0
            assert found.antigens.held == ()
            assert found.detector.flows_seen == 0, "no flow is read twice"

    async def main():
        async with running(theirs) as b:
            peer = b.started.peer
            await first_life(b)
            assert len(merges(folder, peer)) > 3
            assert "signatures of" in ran(folder, "ledger", "--verify")
            await trio.to_thread.run_sync(rolled_back)
            cycle = await second_life(b)
            assert exclusions.load(folder)[0].upto_cycle is not None
            await third_life(b)
        assert exclusions.load(folder)[0].upto_cycle is None
        assert "signatures of" in ran(folder, "ledger", "--verify")
        (back,) = [e for e in entries(folder) if e.what == "exclude"]
        first = merges(folder, peer)[0]
        assert back.about["to_cycle"] < first.about["cycle"] <= cycle
        assert back.about["fell"] == len(merges(folder, peer)), "none of its is part of the model"
        last = look(folder)
        assert kept.from_arrays(last.arrays) == ()
        assert peer not in [each for each, _ in last.small["remembered"]]
        assert peer in ran(folder, "exclude", "--list")
        ran(folder, "exclude", "--lift", peer)
        assert ran(folder, "exclude", "--list") == "nobody is excluded\n"
        assert "is not excluded" in refused(folder, "exclude", "--lift", peer)
        kinds = [e.what for e in entries(folder)]
        assert [k for k in kinds if k in {"rollback", "deny", "exclude", "lift"}] == [
            "rollback", "rollback", "deny", "exclude", "lift",
        ]  # fmt: skip
        assert "antigen in use" in kinds

    patient(main)


@pytest.fixture
def stopped(tmp_path):
    """The folder of a node that is stopped, with generations of cycles 10 to 50."""
    lay_down(tmp_path / "s", 1)
    load_or_create_identity(tmp_path / "s" / "identity")
    store = Store.open(tmp_path / "s")
    loaded = store.load()
    for cycle in range(40, 60, 10):
        made = {"at_s": 1_750_000_000.0 + cycle, "state": "watching"}
        arrays = loaded.arrays | {"peer.ages": np.full(4, 1_000 + cycle)}
        small = loaded.small | {"made": made}
        store.save(Snapshot(cycle, arrays, small), forget=False)
    store.close()
    return tmp_path / "s"


def test_the_model_goes_back_at_once_where_the_node_is_stopped(stopped):
    peer = new_identity().peer
    said = ran(stopped, "exclude", peer, "--since", "cycle:40")
    assert "the model is that of generation 31 (cycle 31)" in said
    assert look(stopped).arrays["peer.ages"].max() == 256
    assert look(stopped).cycle == 50
    assert exclusions.load(stopped)[0].upto_cycle is None
    assert [e.what for e in entries(stopped)] == ["deny", "exclude", "checkpoint"]


def test_a_rollback_without_a_number_goes_back_by_the_spacing_and_then_on(stopped):
    short = stopped.parent / "gateway.toml"
    short.write_text(f'[node]\nstate_dir = "{stopped}"\n[state]\nspacing = "100 s"\n')
    assert "no generation is that much older" in refused(stopped, "rollback")
    for number in (32, 31):
        done = CliRunner().invoke(cli, ["rollback", "--config", str(short)])
        assert f"that of generation {number} " in done.output
    assert look(stopped).arrays["peer.ages"].max() == 256


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2025-06-15T15:07:29Z", 40),
        ("2025-06-15T15:07:21", 40),
        ("generation:33", 40),
        ("1s", 50),
        ("cycle:41", 40),
    ],
)
def test_a_moment_is_a_time_a_cycle_or_a_generation(stopped, since, expected):
    ran(stopped, "exclude", new_identity().peer, "--since", since)
    back = [e for e in entries(stopped) if e.what == "exclude"]
    cycle = back[0].about["to_cycle"] if back else 50
    assert cycle == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("exclude", "PEER", "--since", "soon"), "is no moment; give a time such as"),
        (("exclude", "PEER", "--since", "cycle:3"), "the oldest is 31, of cycle 31"),
        (("exclude", "PEER", "--since", "first"), "the ledger tells of no merge with"),
        (("exclude", "ME"), "is this node itself"),
        (("exclude", "somebody"), "is not the id of an Ed25519 key"),
        (("rollback", "33"), "generation 33 is current"),
        (("rollback", "7"), "is not kept, or is damaged; kept are 32, 31"),
        (("ledger", "--verify"), "holds no ledger"),
        (("ledger", "--since", "generation:3"), "takes a time, a duration or a cycle"),
    ],
)
def test_what_cannot_be_done_says_why_and_changes_nothing(stopped, words, why):
    me = load_identity(stopped / "identity").peer
    names = {"PEER": new_identity().peer, "ME": me}
    before = sorted(each.name for each in stopped.iterdir())
    assert why in refused(stopped, *[names.get(word, word) for word in words])
    assert sorted(each.name for each in stopped.iterdir()) == before


def test_nobody_writes_into_another_users_folder(stopped, monkeypatch):
    monkeypatch.setattr(keeping.os, "geteuid", lambda: stopped.stat().st_uid + 1)
    before = sorted(each.name for each in stopped.iterdir())
    for words in (("rollback",), ("exclude", new_identity().peer), ("exclude", "--lift", "x")):
        assert refused(stopped, *words)
    assert "belongs to another user" in refused(stopped, "rollback")
    assert sorted(each.name for each in stopped.iterdir()) == before


def test_a_changed_ledger_fails_and_names_the_entry(stopped):
    ran(stopped, "exclude", new_identity().peer)
    assert "2 entries, 1 to 2" in ran(stopped, "ledger", "--verify")
    path = stopped / "ledger-000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"deny"', b'"love"'))
    said = refused(stopped, "ledger", "--verify")
    assert "First bad entry: ledger-000001.jsonl, line 2 (entry 2)" in said


def test_a_real_state_of_the_format_before_starts_a_node(tmp_path):
    settings = quick(tmp_path / "s")
    lay_down(tmp_path / "s", 1)

    async def main():
        async with running(settings) as node:
            found = await node.until(lambda s: s.mesh.cycle > 33)
            assert found.alerts.incidents_open == 1

    patient(main)
    last = look(tmp_path / "s")
    assert last.small["made"]["state"] == "watching"
    assert json.loads(ran(tmp_path / "s", "generations", "--json"))[-1]["cycle"] == 31


def test_who_is_excluded_outlives_damage_only_with_a_word(tmp_path):
    peer = new_identity().peer
    assert exclusions.load(tmp_path) == ()
    assert exclusions.exclude(tmp_path, Exclusion(peer, 1.0, "6h", 12))
    assert not exclusions.exclude(tmp_path, Exclusion(peer, 2.0))
    assert exclusions.load(tmp_path) == (Exclusion(peer, 2.0),)
    path = tmp_path / exclusions.FILE
    whole = path.read_text()
    for bad in (
        "",
        "[]",
        whole.replace(peer, "x"),
        whole.replace("1\n}", "2\n}"),
        whole + "x" * 2**20,
    ):
        path.write_text(bad)
        with pytest.raises(StateError, match="is not what `hedgerow exclude` writes"):
            exclusions.load(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StateError, match=r"cannot be read|is no regular file"):
        exclusions.load(tmp_path)


def test_there_are_not_too_many_excluded(tmp_path, monkeypatch):
    monkeypatch.setattr(exclusions, "EXCLUDED_MAX", 2)
    for _ in range(2):
        exclusions.exclude(tmp_path, Exclusion(PeerId(new_identity().peer), 1.0))
    with pytest.raises(ConfigError, match="lift some with"):
        exclusions.exclude(tmp_path, Exclusion(PeerId(new_identity().peer), 1.0))
