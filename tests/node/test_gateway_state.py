"""Whole nodes and their state on disk: what outlives a restart, and what is refused or said."""

import json

import numpy as np
import pytest

from gossip.actions import Topic
from gossip.contacts import Contact
from gossip.errors import StateError
from gossip.peer import Peer
from node.detection import fingerprint_of, new_learner
from node.gateway import Gateway
from node.p2p.identity import load_or_create_identity
from node.state.store import Snapshot, Store
from tests.node.live import (
    exchanging,
    patient,
    running,
    sensor,
    settings_for,
)
from tests.node.traffic import ATTACKER, benign, scan, write

CALM = 700


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
            found = await a.until(lambda s: s.sensors[0].judged == CALM + 320)
            cycle = found.mesh.cycle
            await a.until(lambda s: s.mesh.cycle > cycle + 20)  # until the head knows scans
            write(log, scan(30, CALM + 320))
            found = await a.until(lambda s: s.sensors[0].judged == CALM + 350 and scans(s))
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
                        exchanging(s) and s.sensors[0].judged == 130 and s.mesh.cycle > cycle + 2
                    )
                )
                (later,) = [each for each in scans(found) if each.incident == incident.incident]
                assert later.flows > incident.flows, "it went on"
                assert min(found.mesh.ages) >= min(ages)
        lines = [json.loads(line) for line in settings.alerts_path.read_text().splitlines()]
        keys = [line["hedgerow"].get("incident") for line in lines]
        assert keys.count(incident.incident) == 1, "and was not reported again"

    patient(main)


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
            found = await a.until(lambda s: s.mesh.cycle > cycle + 5 and s.service.not_saved)
            assert "No space left" in found.service.not_saved
            assert said
            monkeypatch.setattr(store, "save", save)

    patient(main)
