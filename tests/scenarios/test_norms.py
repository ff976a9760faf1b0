"""Peers of a World that scale by what they tell each other of their benign rows."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gossip.antigens import LIFE_S_MAX, NORM, Antigen, signed
from gossip.contacts import Contact, PeerId
from gossip.errors import ConfigError
from gossip.learning.codes import codes
from gossip.learning.norms import NORMS_MIN, Norm, mesh_scaler
from gossip.learning.scaling import Scaler
from node.config.tables import from_table
from scenarios.data.balanced import Balanced
from scenarios.data.load import meshed
from scenarios.data.shards import Shard, Shards, Unscaled
from scenarios.immunity.seals import HashSeal
from scenarios.plan.plan import make_plan
from scenarios.runs.checkpoint import CHECKPOINT, data_digest, find, take_up, write
from scenarios.runs.simulate import Record, run_stage, set_up
from scenarios.spec.data import Scaling
from scenarios.spec.scenario import Scenario
from scenarios.world.names import peer_names
from tests.scenarios.test_checkpoint import run_to, told

PEERS, FEATURES = 6, 5
FAMILIES = ("benign", "flood", "scan")
SECOND_US = 1_000_000


def unequal_shards(features: int = FEATURES) -> Shards:
    """Peers whose columns lie elsewhere; each has one attack, 20 above its own benign rows."""
    rng = np.random.default_rng(3)
    shards, plain = [], []
    for peer in range(PEERS):
        y = np.repeat([0, 1 + peer % 2], [150, 30])
        x = rng.normal(3.0 + peer, 1.0 + peer / 4, (180, features)).astype(np.float32)
        x[y > 0, y[-1] % features] += 20.0
        shards.append(Shard(x, y, x[:50], x, y))
        plain.append(Unscaled(x, y, x[:50], Scaler.fit(x[y < 1])))
    return meshed(Shards("s", features, FAMILIES, shards, unscaled=plain), Scaling.MESH)


def plan_of(tmp_path, **tables):
    mesh = {"peers": PEERS, "duration": "60 s"} | tables.pop("mesh", {})
    learning = {"antigens": True, "head": "coded", "steps": 2, "batch": 12, "train": "3 s",
                "evaluate": "20 s", "alarm_budget": "5 %"}  # fmt: skip
    learning |= tables.pop("learning", {})
    data = {"source": "nsl-kdd", "folder": str(tmp_path), "scaling": "mesh"}
    table = {"mesh": mesh, "data": data, "learning": learning, **tables}
    return make_plan(from_table(Scenario, table, "test"))


def stage_of(tmp_path, features: int = FEATURES, postpone: bool = True, **tables):
    plan, shards = plan_of(tmp_path, **tables), unequal_shards(features)
    rows = Balanced(shards, peer_names(PEERS), 2, 12, plan.seed_bytes, codes(FAMILIES))
    return set_up(plan, data=(shards, rows), postpone=postpone)


def norm_of(number: int, norm: Norm) -> Antigen:
    made = Antigen(PeerId(f"p{number}"), NORM, 1, 150, 0, LIFE_S_MAX, norm.pack())
    return signed(made, b"schema", HashSeal(b"", PeerId(f"p{number}")))


def test_a_peer_scales_by_its_own_rows_until_it_holds_enough_norms():
    shards = unequal_shards()
    plain = shards.unscaled
    norms = [norm_of(i, Norm.of(plain[i].train_x[:150])) for i in range(PEERS)]
    for few in ((), tuple(norms[: NORMS_MIN - 1])):
        own = shards.at(2, 0, few)
        np.testing.assert_array_equal(own.train_x, plain[2].scaler(plain[2].train_x))
    mesh = mesh_scaler([Norm.of(plain[i].train_x[:150]) for i in range(PEERS)])
    for peer in (2, 3):
        found, raw = shards.at(peer, 0, tuple(norms)), shards.shards[peer]
        np.testing.assert_allclose(found.train_x, mesh(raw.train_x), atol=0.01)
        np.testing.assert_allclose(found.calibrate_x, mesh(raw.calibrate_x), atol=0.01)
        np.testing.assert_allclose(found.test_x, mesh(raw.test_x), atol=0.01)


def test_everybody_tells_once_and_then_trains_and_is_judged_by_one_scaler(tmp_path):
    stage = stage_of(tmp_path)
    run_stage(stage)
    machines = [machine for _, machine in stage.world.alive()]
    held = machines[0].norms
    assert {each.origin for each in held} == set(peer_names(PEERS))
    assert all(machine.norms == held for machine in machines)
    assert all(each.created_s <= 20 for each in held)  # at the first cycle, once
    assert all(not a.is_norm for machine in machines for a in machine.antigens)
    scaler = stage.shards.scales.scaler(0, held)
    rows = stage.immunity.rehearsing
    plain = stage.shards.training(4)[0]
    seen = rows.batches([4], [9], [0], [()], [held]).x.reshape(-1, FEATURES)
    assert {each.tobytes() for each in seen} <= {each.tobytes() for each in scaler(plain)}
    antigens = machines[4].antigens
    drawn = rows.batches([4], [9], [0], [antigens], [held])
    assert (drawn.y == 2).any()  # of a family that it has no rows of
    own = stage.shards.unscaled[5].train_x[150:]
    centre = drawn.x[drawn.y == 2].mean(0)
    assert np.abs(centre - scaler(own).mean(0)).max() < 1.5


def test_a_run_repeats_postponed_or_not_and_goes_on_from_a_checkpoint(tmp_path):
    whole = run_stage(stage_of(tmp_path))
    assert whole.trace_hash == run_stage(stage_of(tmp_path, postpone=False)).trace_hash
    for moment_us in (6_500_000, 31_234_567):  # before everybody has told, and after
        stage, record = stage_of(tmp_path), Record()
        run_to(stage, record, moment_us)
        path = tmp_path / CHECKPOINT
        write(path, stage, record, data_digest(stage))
        again = stage_of(tmp_path)
        record = take_up(find(path, again.plan), again, data_digest(again))
        assert told(run_stage(again, so_far=record)) == told(whole)


def test_norms_alone_carry_no_attacks(tmp_path):
    stage = stage_of(tmp_path, learning={"rehearse": 0.0})
    run_stage(stage)
    assert [len(machine.norms) for _, machine in stage.world.alive()] == [PEERS] * PEERS
    assert all(machine.antigens == () for _, machine in stage.world.alive())


def test_a_liar_does_not_move_the_scaler_beyond_what_others_say(tmp_path):
    stage = stage_of(tmp_path, mesh={"hostile": [{"peers": "1", "presents": "norm", "at": "25 s"}]})
    run_stage(stage)
    held = stage.world.alive()[0][1].norms
    lied = Norm.unpack(held[1].description, FEATURES)
    assert lied.mean.min() > 50_000
    found = stage.shards.scales.scaler(0, held)
    assert 3.0 < found.centre.min() <= found.centre.max() < 8.5
    assert found.spread.max() < 8.0


def test_others_norms_however_many_leave_room_for_the_own(tmp_path):
    stage = stage_of(tmp_path)
    (me, *_) = peer_names(PEERS)
    others = tuple(norm_of(i, Norm.of(np.ones((150, FEATURES), np.float32))) for i in range(32))
    machine = SimpleNamespace(me=Contact(me), norms=others, antigens=(), cycle=1, view=())
    told = [each.antigen for each in stage.immunity.presenter.due(0, machine, SECOND_US)]
    assert NORM in {each.family for each in told}
    machine.norms = (*others[1:], *(each for each in told if each.is_norm))
    assert not any(
        each.antigen.is_norm for each in stage.immunity.presenter.due(0, machine, 2 * SECOND_US)
    )


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.scaling: no norm has room for 256 features"):
        stage_of(tmp_path, features=256)
    bare = replace(unequal_shards(), unscaled=None)
    with pytest.raises(ValueError, match="keep them"):
        meshed(bare, Scaling.MESH)
