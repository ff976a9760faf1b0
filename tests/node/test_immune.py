"""A node's part in antigens: judged off the loop, said once, outliving damage and a full inbox."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gossip.actions import Train
from gossip.antigens import is_live
from gossip.features import SCHEMA
from node import logs
from node.antigens import approvals
from node.config.settings import Settings
from node.detection import new_watch
from tests.node.immunity import ME, by_another, immune
from tests.node.traffic import benign, parsed, scan

CALM = 900
NOW_S = 1_800_000_000.0
VECTOR = np.zeros(1, np.float32)


@pytest.fixture
def part(tmp_path):
    return Part(tmp_path)


@pytest.fixture
def said(monkeypatch):
    """Lines of the log about antigens."""
    lines = []

    class Log:
        def info(self, event, **more):
            lines.append((event, more))

        warning = error = info

    monkeypatch.setattr("node.antigens.immune._log", Log())
    return lines


class Part:
    """One node's, with traffic of its own; a training is one call."""

    def __init__(self, folder, **antigens):
        values = {f"antigens.{key}": value for key, value in antigens.items()}
        self.settings = Settings.defaults().with_overrides({"detector.budget": "1%", **values})
        self.folder = folder
        self.immune = immune(self.settings, folder)
        self.watch = new_watch(0.01, b"secret", ME.peer)
        self.watch.observe(parsed(benign(CALM)))
        self.cycle = 0

    def train(self, *others):
        self.cycle += 1
        plan = self.immune.plan(Train(self.cycle, VECTOR, others), self.watch, others, NOW_S)
        done = self.immune.carry_out(plan)
        self.immune.settle(done)
        self.batches = self.watch.batches(self.cycle, done.drawn)
        return {each.id: each for each in self.immune.status(others).held}

    def told(self):
        taken = []
        self.immune.tell(lambda antigen: taken.append(antigen) or True)
        return taken


def attack(family="smurf"):
    watch = new_watch(0.01, b"another", "another")
    watch.observe([replace(flow, family=family) for flow in parsed(scan(120, CALM))])
    (evidence,) = watch.evidence()
    return by_another(family, evidence.rows, int(NOW_S))


@cache
def ordinary():
    """Rows of another gateway's traffic, which is like this one's."""
    watch = new_watch(0.01, b"another", "another")
    watch.observe([replace(flow, family="dos") for flow in parsed(benign(300, first=5_000))])
    return watch.evidence()[0].rows


def mimic(family="dos"):
    return by_another(family, ordinary(), int(NOW_S))


def test_an_attack_is_rehearsed_and_a_mimic_is_not(part, said):
    good, bad = attack(), mimic()
    assert {each.state for each in part.immune.status((good, bad)).held} == {"waiting"}
    found = part.train(good, bad)
    assert found[good.id.hex()].state == "used"
    judged = found[bad.id.hex()]
    assert judged.state == "quarantined"
    assert judged.false_alarms > 0.01
    assert "the budget is 1 %" in judged.reason
    assert part.watch.names[-1] == "smurf"
    assert "dos" not in part.watch.rehearsed
    rows = part.watch.samples.config.rows
    assert part.batches.x.shape[2] == rows + rows // 2, "a third of a step's rows are drawn"
    (line,) = [more for event, more in said if event == "quarantined an antigen"]
    assert (line["id"], line["origin"]) == (bad.id.hex(), bad.origin)
    part.train(good, bad)
    assert len(said) == 2, "each is said once"


def test_an_approval_is_read_while_the_node_runs_and_can_be_taken_back(part):
    bad = mimic()
    assert part.train(bad)[bad.id.hex()].state == "quarantined"
    approvals.approve(part.folder, bad.id, [bad.id])
    assert part.train(bad)[bad.id.hex()].state == "approved"
    assert part.watch.rehearsed == ("dos",)
    approvals.forget(part.folder, bad.id)
    assert part.train(bad)[bad.id.hex()].state == "quarantined"
    assert part.watch.rehearsed == ()


def test_a_damaged_file_of_approvals_is_said_once_and_changes_nothing(part, said):
    bad = mimic()
    approvals.approve(part.folder, bad.id, [bad.id])
    part.train(bad)
    (part.folder / approvals.FILE).write_text("rubbish\n")
    said.clear()
    for _ in range(3):
        assert part.train(bad)[bad.id.hex()].state == "approved"
    (line,) = [more for event, more in said if "approvals cannot be read" in event]
    assert "remove the file" in line["reason"]


def test_before_there_are_rows_nothing_is_judged(tmp_path):
    part = Part(tmp_path)
    part.watch = new_watch(0.01, b"secret", ME.peer)
    one = attack()
    assert part.train(one)[one.id.hex()].state == "waiting"
    assert part.batches is None


def test_what_this_gateway_has_rows_of_is_rehearsed_beside_them(part):
    part.watch.observe(
        [replace(flow, family="smurf") for flow in parsed(scan(40, CALM, start_s=1_750_000_900.0))]
    )
    one = attack()
    assert part.train(one)[one.id.hex()].state == "known"
    assert part.watch.rehearsed == ("smurf",)


def test_what_is_presented_waits_where_the_inbox_is_full(tmp_path):
    part = Part(tmp_path, share=True)
    part.watch.observe(parsed(scan(60, CALM, labelled=True)))
    part.train()
    part.immune.tell(lambda _: False)
    (made,) = part.told()
    assert (made.family, made.origin) == ("scan", ME.peer)
    assert part.told() == []
    part.train(made)
    assert part.told() == [], "it is held, so it is not made again"
    (own,) = part.immune.status((made,)).held
    assert own.state == "own"


def test_nothing_is_made_where_nothing_is_shared(part):
    part.watch.observe(parsed(scan(60, CALM, labelled=True)))
    part.train()
    assert part.told() == []


def test_what_was_shared_is_taken_back_or_it_is_said_that_it_cannot_be(tmp_path, said):
    sharing = Part(tmp_path, share=True)
    sharing.watch.observe(parsed(scan(60, CALM, labelled=True)))
    sharing.train()
    made = sharing.told()
    still = Part(tmp_path, share=True)
    still.immune.begin(made, NOW_S + 1)
    assert still.told() == []
    off = Part(tmp_path)
    off.immune.begin(made, NOW_S + 1)
    (revoked,) = off.told()
    assert revoked.revokes
    assert revoked.serial > made[0].serial
    assert is_live(revoked, NOW_S + 1)
    none = Part(tmp_path, use=False)
    none.immune.begin(made, NOW_S + 1)
    assert none.told() == []
    assert "run it once with use = true and share = false" in said[-1][0]
    late = Part(tmp_path)
    late.immune.begin(made, NOW_S + 8 * 86_400)
    assert late.told() == [], "it has expired by itself"


def test_the_numbers_of_own_antigens_come_back_and_rubbish_does_not(tmp_path):
    part = Part(tmp_path, share=True)
    part.watch.observe(parsed(scan(60, CALM, labelled=True)))
    part.train()
    saved = part.immune.saved(())
    again = Part(tmp_path)
    again.immune.restore(saved["serials"])
    assert again.immune.saved(())["serials"] == saved["serials"] == {"scan": int(NOW_S)}
    for rubbish in (
        None,
        [],
        {"scan": "1"},
        {"a\x1b": 1},
        {"scan": -1},
        {"scan": 2**63},
        {f"a{n}": 1 for n in range(300)},
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - the gateway says which state it is
            again.immune.restore(rubbish)


def test_a_description_that_is_no_mixture_is_quarantined_and_stops_nothing(part):
    good = attack()
    wrong = replace(attack(), description=b"\x01\x09" + bytes(50))
    found = part.train(good, wrong)
    assert found[good.id.hex()].state == "used"
    assert found[wrong.id.hex()].state == "quarantined"
    assert "damaged" in found[wrong.id.hex()].reason
    assert len(SCHEMA) == part.batches.x.shape[3]


def test_the_log_of_judgements_is_limited(part, said):
    others = [mimic(f"junk {n}") for n in range(40)]
    part.train(*others)
    assert len(said) == 30
    assert logs.printable(said[0][1]["reason"]) == said[0][1]["reason"]
