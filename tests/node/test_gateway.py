"""Whole nodes over real transports: joining, merging, restarting, and whom they refuse."""

import json
import socket
from contextlib import AsyncExitStack
from functools import partial

import numpy as np
import pytest
import trio

from gossip.actions import Topic
from gossip.contacts import Contact
from gossip.errors import StateError
from gossip.peer import Peer
from node import gateway as gateways
from node.detection import fingerprint_of, new_learner
from node.driver import Driver
from node.gateway import LEARNING_FLOWS_MAX, Gateway
from node.p2p import wire
from node.p2p.host import open_transport
from node.p2p.identity import load_or_create_identity, new_identity
from node.p2p.psk import create_psk
from node.p2p.seal import Ed25519Seal
from node.state import journal as journals
from node.state.store import Snapshot, Store
from tests.mesh.hosts import PATIENCE_S as MESH_PATIENCE_S
from tests.mesh.hosts import upgraded
from tests.node.live import PATIENCE_S, running, settings_for
from tests.node.traffic import ATTACKER, benign, scan, write

CALM = 700


def patient(main, *args):
    async def within():
        with trio.fail_after(3 * PATIENCE_S):
            await main(*args)

    trio.run(within)


def sensor(path, **more):
    return [{"path": str(path), **more}]


def exchanging(found):
    return found.mesh.merges > 3 and found.mesh.peers


def test_three_nodes_join_by_one_address_learn_and_merge(tmp_path):
    async def main():
        async with AsyncExitStack() as stack:
            nodes = []
            for number, name in enumerate("abc"):
                log = write(tmp_path / f"{name}.json", benign(CALM, first=number * CALM))
                bootstrap = [nodes[0].address] if nodes else []
                settings = settings_for(
                    tmp_path / name,
                    sensor=sensor(log),
                    node__bootstrap=bootstrap,
                    detector__budget="2%",  # 500 flows to calibrate with, if nobody lent
                )
                nodes.append(await stack.enter_async_context(running(settings)))
            for node in nodes:
                found = await node.until(
                    lambda s: (
                        exchanging(s)
                        and len(s.mesh.peers) == 2
                        and s.detector.state == "watching"
                        and min(s.mesh.ages) > 0
                    )
                )
                others = {other.started.peer for other in nodes if other is not node}
                assert {peer.peer for peer in found.mesh.peers} == others
                assert found.state == "running"
                assert found.sensors[0].flows == CALM
                assert found.detector.calibration_flows < found.detector.calibration_flows_needed
                assert found.mesh.remote_faults == 0
                assert not found.mesh.refusals
            nodes[2].gateway.stop()
            await nodes[0].until(lambda s: len(s.mesh.peers) == 1)
            assert nodes[0].count(Topic.PEER_LEFT) == 1, "it said good-bye; it was not missed"

    patient(main)


def test_a_restart_goes_on_where_the_last_life_ended(tmp_path):
    log = tmp_path / "eve.json"
    settings = settings_for(
        tmp_path / "a",
        sensor=sensor(log),
        detector__gap="1 h",
        detector__incident_max="1 d",
        alerts__per_minute_max=1_000,
    )
    write(log, benign(CALM))

    def scans(found):
        return [
            each
            for each in found.alerts.last
            if (each.source, each.family) == (ATTACKER, "scan") and each.flows >= 25
        ]

    async def first_life(b):
        async with running(settings.with_overrides({"node.bootstrap": [b.address]})) as a:
            await a.until(lambda s: exchanging(s) and s.detector.state == "watching")
            write(log, scan(120, CALM, labelled=True) + benign(200, first=CALM + 100))
            found = await a.until(lambda s: s.sensors[0].flows == CALM + 320)
            cycle = found.mesh.cycle
            await a.until(lambda s: s.mesh.cycle > cycle + 20)  # until the head knows scans
            write(log, scan(30, CALM + 320))
            found = await a.until(lambda s: s.sensors[0].flows == CALM + 350 and scans(s))
            return a, scans(found)[0]

    async def main():
        async with running(settings_for(tmp_path / "b")) as b:
            a, incident = await first_life(b)
            watch = a.gateway._watch
            store = Store.open(settings.node.state_dir)
            last = store.load()
            store.close()
            assert last.cycle > 20
            assert [peer for peer, _ in last.small["remembered"]] == [b.started.peer]

            async with running(settings) as again:  # without a bootstrap address
                vector, ages, cycle = again.gateway._peer_state
                assert np.array_equal(vector, last.arrays["peer.vector"])
                assert np.array_equal(ages, last.arrays["peer.ages"])
                assert cycle == last.cycle
                restored = again.gateway._watch.to_arrays()
                for name, array in watch.to_arrays().items():
                    assert np.array_equal(restored[name], array), name
                assert again.started.peer == a.started.peer
                write(log, benign(100, first=CALM + 380) + scan(30, CALM + 480))
                found = await again.until(
                    lambda s: (
                        exchanging(s) and s.sensors[0].flows == 130 and s.mesh.cycle > cycle + 2
                    )
                )
                (later,) = [each for each in scans(found) if each.incident == incident.incident]
                assert later.flows > incident.flows, "it went on"
                assert min(found.mesh.ages) >= min(ages)
        lines = [json.loads(line) for line in settings.alerts_path.read_text().splitlines()]
        keys = [line["hedgerow"].get("incident") for line in lines]
        assert keys.count(incident.incident) == 1, "and was not reported again"

    patient(main)


def test_a_mesh_of_another_shape_is_refused_with_a_reason_on_both_sides(tmp_path):
    async def main():
        async with running(settings_for(tmp_path / "a")) as a:
            other = settings_for(
                tmp_path / "b",
                node__bootstrap=[a.address],
                mesh__fragments=8,
                mesh__fragments_per_push=8,
            )
            async with running(other) as b:
                found = await b.until(lambda s: s.mesh.refused_by)
                (reason,) = found.mesh.refused_by
                assert "4 fragments" in reason
                assert "flow26-" in reason
                found = await b.until(lambda s: "4 fragments" in s.detail)
                assert found.state == "joining"
                found = await a.until(lambda s: s.mesh.refusals)
                assert any("fragments" in reason for reason in found.mesh.refusals)
                cycle = found.mesh.cycle
                await a.until(lambda s: s.mesh.cycle > cycle + 5)
                for node in (a, b):
                    found = await node.look()
                    assert found.mesh.merges == 0
                    assert not any(peer.peer in found.mesh.peers for peer in found.mesh.peers)

    patient(main)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_bootstrap_peer_that_is_down_is_waited_for(tmp_path):
    port = free_port()
    later = load_or_create_identity(tmp_path / "a" / "identity")
    (tmp_path / "a").chmod(0o700)
    listen = f"/ip4/127.0.0.1/tcp/{port}"

    async def main():
        joining = settings_for(
            tmp_path / "b",
            node__bootstrap=[f"{listen}/p2p/{later.peer}"],
            mesh__join_retry_max="1 s",
        )
        async with running(joining) as b:
            found = await b.until(lambda s: "Connection refused" in s.detail)
            assert found.state == "joining"
            assert later.peer in found.detail
            assert "next attempt in" in found.detail
            await b.until(lambda s: s.mesh.cycle > 2)  # it learns meanwhile
            async with running(settings_for(tmp_path / "a", node__listen=[listen])):
                found = await b.until(exchanging)
                assert (found.state, found.detail) == ("running", "")

    patient(main)


def test_a_private_mesh_takes_its_key_and_no_other(tmp_path):
    for name in ("right", "wrong"):
        create_psk(tmp_path / name)
    right, wrong = (str(tmp_path / name) for name in ("right", "wrong"))

    async def main():
        async with running(settings_for(tmp_path / "a", node__psk_file=right)) as a:
            bootstrap = [a.address]
            more = {"mesh__join_retry_max": "1 s", "limits__dial_max": "500 ms"}
            make = partial(settings_for, node__bootstrap=bootstrap, **more)
            async with (
                running(make(tmp_path / "b", node__psk_file=right)) as b,
                running(make(tmp_path / "c", node__psk_file=wrong)) as c,
                running(make(tmp_path / "d")) as d,
            ):
                await b.until(exchanging)
                found = await c.until(lambda s: "pre-shared key" in s.detail)
                assert found.state == "joining"
                found = await d.until(lambda s: "pre-shared key" in s.detail)
                for node in (c, d):
                    assert not (await node.look()).mesh.merges
                found = await a.look()
                assert [peer.peer for peer in found.mesh.peers] == [b.started.peer]

    patient(main)


def test_a_live_nodes_journal_replays_to_the_same_actions(tmp_path):
    path = tmp_path / "peer.journal"
    log = write(tmp_path / "eve.json", benign(CALM) + scan(40, CALM, labelled=True))

    async def main():
        async with running(settings_for(tmp_path / "a")) as a:
            settings = settings_for(
                tmp_path / "b",
                node__bootstrap=[a.address],
                journal__path=str(path),
                sensor=sensor(log),
                antigens__share=True,
            )
            async with running(settings) as b:
                await b.until(lambda s: exchanging(s) and s.mesh.cycle > 10 and s.detector.loss)
                await a.until(lambda s: s.antigens.held)

    patient(main)

    found = journals.replay(path, Ed25519Seal(new_identity()))  # of whomever: it only checks
    assert found.identical
    _, records = journals.read(path)
    kinds = {type(record.event).__name__ for record in records}
    wanted = {"Start", "Received", "TimerFired", "Trained", "Present", "Contribute", "Stop"}
    assert kinds >= wanted


def test_what_was_shared_outlives_a_restart_and_is_taken_back_when_sharing_ends(tmp_path):
    log = write(tmp_path / "eve.json", benign(CALM) + scan(40, CALM, labelled=True))

    def held(status):
        return [(each.family, each.evidence) for each in status.antigens.held]

    async def main():
        async with running(settings_for(tmp_path / "a")) as a:
            settings = settings_for(
                tmp_path / "b",
                node__bootstrap=[a.address],
                sensor=sensor(log),
                antigens__share=True,
            )
            async with running(settings) as b:
                before = held(await a.until(held))
                (number,) = b.gateway._immune._presenter.serials.values()
            async with running(settings) as b:
                assert held(await b.until(held)) == before
                await b.until(lambda s: s.mesh.merges > 3)
                assert b.gateway._immune._presenter.serials == {"scan": number}, (
                    "none was made anew"
                )
                assert held(await a.look()) == before
            off = settings.with_overrides({"antigens.share": False})
            async with running(off) as b:
                await a.until(lambda s: not held(s))
                assert held(await b.look()) == []
            async with running(off) as b:
                await b.until(lambda s: s.mesh.merges > 3)
                assert b.count(Topic.PRESENTED) == 0, "it was taken back before"
            async with running(settings) as b:
                assert held(await a.until(held)) == before
                assert b.gateway._immune._presenter.serials["scan"] > number + 1

    patient(main)


def test_who_uses_no_antigens_holds_none(tmp_path):
    log = write(tmp_path / "eve.json", benign(CALM) + scan(40, CALM, labelled=True))

    async def main():
        settings = settings_for(tmp_path / "a", sensor=sensor(log), antigens__share=True)
        async with running(settings) as a:
            other = settings_for(tmp_path / "b", node__bootstrap=[a.address], antigens__use=False)
            async with running(other) as b:
                await a.until(lambda s: s.antigens.held)
                merges = (await b.look()).mesh.merges
                found = await b.until(lambda s: s.mesh.merges > merges + 5)
                assert not found.antigens.held
                assert not found.antigens.use

    patient(main)


def test_the_settings_reach_the_parts(tmp_path, monkeypatch):
    settings = settings_for(
        tmp_path / "a",
        node__announce=["/ip4/192.0.2.9/tcp/4009"],
        journal__path=str(tmp_path / "peer.journal"),
        limits__inbox_max=9,
        limits__connections_max=7,
        mesh__jitter=0.3,
        mesh__join_retry_max="9 s",
    )
    made = []

    def driver(*parts, inbox_max, **more):
        made.append(inbox_max)
        return Driver(*parts, inbox_max=inbox_max, **more)

    def transport(about, identity):
        made.append(about.limits)
        return open_transport(about, identity)

    monkeypatch.setattr(gateways, "Driver", driver)
    monkeypatch.setattr(gateways, "open_transport", transport)

    async def main():
        async with running(settings) as a:
            assert a.started.addresses == ("/ip4/192.0.2.9/tcp/4009",)

    patient(main)
    assert made == [settings.limits.transport(), 9]
    head, _ = journals.read(tmp_path / "peer.journal")
    assert head.config == settings.mesh.peer_config()
    assert (head.config.jitter, head.config.join_retry_us_max) == (0.3, 9_000_000)


def test_hostile_peers_are_cut_off_and_the_node_goes_on_learning(tmp_path):
    log = write(tmp_path / "eve.json", benign(CALM))

    async def garbage(stream):
        await stream.write(wire.OPENING + wire.framed(b"\xc1" * 200))
        await wire.read_agreement(stream)

    async def oversize(stream):
        await stream.write(wire.OPENING + (2**31 - 1).to_bytes(4, "big"))

    async def nonsense(stream):
        await stream.write(b"\xff" * 4_000)

    async def main():
        async with running(settings_for(tmp_path / "a", sensor=sensor(log))) as a:
            host, port = a.started.addresses[0].split("/")[2::2]

            async def cut_off(attack):
                stream = await trio.open_tcp_stream(host, int(port))
                async with upgraded(stream, a.started.peer) as muxed:
                    await attack(await muxed.open_stream())
                    with trio.fail_after(MESH_PATIENCE_S):
                        await muxed.event_closed.wait()

            silent = [await trio.open_tcp_stream(host, int(port)) for _ in range(5)]
            rubbish = await trio.open_tcp_stream(host, int(port))
            await rubbish.send_all(b"GET / HTTP/1.1\r\n\r\n" * 10)
            for attack in (garbage, oversize, nonsense):
                await cut_off(attack)
            found = await a.until(lambda s: s.mesh.remote_faults >= 3)
            async with running(settings_for(tmp_path / "b", node__bootstrap=[a.address])) as b:
                await b.until(exchanging)
                cycle = found.mesh.cycle
                found = await a.until(lambda s: exchanging(s) and s.mesh.cycle > cycle + 5)
                assert [peer.peer for peer in found.mesh.peers] == [b.started.peer]
                assert found.detector.state == "watching"
                assert found.detector.loss < 10
            for stream in (*silent, rubbish):
                await stream.aclose()

    patient(main)


def test_a_state_of_another_model_is_refused_and_kept(tmp_path):
    settings = settings_for(tmp_path / "a")

    async def main():
        async with running(settings) as a:
            await a.until(lambda s: s.mesh.cycle > 1)

    patient(main)
    before = sorted(path.name for path in settings.node.state_dir.glob("generation-*"))
    other = settings.with_overrides({"mesh.fragments": 8, "mesh.fragments_per_push": 8})

    async def refused():
        with pytest.raises(StateError, match="8 fragments"):
            async with running(other):
                pass

    patient(refused)
    assert sorted(path.name for path in settings.node.state_dir.glob("generation-*")) == before


@pytest.mark.parametrize(
    "small", [{}, {"remembered": 3, "sensors": {}, "incidents": []}, {"remembered": [["x"]]}]
)
def test_a_state_that_is_sound_but_not_understood_is_an_error(tmp_path, small):
    settings = settings_for(tmp_path / "a")
    learner = new_learner()
    identity = load_or_create_identity(tmp_path / "identity")
    store = Store.open(settings.node.state_dir)
    try:
        gateway = Gateway(settings, identity, learner, store)
        peer = Peer(
            gateway._config,
            Contact(identity.peer),
            b"seed",
            fingerprint_of(learner, 4),
            gateway._peer_state[0],
        )
        whole = gateway._snapshot(peer)
        store.save(Snapshot(3, whole.arrays, {"fingerprint": whole.small["fingerprint"]} | small))
        with pytest.raises(StateError, match="does not understand"):
            Gateway(settings, identity, learner, store)
    finally:
        store.close()


def test_a_disk_that_is_full_is_said_and_outlived(tmp_path, monkeypatch):
    settings = settings_for(tmp_path / "a")

    async def main():
        async with running(settings) as a:
            await a.until(lambda s: s.mesh.cycle > 1)
            store, said = a.gateway._store, []
            save = store.save

            def full(snapshot):
                said.append(snapshot.cycle)
                raise StateError("No space left on device")

            monkeypatch.setattr(store, "save", full)
            cycle = (await a.look()).mesh.cycle
            await a.until(lambda s: s.mesh.cycle > cycle + 5)
            assert len(said) >= 3
            monkeypatch.setattr(store, "save", save)

    patient(main)


def test_a_backlog_is_not_over_before_there_is_a_model(tmp_path):
    """Benign hours, then an attack, all written before the node starts."""
    log = write(tmp_path / "eve.json", benign(4_000) + scan(400, 4_000))
    settings = settings_for(tmp_path / "a", sensor=sensor(log), detector__budget="1%")

    async def main():
        async with running(settings) as a:
            found = await a.until(lambda s: s.sensors[0].flows == 4_400)
            assert found.detector.state == "watching"
            assert found.mesh.cycle >= 2_000 // LEARNING_FLOWS_MAX - 1
            assert any(each.source == ATTACKER for each in found.alerts.last)

    patient(main)


def test_the_flows_time_is_that_of_the_sensor_furthest_behind(tmp_path):
    """Two logs of different days: neither ends the other's incidents."""
    early = write(tmp_path / "early.json", benign(CALM) + scan(30, CALM))
    late = write(
        tmp_path / "late.json",
        benign(2_000, first=CALM, start_s=1_760_000_000.0),
    )
    settings = settings_for(tmp_path / "a", sensor=[*sensor(early), *sensor(late)])

    async def main():
        async with running(settings) as a:
            await a.until(lambda s: [each.flows for each in s.sensors] == [CALM + 30, 2_000])
            clocks = [intake.clock_s for intake in a.gateway._intakes]
            assert a.gateway._flow_time_s() == clocks[0] < clocks[1]

    patient(main)
